"""Batch requests: several JSON requests in one multipart/mixed body.

Each is answered as if it had come alone, one after the other; one that fails does not
concern the others. Bytes of objects do not travel in batches.
"""

import http
import re
import secrets
import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message

from homeport.api import storage_json
from homeport.api.storage_multipart import BOUNDARY_RE
from homeport.errors import HomeportError, InvalidArgumentError

MAX_CALLS: Final = 100  # GCS batch requests page
_MAX_BYTES: Final = 10 << 20
_ROOT: Final = "/storage/v1/"
_BLANK_RE: Final = re.compile(rb"\r?\n\r?\n")
_REQUEST_RE: Final = re.compile(
    r"(GET|POST|PUT|PATCH|DELETE) (?:https?://[^/\s]+)?(/\S*) HTTP/1\.[01]"
)
_ID_RE: Final = re.compile(rb"(?im)^content-id:[ \t]*<?([^>\r\n]{1,200})>?[ \t]*\r?$")
_MIXED: Final = "multipart/mixed"


class Batches:
    """Takes batches apart.

    Args:
        answer: What answers one request; it never raises.
    """

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._answer = answer

    async def answer(self, request: Request) -> Response:
        """Answer a batch with the answers to its requests, in their order."""
        try:
            parts = _parts(
                request.headers.get("content-type", ""), await _body(request)
            )
        except HomeportError as error:
            http_status, document = storage_json.error(error)
            return JSONResponse(document, http_status)
        boundary = f"batch_{secrets.token_hex(16)}"
        lines: list[bytes] = []
        for part in parts:
            answered = await self._one(request, part)
            lines += [f"--{boundary}\r\n".encode(), _shown(part, answered)]
        lines.append(f"--{boundary}--\r\n".encode())
        return Response(b"".join(lines), media_type=f"{_MIXED}; boundary={boundary}")

    async def _one(self, request: Request, part: bytes) -> Response:
        try:
            inner = _inner(request, part)
        except HomeportError as error:
            http_status, document = storage_json.error(error)
            return JSONResponse(document, http_status)
        return await self._answer(inner)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BYTES:
            raise InvalidArgumentError(
                f"the batch is over {_MAX_BYTES} bytes: send several"
            )
    return bytes(body)


def _parts(content_type: str, body: bytes) -> list[bytes]:
    """Return the parts of a batch, each an application/http document.

    Raises:
        InvalidArgumentError: It is no multipart/mixed body, or has too many parts.
    """
    match = BOUNDARY_RE.search(content_type)
    if match is None or not content_type.lower().startswith(_MIXED):
        raise InvalidArgumentError(
            f"content-type {content_type!r}: expected {_MIXED} with a boundary"
        )
    delimiter = b"--" + (match[1] or match[2] or match[3]).encode()
    _, *parts = body.split(delimiter)
    if not parts or not parts[-1].startswith(b"--"):
        raise InvalidArgumentError(
            "the batch ended before its closing delimiter: send it again"
        )
    if len(parts) - 1 > MAX_CALLS:
        raise InvalidArgumentError(
            f"the batch has {len(parts) - 1} requests, the limit is {MAX_CALLS}: send "
            "several"
        )
    return parts[:-1]


def _inner(outer: Request, part: bytes) -> Request:
    """Return the request that a part holds, as one that had come alone.

    Raises:
        InvalidArgumentError: It holds none that a batch may have.
    """
    text = _BLANK_RE.split(part.lstrip(b"\r\n"), 1)[-1].lstrip(b"\r\n")
    head, *rest = _BLANK_RE.split(text, 1)
    line = head.splitlines()[0].decode("latin-1") if head else ""
    match = _REQUEST_RE.fullmatch(line)
    if match is None:
        raise InvalidArgumentError(
            f"{line!r:.100} in the batch: expected 'METHOD PATH HTTP/1.1'"
        )
    path, _, query = match[2].partition("?")
    if not path.startswith(_ROOT) or "alt=media" in query:
        raise InvalidArgumentError(
            f"{path!r:.100} in the batch: only methods under {_ROOT} that move no "
            "bytes can be batched"
        )
    scope = {
        **outer.scope,
        "method": match[1],
        "path": urllib.parse.unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
    }
    body = rest[0].rstrip(b"\r\n") if rest else b""
    sent = [False]

    async def receive() -> Message:
        if sent[0]:
            return {"type": "http.disconnect"}
        sent[0] = True
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(scope, receive)


def _shown(part: bytes, answered: Response) -> bytes:
    phrase = http.HTTPStatus(answered.status_code).phrase
    content_id = _ID_RE.search(part[: part.find(b"HTTP/1.")])
    named = [b"Content-ID: <response-%b>" % content_id[1]] if content_id else []
    head = [
        b"Content-Type: application/http",
        *named,
        b"",
        f"HTTP/1.1 {answered.status_code} {phrase}".encode(),
        *(b"%b: %b" % header for header in answered.raw_headers),
    ]
    return b"\r\n".join([*head, b"", bytes(answered.body)]) + b"\r\n"
