"""The whole REST surface as one ASGI application."""

import contextlib
import dataclasses
import logging
import re
import time
from collections.abc import Iterable, Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from homeport.api import (
    access,
    checks,
    comparison,
    deployments,
    evaluations,
    health,
    history,
    jobs,
    locations,
    models,
    openapi,
    provenance,
    tokens,
    traffic,
    transfers,
    unimplemented,
)
from homeport.api import endpoints as endpoint_routes
from homeport.api import operations as operation_routes
from homeport.api.access import AccessLog, Logged
from homeport.api.model_calls import ModelCalls
from homeport.api.model_reads import ModelReads
from homeport.api.predictions import Predictions
from homeport.api.storage import Storage
from homeport.api.storage_xml import OWN_ROOTS
from homeport.api.turns import Turns
from homeport.edge import guard, status
from homeport.errors import HomeportError
from homeport.identity.tokens import Tokens
from homeport.jobs.batch_jobs import BatchJobs
from homeport.registry.catalog import Catalog
from homeport.registry.comparisons import Comparisons
from homeport.registry.evaluations import Evaluations
from homeport.registry.exports import Exports
from homeport.registry.history import History
from homeport.registry.locations import Locations
from homeport.registry.operations import Operations
from homeport.registry.provenance import Provenances
from homeport.registry.transfers import Transfers
from homeport.registry.upload import Uploads
from homeport.serving.deployments import Deployments
from homeport.serving.endpoints import Endpoints
from homeport.serving.reconciler import Reconciler
from homeport.serving.router import Router
from homeport.telemetry import Metrics

_log: Final = logging.getLogger(__name__)
# A storage upload is streamed to disk; its own limit is the disk.
_UPLOAD_BYTES: Final = 5 << 40
_CLIENT_CLOSED: Final = 499


@dataclasses.dataclass(frozen=True, slots=True)
class Verbs:
    """The rooms below, as the surface calls them.

    Attributes:
        worker_sandbox: What the kernel keeps from workers, for people.
    """

    catalog: Catalog
    uploads: Uploads
    transfers: Transfers
    exports: Exports
    evaluations: Evaluations
    history: History
    provenances: Provenances
    comparisons: Comparisons
    operations: Operations
    locations: Locations
    endpoints: Endpoints
    batch_jobs: BatchJobs
    deployments: Deployments
    reconciler: Reconciler
    router: Router
    metrics: Metrics
    worker_sandbox: str
    tokens: Tokens


def build(
    verbs: Verbs,
    storage: Storage,
    access_log: AccessLog,
    *,
    hosts: Iterable[str],
    max_request_bytes: int,
    tls_port: int | None = None,
) -> ASGIApp:
    """Return the application: predictions and what reads models by the short way.

    Both are guarded by the same rules and noted in the same log.

    Args:
        verbs: What it calls.
        storage: The embedded object store.
        access_log: Where every request is noted.
        hosts: Names that requests may be addressed to.
        max_request_bytes: Longest body of a request that is not a storage upload.
        tls_port: Where HTTPS is answered, None for nowhere.
    """
    turns = Turns(verbs.router, verbs.endpoints)
    predictions, model_calls = Predictions(turns), ModelCalls(turns)
    reads = ModelReads(verbs.catalog)
    control = _logged_once(_control_plane(verbs, storage.routes, tls_port))

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = predictions.match(scope)
        if endpoint:
            await predictions(endpoint, scope, receive, send)
        elif (call := model_calls.match(scope)) is not None:
            await model_calls(call, scope, receive, send)
        elif (asked := reads.match(scope)) is not None:
            answer = await _read(reads, asked, Request(scope))
            await answer(scope, receive, send)
        elif storage.xml.takes(scope):
            await storage.xml(scope, receive, send)
        else:
            await control(scope, receive, send)

    limited = guard.BodyLimit(route, max_request_bytes, _limits(max_request_bytes))
    guarded = guard.HostGuard(limited, hosts, verbs.tokens.check)
    logged = Logged(guarded, access_log)

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what `logged` would, a prediction in its usual form sooner."""
        endpoint = predictions.match(scope)
        if (
            endpoint
            and guarded.refusal(scope["headers"]) is None
            and limited.admits(scope)
        ):
            began = time.perf_counter()
            http, size_bytes = await predictions(endpoint, scope, receive, send)
            access_log.note(scope, http, size_bytes, began)
        else:
            await logged(scope, receive, send)

    return front


def _limits(max_request_bytes: int) -> dict[str, int]:
    """Return the longest body by path: of a bucket's, that of an upload."""
    own = {f"/{root}": max_request_bytes for root in OWN_ROOTS}
    uploads = ("/", "/upload/", "/resumable/upload/")
    return {**own, **dict.fromkeys(uploads, _UPLOAD_BYTES)}


