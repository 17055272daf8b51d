"""The part of Google Cloud Storage's XML API that its clients use.

obstore speaks nothing else, and google-cloud-storage sends the parts of a large file
by it: `/{bucket}/{object}` on every path that is no other surface's.
"""

import dataclasses
import logging
import re
import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from homeport.api import access, storage_json, storage_xml_text
from homeport.api.storage_requests import Call, StorageVerbs, decoded, query_of
from homeport.api.storage_xml_objects import ObjectMethods
from homeport.api.storage_xml_parts import PartMethods
from homeport.errors import UnimplementedError

_log: Final = logging.getLogger(__name__)

# First words of paths that are other surfaces': buckets of these names are reached
# over the JSON API alone.
OWN_ROOTS: Final = (
    "batch",
    "download",
    "healthz",
    "homeport",
    "metrics",
    "openapi.json",
    "readyz",
    "resumable",
    "storage",
    "token",
    "ui",
    "upload",
    "v1",
    "v1beta1",
)
_BUCKET_RE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_CLIENT_CLOSED: Final = 499
# How many names a path has that is of a bucket, or of an object.
_BUCKET: Final = 1
_OBJECT: Final = 2
# Header -> the parameter of the JSON API that says the same.
_PARAMETERS: Final = {
    "x-goog-if-generation-match": "ifGenerationMatch",
    "x-goog-if-metageneration-match": "ifMetagenerationMatch",
    "x-goog-copy-source-generation": "sourceGeneration",
    "x-goog-copy-source-if-generation-match": "ifSourceGenerationMatch",
    "x-goog-copy-source-if-metageneration-match": "ifSourceMetagenerationMatch",
}

_Handler = Callable[[Call], Awaitable[Response]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Route:
    """One method of the API.

    Attributes:
        method: Of HTTP.
        names: How many the path has.
        parameter: The one that tells it from others, "" for none.
        handler: What answers.
    """

    method: str
    names: int
    parameter: str
    handler: _Handler


class XmlApi:
    """The XML API as an ASGI application.

    Args:
        verbs: What it calls.
        threads: Where blocking calls go.
    """

    def __init__(self, verbs: StorageVerbs, threads: anyio.CapacityLimiter) -> None:
        self._threads = threads
        objects, parts = ObjectMethods(verbs), PartMethods(verbs.compositions)
        # The first that fits; "" stands for a request without those before it.
        self._routes = (
            _Route("POST", _OBJECT, "uploads", parts.begin),
            _Route("POST", _OBJECT, "uploadId", parts.complete),
            _Route("PUT", _OBJECT, "uploadId", parts.put),
            _Route("DELETE", _OBJECT, "uploadId", parts.abort),
            _Route("GET", _OBJECT, "uploadId", parts.list_parts),
            _Route("GET", _OBJECT, "", objects.get),
            _Route("HEAD", _OBJECT, "", objects.head),
            _Route("PUT", _OBJECT, "", objects.put),
            _Route("DELETE", _OBJECT, "", objects.delete),
            _Route("GET", _BUCKET, "", objects.list_objects),
            _Route("HEAD", _BUCKET, "", objects.head_bucket),
        )

    def takes(self, scope: Scope) -> bool:
        """Tell whether a request is one of this API."""
        if scope["type"] != "http":
            return False
        bucket = _segments(scope)[0]
        # No form is posted here: such a request is for a surface that there is not.
        return (
            bucket not in OWN_ROOTS
            and _BUCKET_RE.fullmatch(bucket) is not None
            and (scope["method"] != "POST" or b"upload" in scope["query_string"])
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, also one that fails."""
        request = Request(scope, receive)
        try:
            response = await self._dispatch(request)
        except ClientDisconnect:
            response = Response(status_code=_CLIENT_CLOSED)
        except Exception as error:  # noqa: BLE001  # the edge of a request
            response = _failed(request, error)
        await response(scope, receive, send)

    async def _dispatch(self, request: Request) -> Response:
        path = request.scope["raw_path"].decode("ascii")
        bucket, name = _segments(request.scope)
        names = (bucket, decoded(name)) if name else (bucket,)
        call = Call(request, path, names, _query(request), self._threads)
        for route in self._routes:
            if (
                route.method == request.method
                and route.names == len(names)
                and (not route.parameter or route.parameter in call.query)
            ):
                return await route.handler(call)
        raise UnimplementedError(
            f"{request.method} {path} is not implemented in the XML API: use the JSON "
            "API, or see docs/compatibility.md for what is"
        )


def _segments(scope: Scope) -> tuple[str, str]:
    """Return the bucket, decoded, and the object, as it was sent.

    obstore percent-encodes the hyphens of both.
    """
    path = scope["raw_path"].decode("ascii")
    bucket, _, name = path.removeprefix("/").partition("/")
    return urllib.parse.unquote(bucket), name


def _query(request: Request) -> dict[str, str]:
    """Return the parameters, and those that the XML API has as headers."""
    query = query_of(request)
    for header, name in _PARAMETERS.items():
        if header in request.headers:
            query[name] = request.headers[header]
    return query


def _failed(request: Request, error: Exception) -> Response:
    http, document = storage_json.error(error)
    if http == 500:  # noqa: PLR2004  # internal
        _log.error("%s failed", access.asked(request.scope), exc_info=error)
    body = storage_xml_text.error(http, document["error"]["message"])
    return Response(body, http, media_type="application/xml")
