"""Online prediction: the shortest way from the socket to a worker and back.

A raw ASGI application. The body's bytes go to the worker as they came, the worker's
predictions come back as JSON text, and nothing in between parses either or asks the
database. An HTTP protocol of our own can take its place without moving what is below:
it needs `Predictions.predict` alone.
"""

import asyncio
import dataclasses
import logging
import re
import time
from typing import Final

import orjson
from starlette.types import Receive, Scope, Send

from homeport.api.access import AccessLog
from homeport.edge import guard, status
from homeport.edge.guard import HostGuard
from homeport.errors import (
    Code,
    FailedPreconditionError,
    HomeportError,
    UnavailableError,
)
from homeport.resources.names import EndpointName
from homeport.serving.endpoints import Endpoints
from homeport.serving.logs import redacted
from homeport.serving.router import Router, Share
from homeport.worker.replica import Reply

_PATH: Final = re.compile(
    r"/v1(?:beta1)?/(projects/[^/]+/locations/[^/]+/endpoints/[^/]+):predict"
)
_RETRY_AFTER: Final = (b"retry-after", b"1")
_RETRIABLE: Final = frozenset({429, 503})
_log: Final = logging.getLogger(__name__)
_HEAD: Final = b'{"predictions":'
_DISCONNECT: Final = "http.disconnect"
_PATIENCE_S: Final = 0.1


class _DisconnectedError(Exception):
    """The client has gone; nobody waits for an answer."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """What holds for predictions as for every other request.

    Attributes:
        guard: Says which hosts and pages are refused.
        max_body_bytes: Longest body.
        access_log: Where requests are noted.
    """

    guard: HostGuard
    max_body_bytes: int
    access_log: AccessLog


class Predictions:
    """Answers `:predict`.

    Args:
        router: Who answers.
        endpoints: Says why nobody does.
        rules: What else holds.
    """

    def __init__(self, router: Router, endpoints: Endpoints, rules: Rules) -> None:
        self._router = router
        self._endpoints = endpoints
        self._rules = rules

    @staticmethod
    def match(scope: Scope) -> str:
        """Return the endpoint a request predicts on, by full name; else ""."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return ""
        found = _PATH.fullmatch(scope["path"])
        return found[1] if found else ""

    async def __call__(
        self, endpoint: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer one request.

        Args:
            endpoint: What `match` returned.
            scope: ASGI's.
            receive: ASGI's.
            send: ASGI's.
        """
        share: Share | None = None
        began = time.perf_counter()
        try:
            self._admit(scope)
            body = await _read(receive, self._rules.max_body_bytes)
            share = await self._turn(endpoint)
            reply = await self.predict(share, body, receive)
        except _DisconnectedError:
            self._rules.access_log.note(scope, 0, 0, began)
            return
        except Exception as error:  # noqa: BLE001  # the edge of a request
            http, answer = _refusal(error)
        else:
            http, answer = _answer(share, reply)
        if share is not None:
            share.meter.observe(http, time.perf_counter() - began)
        await _send(send, http, answer)
        self._rules.access_log.note(scope, http, len(answer), began)

    async def predict(self, share: Share, body: bytes, receive: Receive) -> Reply:
        """Return a deployed model's answer to one request.

        A request that has to wait for room is given up when its client goes.
        """
        pool = share.pool
        reply = pool.submit(body)
        if not pool.queued:
            return await reply
        watch = _DisconnectWatch(receive, reply)
        try:
            return await reply
        except asyncio.CancelledError:
            if watch.disconnected:
                raise _DisconnectedError from None
            raise
        finally:
            watch.end()
            reply.cancel()

    def _admit(self, scope: Scope) -> None:
        refusal = self._rules.guard.refusal(scope["headers"])
        if refusal is not None:
            raise refusal

    async def _turn(self, endpoint: str) -> Share:
        route = self._router.find(endpoint)
        share = route.next() if route is not None else None
        if share is not None:
            return share
        name = EndpointName.parse(endpoint)
        found = await asyncio.to_thread(self._endpoints.get, name)
        if not found.traffic_split:
            # The service's own sentence; clients match it.
            raise FailedPreconditionError(
                f"Endpoint {name} doesn't have traffic_split. Deploy a model with "
                '{"0": 100}, or update the endpoint with a split.',
                resource=endpoint,
            )
        raise UnavailableError(
            f"endpoint {name} is starting its models: retry in a moment",
            resource=endpoint,
        )


class _DisconnectWatch:
    """Cancels a reply that nobody waits for any more.

    Listening for a disconnect costs a task; most requests have their reply before the
    watch begins.
    """

    def __init__(self, receive: Receive, reply: asyncio.Future[Reply]) -> None:
        self._receive = receive
        self._reply = reply
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE_S, self._begin)
        self.disconnected = False

    def end(self) -> None:
        """Watch no longer."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = asyncio.ensure_future(self._listen())

    async def _listen(self) -> None:
        message = await self._receive()
        if message["type"] == _DISCONNECT:
            self.disconnected = True
            self._reply.cancel()


async def _read(receive: Receive, limit_bytes: int) -> bytes:
    """Return a request's whole body.

    Raises:
        FailedPreconditionError: It is longer than the limit.
        _DisconnectedError: The client went before its end.
    """
    parts: list[bytes] = []
    size_bytes = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == _DISCONNECT:
            raise _DisconnectedError
        part: bytes = message.get("body", b"")
        size_bytes += len(part)
        if size_bytes > limit_bytes:
            raise guard.too_long(limit_bytes)
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _answer(share: Share, reply: Reply) -> tuple[int, bytes]:
    if not reply.code:
        return 200, b"".join((_HEAD, reply.payload, share.tail))
    said = reply.payload.decode("utf-8", "replace")
    (message,) = redacted([said], share.environment)
    http, document = status.status(Code(reply.code), message)
    return http, orjson.dumps(document)


def _refusal(error: Exception) -> tuple[int, bytes]:
    if not isinstance(error, HomeportError):
        _log.error("a prediction failed", exc_info=error)
    http, document = status.from_exception(error)
    return http, orjson.dumps(document)


async def _send(send: Send, http: int, body: bytes) -> None:
    headers = [status.JSON_HEADER, (b"content-length", b"%d" % len(body))]
    if http in _RETRIABLE:
        headers.append(_RETRY_AFTER)
    await send({"type": "http.response.start", "status": http, "headers": headers})
    await send({"type": "http.response.body", "body": body})
