"""Objects over the XML API: read, written in one request, copied, deleted, listed."""

import dataclasses
import urllib.parse
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from homeport.api import storage_downloads, storage_json, storage_xml_text
from homeport.api.storage_receiving import (
    announced,
    header_checksums,
    leave,
    receive,
)
from homeport.api.storage_requests import Call, StorageVerbs, page_start, page_token
from homeport.errors import InvalidArgumentError
from homeport.resources.bucket import (
    Checksums,
    NewObject,
    ObjectQuery,
    ObjectRef,
    StoredObject,
)

_MAX_PAGE: Final = 1000
_METADATA: Final = "x-goog-meta-"
XML: Final = "application/xml"


class ObjectMethods:
    """One method for each method of the API.

    Args:
        verbs: The verbs.
    """

    def __init__(self, verbs: StorageVerbs) -> None:
        self._buckets = verbs.buckets
        self._uploads = verbs.uploads

    async def get(self, call: Call) -> Response:
        """GET Object."""
        return await storage_downloads.download(self._buckets, call)

    async def head(self, call: Call) -> Response:
        """HEAD Object."""
        stored = await call.run(self._buckets.get_object, call.object_ref())
        if storage_downloads.is_unchanged(call.request.headers, stored):
            return storage_downloads.unchanged(stored)
        headers = storage_downloads.object_headers(stored)
        headers["content-length"] = str(stored.size_bytes)
        return Response(headers=headers)

    async def put(self, call: Call) -> Response:
        """PUT Object, and PUT Object - Copy."""
        if "x-goog-copy-source" in call.request.headers:
            return await self._copy(call)
        checksums = header_checksums(call)
        said = Checksums(size_bytes=announced(call, "content-length"))
        new = dataclasses.replace(new_object(call), checksums=said)
        upload = await call.run(self._uploads.begin, new)
        try:
            await receive(call, upload, call.request.stream())
        except BaseException:
            await leave(call, upload)
            raise
        stored = await call.run(upload.finish, checksums)
        return Response(headers=written_headers(stored))

    async def delete(self, call: Call) -> Response:
        """DELETE Object."""
        await call.run(self._buckets.delete_object, call.object_ref())
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def head_bucket(self, call: Call) -> Response:
        """HEAD Bucket."""
        await call.run(self._buckets.get_bucket, call.names[0])
        return Response()

    async def list_objects(self, call: Call) -> Response:
        """GET Bucket: its objects, by either version of the method."""
        asked = call.query
        after = asked.get("start-after") or asked.get("marker") or ""
        start = f"{after}\0" if after else ""
        token = asked.get("continuation-token", "")
        query = ObjectQuery(
            bucket=call.names[0],
            prefix=asked.get("prefix", ""),
            delimiter=asked.get("delimiter", ""),
            start=max(start, page_start(token, "continuation-token")),
        )
        limit = min(call.number("max-keys") or _MAX_PAGE, _MAX_PAGE)
        page = await call.run(self._buckets.list_objects, query, limit=limit)
        shown = {
            "Name": query.bucket,
            "Prefix": query.prefix,
            "Delimiter": query.delimiter,
            "StartAfter": after,
            "MaxKeys": str(limit),
            "EncodingType": asked.get("encoding-type", ""),
        }
        body = storage_xml_text.listing(
            page,
            shown,
            page_token(page.next_start) if page.next_start else "",
            encoded=asked.get("encoding-type") == "url",
        )
        return Response(body, media_type=XML)

    async def _copy(self, call: Call) -> Response:
        source = _copy_source(call)
        target = new_object(call)
        replaces = call.request.headers.get("x-goog-metadata-directive") == "REPLACE"
        copied = await call.run(
            self._buckets.copy_object, source, target, keep_properties=not replaces
        )
        return Response(
            storage_xml_text.copied(copied),
            headers=written_headers(copied),
            media_type=XML,
        )


def new_object(call: Call) -> NewObject:
    """Return the object that a request's headers announce.

    Raises:
        InvalidArgumentError: Its name, or a header, is one that cannot be.
    """
    headers = call.request.headers
    properties: dict[str, Any] = {
        name: headers[header]
        for name, header in storage_downloads.HEADER_OF.items()
        if header in headers
    }
    if headers.get("content-type"):
        properties["contentType"] = headers["content-type"]
    metadata = {
        name.removeprefix(_METADATA): value
        for name, value in headers.items()
        if name.startswith(_METADATA)
    }
    if metadata:
        properties["metadata"] = metadata
    bucket, name = call.names
    properties = storage_json.object_properties(properties)
    return NewObject(bucket, name, properties, call.conditions())


def written_headers(stored: StoredObject) -> dict[str, str]:
    """Return what the answer to a write says of the object."""
    told = storage_downloads.object_headers(stored)
    names = ("etag", "x-goog-generation", "x-goog-metageneration", "x-goog-hash")
    return {name: told[name] for name in names}


def _copy_source(call: Call) -> ObjectRef:
    text = urllib.parse.unquote(call.request.headers["x-goog-copy-source"])
    bucket, _, name = text.removeprefix("/").partition("/")
    if not name:
        raise InvalidArgumentError(
            f"x-goog-copy-source {text!r:.100}: expected BUCKET/OBJECT"
        )
    return ObjectRef(
        bucket, name, call.number("sourceGeneration"), call.conditions("ifSource")
    )
