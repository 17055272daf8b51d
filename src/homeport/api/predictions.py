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

    async def __call__(self, endpoint: str, receive: Receive, send: Send) -> None:
        """Answer one request.

        Args:
            endpoint: What `match` returned.
            receive: ASGI's.
            send: ASGI's.
        """
        share: Share | None = None
        began = time.perf_counter()
        try:
            body = await _read(receive)
            began = time.perf_counter()
            share = await self._turn(endpoint)
            reply = await self.predict(share, body, receive)
        except _DisconnectedError:
            return
        except Exception as error:  # noqa: BLE001  # the edge of a request
            http, answer = _refusal(error)
        else:
            http, answer = _answer(share, reply)
        if share is not None:
            share.meter.observe(http, time.perf_counter() - began)
        await _send(send, http, answer)

    async def predict(self, share: Share, body: bytes, receive: Receive) -> Reply:
        """Return a deployed model's answer to one request.

        A request that has to wait for room is given up when its client goes.
        """
        pool = share.pool
        reply = pool.submit(body)
        if not pool.queued:
            return await reply
        gone = asyncio.ensure_future(receive())
        try:
            await asyncio.wait((reply, gone), return_when=asyncio.FIRST_COMPLETED)
            if not reply.done() and gone.result()["type"] == _DISCONNECT:
                raise _DisconnectedError
            return await reply
        finally:
            gone.cancel()
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


async def _read(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == _DISCONNECT:
        raise _DisconnectedError
    if not message.get("more_body", False):
        return body
    parts = [body]
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == _DISCONNECT:
            raise _DisconnectedError
        parts.append(message.get("body", b""))
    return b"".join(parts)


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
