"""The object store's two APIs as one application, without the rest of the server."""

import datetime as dt
import pathlib

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from homeport.api import storage
from homeport.api.storage_requests import StorageVerbs
from homeport.metadata.database import Database
from homeport.objects.blobs import Blobs
from homeport.objects.parts import FileParts
from homeport.registry.buckets import Buckets
from homeport.registry.compositions import Compositions
from homeport.registry.object_uploads import ObjectUploads


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def application(database: Database, blobs: Blobs, parts: pathlib.Path) -> ASGIApp:
    """Return what answers both.

    Args:
        database: Where the rows are.
        blobs: Where the bytes are.
        parts: Where those of uploads in parts are; made when missing.
    """
    kept = FileParts(parts)
    kept.start()
    surfaces = storage.build(
        StorageVerbs(
            Buckets(database, blobs, now),
            ObjectUploads(database, blobs, now),
            Compositions(database, blobs, kept, now),
        )
    )
    json_api = Starlette(routes=surfaces.routes)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        chosen = surfaces.xml if surfaces.xml.takes(scope) else json_api
        await chosen(scope, receive, send)

    return answer
