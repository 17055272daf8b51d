"""Raw bodies on the wire: which headers travel, and the JSON that may wrap a body."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Final

import orjson

from homeport.edge.codec import Bytes, FromPath, Message
from homeport.errors import InvalidArgumentError

FAILED: Final = 400
"""The first HTTP status that is a failure."""

# Credentials are for the server; the others belong to one connection (RFC 9110, 7.6.1).
_OF_THE_SERVER: Final = frozenset(
    {
        b"authorization", b"connection", b"content-length", b"cookie", b"expect",
        b"host", b"keep-alive", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade", b"x-goog-api-key",
    }
)  # fmt: skip
_OF_THE_ANSWER: Final = frozenset(
    {
        "connection", "content-length", "date", "keep-alive", "server", "set-cookie",
        "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip


class DirectRawRequest(Message):
    """PredictionService.DirectRawPredict."""

    endpoint: FromPath[str] = ""
    method_name: str = ""
    input: Bytes = b""


def for_model(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers of a request that its model may see."""
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in headers
        if name not in _OF_THE_SERVER
    }


def for_client(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return the headers of a model's answer that its client may see.

    What cannot stand in a header is left out.
    """
    return [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in headers.items()
        if name not in _OF_THE_ANSWER and _is_header(name, value)
    ]


def unwrapped(body: bytes, content_type: str) -> tuple[str, bytes] | None:
    """Return the content type and bytes of a body in the generated client's dialect.

    It writes `{"httpBody": {"contentType": ..., "data": <base64>}}`; None for any other
    body.

    Raises:
        InvalidArgumentError: Its data is not base64.
    """
    if not content_type.startswith("application/json") or b'"http' not in body:
        return None
    try:
        document = orjson.loads(body)
    except ValueError:
        return None
    if not isinstance(document, dict) or document.keys() - {"endpoint"} not in (
        {"httpBody"},
        {"http_body"},
    ):
        return None
    inner = document.get("httpBody", document.get("http_body"))
    if not isinstance(inner, dict):
        return None
    given = inner.get("contentType", inner.get("content_type", ""))
    try:
        data = base64.b64decode(str(inner.get("data", "")), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgumentError(
            "httpBody.data is not base64: send the body itself, or base64"
        ) from error
    return str(given), data


def deployed_model_id(body: bytes) -> str:
    """Return the deployed model that an explain request names, "" for none.

    Raises:
        InvalidArgumentError: The body is no JSON object.
    """
    try:
        document = orjson.loads(body)
    except ValueError as error:
        raise InvalidArgumentError(f"the body is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidArgumentError(
            'the body is no JSON object: send one such as {"instances": [...]}'
        )
    named = document.get("deployedModelId", document.get("deployed_model_id"))
    return named if isinstance(named, str) else ""


def _is_header(name: str, value: str) -> bool:
    text = name + value
    # Latin-1 (RFC 9110, 5.5), and no end of line that would begin another header.
    return bool(name) and name.isascii() and max(text) < "\u0100" and text.isprintable()
