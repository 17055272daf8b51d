"""Objects: insert, in its three forms: media, multipart and resumable.

Bytes go to disk in blocks as they arrive and are never held whole; a thread is taken
only while a block is written.
"""

import dataclasses
import re
import urllib.parse
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from homeport.api import storage_json
from homeport.api.storage_multipart import RelatedParser, boundary
from homeport.api.storage_receiving import (
    announced,
    header_checksums,
    leave,
    receive,
    timely,
)
from homeport.api.storage_requests import Call, parse_json
from homeport.errors import FailedPreconditionError, InvalidArgumentError
from homeport.registry.object_uploads import ObjectUploads, Progress
from homeport.resources.bucket import NewObject, StoredObject

_RANGE_RE: Final = re.compile(
    r"bytes (?:\*|(?P<first>\d{1,18})-(?P<last>\d{1,18}))/(?P<total>\*|\d{1,18})",
    re.ASCII,
)
_CANCELLED: Final = 499  # what GCS answers to the DELETE of a session


@dataclasses.dataclass(frozen=True, slots=True)
class _Span:
    """Which bytes of the object a request carries.

    Attributes:
        first: Index of the first byte; None when the request carries none and asks
            how far the session is.
        end: Index behind the last byte, None when unknown.
        last: Whether the object ends there.
        total: The length of the whole object, None when unknown.
    """

    first: int | None
    end: int | None
    last: bool
    total: int | None = None


class UploadMethods:
    """The upload methods of the API.

    Args:
        uploads: The verbs.
    """

    def __init__(self, uploads: ObjectUploads) -> None:
        self._uploads = uploads

    async def post(self, call: Call) -> Response:
        """Begin an upload of the form that `uploadType` names, or go on with one."""
        if call.query.get("upload_id"):
            return await self.put(call)
        match call.query.get("uploadType", ""):
            case "media":
                return await self._media(call)
            case "multipart":
                return await self._multipart(call)
            case "resumable":
                return await self._open_session(call)
            case other:
                raise InvalidArgumentError(
                    f"uploadType is {other!r}: expected media, multipart or resumable"
                )

    async def put(self, call: Call) -> Response:
        """Go on with a resumable upload, or tell how far it is."""
        session_id, bucket = call.query.get("upload_id", ""), call.names[0]
        checksums = header_checksums(call)
        span = _span(call.request.headers)
        if span.first is None:
            progress = await call.run(self._uploads.progress, session_id, bucket)
            if progress.stored or progress.size_bytes != span.end:
                return _progress(call, progress)
        try:
            upload = await call.run(
                self._uploads.resume, session_id, bucket, span.total
            )
        except FailedPreconditionError:
            # Finished, and the answer was lost: the client repeats its last request.
            progress = await call.run(self._uploads.progress, session_id, bucket)
            return _progress(call, progress)
        try:
            body = _unseen(call.request.stream(), upload.size_bytes, span)
            await receive(call, upload, body, span.end)
            _check_end(upload.size_bytes, span)
        except BaseException:
            await leave(call, upload)
            raise
        if not span.last:
            await call.run(upload.leave)
            return _progress(call, Progress(upload.size_bytes, None))
        return _stored(call, await call.run(upload.finish, checksums))

    async def delete(self, call: Call) -> Response:
        """Cancel a resumable upload."""
        session_id = call.query.get("upload_id", "")
        await call.run(self._uploads.cancel, session_id, call.names[0])
        return Response(status_code=_CANCELLED)

    async def _media(self, call: Call) -> Response:
        checksums = header_checksums(call)
        content_type = call.request.headers.get("content-type", "")
        new = _new_object(call, {}, content_type, "content-length")
        upload = await call.run(self._uploads.begin, new)
        try:
            await receive(call, upload, call.request.stream())
        except BaseException:
            await leave(call, upload)
            raise
        return _stored(call, await call.run(upload.finish, checksums))

    async def _multipart(self, call: Call) -> Response:
        checksums = header_checksums(call)
        parser = RelatedParser(boundary(call.request.headers.get("content-type", "")))
        media = _media_chunks(call, parser)
        first = await anext(media)
        resource = parse_json(parser.metadata or b"")
        new = _new_object(call, resource, parser.media_type)
        upload = await call.run(self._uploads.begin, new)
        try:
            await receive(call, upload, _chain(first, media))
            parser.close()
        except BaseException:
            await leave(call, upload)
            raise
        return _stored(call, await call.run(upload.finish, checksums))

    async def _open_session(self, call: Call) -> Response:
        resource = await call.json()
        content_type = call.request.headers.get("x-upload-content-type", "")
        length = "x-upload-content-length"
        new = _new_object(call, resource, content_type, length)
        session = await call.run(self._uploads.open_session, new)
        query = urllib.parse.urlencode(
            {"uploadType": "resumable", "name": new.name, "upload_id": session.id}
        )
        return Response(
            headers={
                "location": f"{call.base_url}{call.path}?{query}",
                "x-guploader-uploadid": session.id,
            }
        )


