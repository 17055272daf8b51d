"""Objects: get with alt=media, whole or a range, streamed from disk."""

import re
import urllib.parse
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import BinaryIO, Final

from starlette.responses import Response, StreamingResponse

from homeport.api import storage_json
from homeport.api.storage_requests import Call
from homeport.registry.buckets import Buckets
from homeport.resources.bucket import StoredObject

_BLOCK_BYTES: Final = 1 << 20
# Longer numbers are no offsets into anything; such a header is not understood, and
# RFC 9110 has those ignored.
_RANGE_RE: Final = re.compile(r"bytes=(?:(\d{1,19})-(\d{0,19})|-(\d{1,19}))", re.ASCII)
_HEADER_OF: Final = {
    "cacheControl": "cache-control",
    "contentDisposition": "content-disposition",
    "contentEncoding": "content-encoding",
    "contentLanguage": "content-language",
}


async def download(buckets: Buckets, call: Call) -> Response:
    """Return the bytes of an object, from the blob that was live when asked.

    Raises:
        NotFoundError: No such bucket, object or generation.
        ConditionNotMetError: A condition does not hold.
        DataLossError: The bytes are gone from the data directory.
    """
    stored, file = await call.run(buckets.read_object, call.object_ref())
    try:
        return _answer(call, stored, file)
    except BaseException:
        file.close()
        raise


def _answer(call: Call, stored: StoredObject, file: BinaryIO) -> Response:
    size = stored.size_bytes
    headers = _headers(stored)
    wanted = _RANGE_RE.fullmatch(call.request.headers.get("range", ""))
    if wanted is None:
        first, end, status = 0, size, HTTPStatus.OK
    else:
        first, end = _bounds(wanted, size)
        if first >= end:
            file.close()
            return Response(
                status_code=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
                headers={"content-range": f"bytes */{size}"},
            )
        status = HTTPStatus.PARTIAL_CONTENT
        headers["content-range"] = f"bytes {first}-{end - 1}/{size}"
    headers["content-length"] = str(end - first)
    file.seek(first)
    return StreamingResponse(
        _blocks(call, file, end - first), status_code=status, headers=headers
    )


def _bounds(wanted: re.Match[str], size: int) -> tuple[int, int]:
    """Return first byte and end; an empty span when nothing of it exists."""
    first, last, suffix = wanted.groups()
    if suffix is not None:
        return max(size - int(suffix), 0), size
    return int(first), min(int(last) + 1, size) if last else size


def _headers(stored: StoredObject) -> dict[str, str]:
    hashes = (
        f"crc32c={storage_json.crc32c_text(stored)},md5={storage_json.md5_text(stored)}"
    )
    properties = stored.properties
    headers = {
        "content-type": properties.get("contentType") or "application/octet-stream",
        "accept-ranges": "bytes",
        "etag": f'"{storage_json.etag(stored)}"',
        "x-goog-generation": str(stored.generation),
        "x-goog-metageneration": str(stored.metageneration),
        "x-goog-hash": hashes,
        "x-goog-stored-content-encoding": properties.get("contentEncoding", "identity"),
        "x-goog-stored-content-length": str(stored.size_bytes),
        # Bytes of a stranger are never a page of this server.
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox",
    }
    for name, header in _HEADER_OF.items():
        if name in properties:
            headers[header] = properties[name]
    return {name: _latin1(value) for name, value in headers.items()}


def _latin1(value: str) -> str:
    """Return a value a header can carry: beyond Latin-1 as percent-encoded UTF-8."""
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return urllib.parse.quote(value, safe=" !\"#$%&'()*+,/:;<=>?@[\\]^`{|}")
    return value


async def _blocks(call: Call, file: BinaryIO, length: int) -> AsyncIterator[bytes]:
    try:
        while length > 0:
            block = await call.run(file.read, min(length, _BLOCK_BYTES))
            if not block:
                # A short file: ending early breaks the connection, as it must.
                return
            length -= len(block)
            yield block
    finally:
        file.close()
