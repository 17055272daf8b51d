"""Objects: get with alt=media, whole or a range, streamed from disk."""

import datetime as dt
import email.utils
import logging
import re
import urllib.parse
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import BinaryIO, Final

import crc32c
from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse

from homeport.api import storage_json, storage_unpacking
from homeport.api.storage_requests import Call
from homeport.errors import ConditionNotMetError, DataLossError
from homeport.registry.buckets import Buckets
from homeport.resources.bucket import StoredObject

_log: Final = logging.getLogger(__name__)
_BLOCK_BYTES: Final = 1 << 20
# Longer numbers are no offsets into anything; such a header is not understood, and
# RFC 9110 has those ignored.
_RANGE_RE: Final = re.compile(r"bytes=(?:(\d{1,19})-(\d{0,19})|-(\d{1,19}))", re.ASCII)
# RFC 9110: what can be the name of a field, and what cannot be in a value.
_TOKEN_RE: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_CONTROL_RE: Final = re.compile("[\x00-\x1f\x7f]")
HEADER_OF: Final = {
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
        if is_unchanged(call.request.headers, stored):
            file.close()
            return unchanged(stored)
        unpack = await call.run(
            storage_unpacking.is_wanted, call.request.headers, stored, file
        )
        return _unpacked(call, stored, file) if unpack else _answer(call, stored, file)
    except BaseException:
        file.close()
        raise


def is_unchanged(asked: Headers, stored: StoredObject) -> bool:
    """Tell whether a reader has the object already, by RFC 9110, section 13.2.2.

    Raises:
        ConditionNotMetError: It is another object than the reader wants.
    """
    etag = f'"{storage_json.etag(stored)}"'
    if "if-match" in asked:
        if not _lists(asked["if-match"], etag):
            raise _other(stored, "If-Match")
    elif _is_newer(stored, asked.get("if-unmodified-since")) is True:
        raise _other(stored, "If-Unmodified-Since")
    if "if-none-match" in asked:
        return _lists(asked["if-none-match"], etag)
    return _is_newer(stored, asked.get("if-modified-since")) is False


def unchanged(stored: StoredObject) -> Response:
    """Return the answer to a reader who has the object already."""
    headers = object_headers(stored)
    kept = {name: headers[name] for name in ("etag", "last-modified")}
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=kept)


def _lists(field: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in field.split(",")]
    # obstore and curl's users write it without quotes.
    return "*" in tags or etag in tags or etag.strip('"') in tags


def _is_newer(stored: StoredObject, date: str | None) -> bool | None:
    """Tell whether an object was written after an HTTP date; None if it is none."""
    if date is None:
        return None
    try:
        since = email.utils.parsedate_to_datetime(date)
    except ValueError:
        return None
    # HTTP dates have whole seconds, and all of them are UTC.
    return stored.update_time.replace(microsecond=0) > since.replace(tzinfo=dt.UTC)


def _other(stored: StoredObject, header: str) -> ConditionNotMetError:
    return ConditionNotMetError(
        f"object {stored} is not the one that {header} asks for: read it again and "
        "retry"
    )


def _answer(call: Call, stored: StoredObject, file: BinaryIO) -> Response:
    size = stored.size_bytes
    headers = object_headers(stored)
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
    blocks = _blocks(call, file, end - first)
    if end - first == size:
        blocks = _checked(blocks, stored)
    return StreamingResponse(blocks, status_code=status, headers=headers)


def _unpacked(call: Call, stored: StoredObject, file: BinaryIO) -> Response:
    """Return all of an object unpacked; as with Google's, a range is passed over."""
    headers = storage_unpacking.headers(object_headers(stored))
    return StreamingResponse(
        _all_blocks(call, file, storage_unpacking.reader(file)), headers=headers
    )


async def _all_blocks(
    call: Call, file: BinaryIO, read: Callable[[], bytes]
) -> AsyncIterator[bytes]:
    try:
        while block := await call.run(read):
            yield block
    finally:
        file.close()


def _bounds(wanted: re.Match[str], size: int) -> tuple[int, int]:
    """Return first byte and end; an empty span when nothing of it exists."""
    first, last, suffix = wanted.groups()
    if suffix is not None:
        return max(size - int(suffix), 0), size
    return int(first), min(int(last) + 1, size) if last else size


def object_headers(stored: StoredObject) -> dict[str, str]:
    """Return what the answer to a read says of an object, but the length."""
    properties = stored.properties
    headers = {
        "content-type": properties.get("contentType") or "application/octet-stream",
        "accept-ranges": "bytes",
        "etag": f'"{storage_json.etag(stored)}"',
        "last-modified": email.utils.format_datetime(stored.update_time, usegmt=True),
        "x-goog-generation": str(stored.generation),
        "x-goog-metageneration": str(stored.metageneration),
        "x-goog-hash": storage_json.hashes_text(stored.content),
        "x-goog-stored-content-encoding": properties.get("contentEncoding", "identity"),
        "x-goog-stored-content-length": str(stored.size_bytes),
        # Bytes of a stranger are never a page of this server.
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox",
    }
    for name, header in HEADER_OF.items():
        if name in properties:
            headers[header] = properties[name]
    for name, value in properties.get("metadata", {}).items():
        if _TOKEN_RE.fullmatch(name) and not _CONTROL_RE.search(value):
            headers[f"x-goog-meta-{name.lower()}"] = value
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
    except DataLossError as error:
        _log.error("%s", error.message)
    finally:
        file.close()


async def _checked(
    blocks: AsyncIterator[bytes], stored: StoredObject
) -> AsyncIterator[bytes]:
    """Keep the last block of a whole object back if its bytes have changed."""
    sum_, last = 0, b""
    async for block in blocks:
        if last:
            yield last
        sum_, last = crc32c.crc32c(block, sum_), block
    if sum_ == stored.content.crc32c:
        yield last
    else:
        _log.error("the stored bytes of object %s have changed", stored)
