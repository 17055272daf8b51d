"""The embedded object store over HTTP: Google Cloud Storage's JSON API, and the XML.

Paths are matched as they were sent, before percent-decoding: the name of an object may
hold "/" (sent as %2F) and anything else that Unicode has.
"""

import dataclasses
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from homeport.api import access, storage_downloads, storage_json
from homeport.api.storage_batches import Batches
from homeport.api.storage_buckets import BucketMethods
from homeport.api.storage_compositions import CompositionMethods
from homeport.api.storage_requests import Call, StorageVerbs, decoded, query_of
from homeport.api.storage_uploads import UploadMethods
from homeport.api.storage_xml import XmlApi
from homeport.errors import ConditionNotMetError, NotFoundError
from homeport.registry.object_uploads import ObjectUploads

_log: Final = logging.getLogger(__name__)

# Blocking calls at a time; uploads and downloads hold one only while a block moves.
_THREADS: Final = 16
_CLIENT_CLOSED: Final = 499
_ROOTS: Final = (
    "/storage/v1",
    "/download/storage/v1",
    "/upload/storage/v1",
    "/resumable/upload/storage/v1",
)
_METHODS: Final = ["GET", "POST", "PUT", "PATCH", "DELETE"]

_ALL: Final = r"/storage/v1/b"
_BUCKET: Final = rf"{_ALL}/([^/]+)"
_OBJECTS: Final = rf"{_BUCKET}/o"
_OBJECT: Final = rf"{_OBJECTS}/(.+)"
_COPY: Final = rf"{_OBJECTS}/([^/]+)/copyTo/b/([^/]+)/o/(.+)"
_REWRITE: Final = rf"{_OBJECTS}/([^/]+)/rewriteTo/b/([^/]+)/o/(.+)"
_COMPOSE: Final = rf"{_OBJECTS}/([^/]+)/compose"
_MOVE: Final = rf"{_OBJECTS}/([^/]+)/moveTo/o/(.+)"
_LAYOUT: Final = rf"{_BUCKET}/storageLayout"
_FOLDERS: Final = rf"{_BUCKET}/managedFolders"
_MEDIA: Final = rf"/download{_OBJECT}"
_UPLOAD: Final = rf"(?:/resumable)?/upload{_OBJECTS}"

_Handler = Callable[[Call], Awaitable[Response]]
_Method = Callable[[Call, dict[str, Any]], dict[str, Any] | None]


@dataclasses.dataclass(frozen=True, slots=True)
class _Route:
    methods: str
    pattern: re.Pattern[str]
    handler: _Handler


@dataclasses.dataclass(frozen=True, slots=True)
class Storage:
    """The object store's two APIs.

    Attributes:
        routes: The JSON API, under /storage, /upload and siblings.
        xml: The XML API, on every path that begins with a bucket.
    """

    routes: Sequence[Route]
    xml: XmlApi


def build(verbs: StorageVerbs) -> Storage:
    """Return the object store over HTTP.

    Errors are answered here, in the words of Google Cloud Storage.
    """
    threads = anyio.CapacityLimiter(_THREADS)
    surface = _Surface(verbs, threads)
    batches = Batches(surface.answer)
    routes = (
        *(
            Route(f"{root}/{{path:path}}", surface.answer, methods=_METHODS)
            for root in _ROOTS
        ),
        Route("/batch/storage/v1", batches.answer, methods=["POST"]),
    )
    return Storage(routes, XmlApi(verbs, threads))


class _Surface:
    def __init__(self, verbs: StorageVerbs, threads: anyio.CapacityLimiter) -> None:
        self._buckets = verbs.buckets
        self._routes = (*_json_routes(verbs), *_upload_routes(verbs.uploads))
        self._routes += (_route("GET", _MEDIA, self._download),)
        self._threads = threads

    async def answer(self, request: Request) -> Response:
        """Answer a request, also one that fails."""
        try:
            return await self._dispatch(request)
        except ClientDisconnect:
            # Nobody reads this; what had arrived is dropped, or kept by its session.
            return Response(status_code=_CLIENT_CLOSED)
        except Exception as error:  # noqa: BLE001  # the edge of a request
            return _failed(request, error)

    async def _dispatch(self, request: Request) -> Response:
        path = request.scope["raw_path"].decode("ascii")
        for route in self._routes:
            if request.method not in route.methods.split():
                continue
            match = route.pattern.fullmatch(path)
            if match is not None:
                names = tuple(decoded(segment) for segment in match.groups())
                query = query_of(request)
                call = Call(request, path, names, query, self._threads)
                # Fields that make no sense are refused before anything is done.
                call.selected({})
                return await self._chosen(route, call)
        raise NotFoundError(
            f"{request.method} {path} is not a method of this object store: "
            "docs/compatibility.md lists those that are"
        )

    async def _chosen(self, route: _Route, call: Call) -> Response:
        if call.query.get("alt") == "media" and route.pattern.pattern == _OBJECT:
            return await self._download(call)
        return await route.handler(call)

    async def _download(self, call: Call) -> Response:
        return await storage_downloads.download(self._buckets, call)


def _route(methods: str, pattern: str, handler: _Handler) -> _Route:
    return _Route(methods, re.compile(pattern), handler)


def _json_routes(below: StorageVerbs) -> Sequence[_Route]:
    verbs, making = BucketMethods(below.buckets), CompositionMethods(below)
    table: Sequence[tuple[str, str, _Method]] = (
        ("GET", _ALL, verbs.list_buckets),
        ("POST", _ALL, verbs.insert_bucket),
        ("GET", _BUCKET, verbs.get_bucket),
        ("PATCH PUT", _BUCKET, verbs.patch_bucket),
        ("DELETE", _BUCKET, verbs.delete_bucket),
        ("GET", _OBJECTS, verbs.list_objects),
        ("POST", _COPY, verbs.copy_object),
        ("POST", _REWRITE, verbs.rewrite_object),
        ("POST", _COMPOSE, making.compose),
        ("POST", _MOVE, making.move),
        ("GET", _LAYOUT, verbs.get_layout),
        ("GET", _FOLDERS, verbs.list_managed_folders),
        ("GET", _OBJECT, verbs.get_object),
        ("PATCH PUT", _OBJECT, verbs.patch_object),
        ("DELETE", _OBJECT, verbs.delete_object),
    )
    return [
        _route(methods, pattern, _speaking_json(method))
        for methods, pattern, method in table
    ]


def _upload_routes(uploads: ObjectUploads) -> Sequence[_Route]:
    methods = UploadMethods(uploads)
    return [
        _route("POST", _UPLOAD, methods.post),
        _route("PUT", _UPLOAD, methods.put),
        _route("DELETE", _UPLOAD, methods.delete),
    ]


def _speaking_json(method: _Method) -> _Handler:
    async def handler(call: Call) -> Response:
        document = await call.run(method, call, await call.json())
        if document is None:
            return Response(status_code=204)
        return JSONResponse(call.selected(document))

    return handler


def _failed(request: Request, error: Exception) -> Response:
    http, document = storage_json.error(error)
    if isinstance(error, ConditionNotMetError) and _asks_for_changes(request):
        return Response(status_code=304)
    if http == 500:  # noqa: PLR2004  # internal
        _log.error("%s failed", access.asked(request.scope), exc_info=error)
    return JSONResponse(document, http)


def _asks_for_changes(request: Request) -> bool:
    """Tell a read that wants the object only if it is another than the caller's."""
    names = [name for name in request.query_params if name.endswith("Match")]
    return (
        request.method == "GET"
        and bool(names)
        and all("NotMatch" in name for name in names)
    )