async def _media_chunks(call: Call, parser: RelatedParser) -> AsyncIterator[bytes]:
    """Yield the media of a multipart body, first once its metadata is there."""
    async for chunk in timely(call.request.stream()):
        media = parser.feed(chunk)
        if parser.metadata is not None:
            yield media
    if parser.metadata is None:
        parser.close()


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _new_object(
    call: Call, resource: dict[str, Any], content_type: str, length_header: str = ""
) -> NewObject:
    name = call.query.get("name") or resource.get("name")
    if not isinstance(name, str):
        raise InvalidArgumentError(
            "the object has no name: give the parameter name, or name in the metadata"
        )
    properties = storage_json.merged({}, storage_json.object_properties(resource))
    encoding = call.query.get("contentEncoding")
    if encoding:
        properties.setdefault("contentEncoding", encoding)
    if content_type:
        properties.setdefault("contentType", content_type)
    return NewObject(
        bucket=call.names[0],
        name=name,
        properties=storage_json.object_properties(properties),
        conditions=call.conditions(),
        checksums=dataclasses.replace(
            storage_json.resource_checksums(resource),
            size_bytes=announced(call, length_header),
        ),
    )


def _stored(call: Call, stored: StoredObject) -> Response:
    document = storage_json.stored_object(stored, call.base_url)
    return JSONResponse(call.selected(document))


def _progress(call: Call, progress: Progress) -> Response:
    if progress.stored is not None:
        return _stored(call, progress.stored)
    headers = {}
    if progress.size_bytes:
        headers["range"] = f"bytes=0-{progress.size_bytes - 1}"
    return Response(status_code=HTTPStatus.PERMANENT_REDIRECT, headers=headers)


def _span(headers: Headers) -> _Span:
    """Return which bytes a request carries; without a Content-Range the whole object.

    Raises:
        InvalidArgumentError: The Content-Range makes no sense.
    """
    text = headers.get("content-range", "")
    if not text:
        length = headers.get("content-length", "")
        return _Span(0, int(length) if length.isdigit() else None, last=True)
    match = _RANGE_RE.fullmatch(text)
    if match is None:
        raise InvalidArgumentError(
            f"Content-Range {text!r}: expected 'bytes FIRST-LAST/TOTAL', where '*' may "
            "stand for what is unknown"
        )
    total = None if match["total"] == "*" else int(match["total"])
    if match["first"] is None:
        return _Span(None, total, last=True, total=total)
    first, end = int(match["first"]), int(match["last"]) + 1
    if first >= end or (total is not None and end > total):
        raise InvalidArgumentError(
            f"Content-Range {text!r}: expected FIRST <= LAST < TOTAL"
        )
    return _Span(first, end, last=end == total, total=total)


async def _unseen(
    body: AsyncIterator[bytes], size_bytes: int, span: _Span
) -> AsyncIterator[bytes]:
    """Yield a body without the bytes that an earlier, broken request brought already.

    Raises:
        InvalidArgumentError: It begins behind what the upload has.
    """
    first = size_bytes if span.first is None else span.first
    if first > size_bytes:
        raise InvalidArgumentError(
            f"the request begins at byte {first}, the upload is at byte {size_bytes}: "
            "go on from there"
        )
    seen_bytes = size_bytes - first
    async for chunk in body:
        yield chunk[seen_bytes:]
        seen_bytes -= min(seen_bytes, len(chunk))


def _check_end(size_bytes: int, span: _Span) -> None:
    """Refuse a body shorter than it said.

    Raises:
        InvalidArgumentError: It was.
    """
    if span.end is not None and size_bytes < span.end:
        raise InvalidArgumentError(
            f"the body ended at byte {size_bytes} of the object, and was said to end "
            f"at byte {span.end}: go on from there"
        )
