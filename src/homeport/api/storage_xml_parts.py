"""Uploads in parts over the XML API, in any order and several at a time.

The ETag of a part is the sha256 of its bytes: opaque to clients, who repeat it.
"""

from typing import Final

from starlette.responses import Response

from homeport.api import storage_json, storage_xml_text
from homeport.api.storage_receiving import header_checksums, leave, receive
from homeport.api.storage_requests import Call
from homeport.api.storage_xml_objects import XML, new_object, written_headers
from homeport.errors import InvalidArgumentError
from homeport.registry.compositions import Compositions

_MAX_BODY_BYTES: Final = 4 << 20
_CANCELLED: Final = 204


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