def _control_plane(
    verbs: Verbs, storage: Sequence[Route], tls_port: int | None
) -> Starlette:
    vertex, own = _vertex(verbs), _own(verbs)
    # Behind all that are answered.
    refused = unimplemented.routes()
    app = Starlette(
        routes=[
            *(Mount(at, routes=[*found, *refused]) for at, found in vertex),
            # Otherwise a path that is the prefix alone is led to one with a slash.
            *(Route(at, _nothing) for at, _ in vertex),
            *own,
            *openapi.routes([*vertex, ("", own)]),
            *storage,
        ],
        exception_handlers={
            HomeportError: _on_error,
            HTTPException: _on_no_route,
            ClientDisconnect: _on_left,
            Exception: _on_error,
        },
    )
    app.state.tls_port = tls_port
    return app


def _logged_once(app: Starlette) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        # `_on_error` has logged and answered what comes out of the framework, which
        # raises it again for the server to log once more.
        with contextlib.suppress(Exception):
            await app(scope, receive, send)

    return answer


def _vertex(verbs: Verbs) -> list[openapi.Prefixed]:
    """Return the routes of Vertex AI's services by prefix, those asked most first."""
    ledger = verbs.operations
    shared = [
        *operation_routes.routes(ledger, verbs.endpoints),
        *locations.routes(verbs.locations),
    ]
    services = [
        *shared,
        *models.routes(verbs.catalog, verbs.uploads, ledger),
        *transfers.routes(verbs.transfers, verbs.exports, ledger),
        *evaluations.routes(verbs.evaluations),
        *deployments.routes(verbs.deployments, verbs.endpoints, ledger),
        *jobs.routes(verbs.batch_jobs, ledger),
        *endpoint_routes.routes(verbs.endpoints, verbs.reconciler.ready_replicas),
    ]
    # The SDK asks operations and locations under /ui.
    return [("/v1", services), ("/v1beta1", services), ("/ui", shared)]


def _own(verbs: Verbs) -> list[Route]:
    return [
        *health.routes(
            verbs.reconciler, verbs.endpoints, verbs.metrics, verbs.worker_sandbox
        ),
        *traffic.routes(verbs.deployments, verbs.endpoints, verbs.operations),
        *checks.routes(verbs.catalog),
        *history.routes(verbs.history),
        *jobs.own_routes(verbs.batch_jobs),
        *provenance.routes(verbs.provenances),
        *comparison.routes(verbs.comparisons),
        *tokens.routes(verbs.tokens),
    ]


async def _nothing(request: Request) -> Response:
    raise unimplemented.no_route(request)


async def _read(reads: ModelReads, asked: re.Match[str], request: Request) -> Response:
    try:
        return await reads.answer(asked, request)
    except Exception as error:  # noqa: BLE001  # the edge of a request
        return await _on_error(request, error)


async def _on_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HomeportError):
        _log.error("%s failed", access.asked(request.scope), exc_info=error)
    http, document = status.from_exception(error)
    return JSONResponse(document, http)


async def _on_left(request: Request, error: Exception) -> Response:
    """Return what nobody reads: the client left while it sent."""
    del request, error
    return Response(status_code=_CLIENT_CLOSED)


async def _on_no_route(request: Request, error: Exception) -> Response:
    del error
    http, document = status.from_exception(unimplemented.no_route(request))
    return JSONResponse(document, http)
