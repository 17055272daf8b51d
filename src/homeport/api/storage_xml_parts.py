"""Uploads in parts over the XML API, in any order and several at a time.

The ETag of a part is the sha256 of its bytes: opaque to clients, who repeat it.
"""

from typing import Final

from starlette.responses import Response

from homeport.api import storage_json, storage_xml_text
from homeport.api.storage_receiving import (
    announced,
    header_checksums,
    leave,
    receive,
)
from homeport.api.storage_requests import Call
from homeport.api.storage_xml_objects import XML, new_object, written_headers
from homeport.errors import InvalidArgumentError
from homeport.registry.compositions import Compositions

_MAX_BODY_BYTES: Final = 4 << 20
_CANCELLED: Final = 204
_MAX_PAGE: Final = 1000


class PartMethods:
    """One method for each method of the API.

    Args:
        compositions: The verbs.
    """

    def __init__(self, compositions: Compositions) -> None:
        self._compositions = compositions

    async def begin(self, call: Call) -> Response:
        """Initiate a multipart upload."""
        session = await call.run(self._compositions.begin, new_object(call))
        return Response(storage_xml_text.begun(session), media_type=XML)

    async def put(self, call: Call) -> Response:
        """Upload a part."""
        number = call.number("partNumber")
        if number is None:
            raise InvalidArgumentError("a part needs the parameter partNumber")
        checksums = header_checksums(call)
        upload = await call.run(
            self._compositions.begin_part,
            call.object_ref(),
            call.query["uploadId"],
            number,
            announced(call, "content-length") or 0,
        )
        try:
            await receive(call, upload, call.request.stream())
        except BaseException:
            await leave(call, upload)
            raise
        content = await call.run(upload.finish, checksums)
        return Response(
            headers={
                "etag": f'"{content.sha256}"',
                "x-goog-hash": storage_json.hashes_text(content),
            }
        )

    async def list_parts(self, call: Call) -> Response:
        """List the parts of a multipart upload."""
        limit = min(call.number("max-parts") or _MAX_PAGE, _MAX_PAGE)
        after = call.number("part-number-marker") or 0
        session_id = call.query["uploadId"]
        parts, more = await call.run(
            self._compositions.list_parts,
            call.object_ref(),
            session_id,
            after=after,
            limit=limit,
        )
        bucket, name = call.names
        shown = {
            "Bucket": bucket,
            "Key": name,
            "UploadId": session_id,
            "StorageClass": "STANDARD",
            "PartNumberMarker": str(after),
            "MaxParts": str(limit),
        }
        body = storage_xml_text.parts_listing(parts, shown, more=more)
        return Response(body, media_type=XML)

    async def complete(self, call: Call) -> Response:
        """Complete a multipart upload."""
        body = bytearray()
        async for chunk in call.request.stream():
            body += chunk
            if len(body) > _MAX_BODY_BYTES:
                raise InvalidArgumentError(
                    f"the list of parts is over {_MAX_BODY_BYTES} bytes"
                )
        parts = storage_xml_text.parts_of(bytes(body))
        stored = await call.run(
            self._compositions.complete,
            call.object_ref(),
            call.query["uploadId"],
            parts,
        )
        return Response(
            storage_xml_text.completed(stored, call.base_url),
            headers=written_headers(stored),
            media_type=XML,
        )

    async def abort(self, call: Call) -> Response:
        """Abort a multipart upload."""
        session_id = call.query["uploadId"]
        await call.run(self._compositions.abort, call.object_ref(), session_id)
        return Response(status_code=_CANCELLED)
