"""Online prediction: the shortest way from the socket to a worker and back.

A raw ASGI application. The body's bytes go to the worker as they came, the worker's
predictions come back as JSON text, and nothing in between parses either or asks the
database. An HTTP protocol of our own can take its place without moving what is below:
it needs `Predictions.predict` alone.
"""

import asyncio
import logging
import re
import time
from typing import Final

import orjson
from starlette.types import Receive, Scope, Send

from homeport.edge import status
from homeport.errors import (
    Code,
    FailedPreconditionError,
    HomeportError,
    UnavailableError,
)
from homeport.resources.names import EndpointName
from homeport.serving.endpoints import Endpoints
from homeport.serving.router import Router, Share
from homeport.worker.redaction import redacted
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


class Predictions:
    """Answers `:predict`.

    Args:
        router: Who answers.
        endpoints: Says why nobody does.
    """

    def __init__(self, router: Router, endpoints: Endpoints) -> None:
        self._router = router
        self._endpoints = endpoints

    @staticmethod
    def match(scope: Scope) -> str:
        """Return the endpoint a request predicts on, by full name; else ""."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return ""
        found = _PATH.fullmatch(scope["path"])
        return found[1] if found else ""

    async def __call__(
        self, endpoint: str, receive: Receive, send: Send
    ) -> tuple[int, int]:
        """Answer one request; return the status and the length of the answer's body.

        Args:
            endpoint: What `match` returned.
            receive: ASGI's.
            send: ASGI's.
        """
        share: Share | None = None
        began = time.perf_counter()
        try:
            body = await _read(receive)
            # The metric does not count how long the client takes to send.
            began = time.perf_counter()
            share = await self._turn(endpoint)
            reply = await self.predict(share, body, receive)
        except _DisconnectedError:
            return 0, 0
        except Exception as error:  # noqa: BLE001  # the edge of a request
            http, answer = _refusal(error)
        else:
            http, answer = _answer(share, reply)
        if share is not None:
            share.meter.observe(http, time.perf_counter() - began)
        await _send(send, http, answer)
        return http, len(answer)

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


async def _read(receive: Receive) -> bytes:
    """Return a request's whole body.

    Raises:
        _DisconnectedError: The client went before its end.
    """
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == _DISCONNECT:
            raise _DisconnectedError
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _answer(share: Share, reply: Reply) -> tuple[int, bytes]:
    if not reply.code:
        return 200, b"".join((_HEAD, reply.payload, share.tail))
    said = reply.payload.decode("utf-8", "replace")
    (message,) = redacted([said], share.environment)
    known = reply.code in Code.__members__.values()
    code = Code(reply.code) if known else Code.INTERNAL
    http, document = status.status(code, message)
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
