"""One HTTP exchange without a framework: reading, waiting for a reply, answering."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

import orjson
from starlette.types import Receive, Send

from homeport.edge import status
from homeport.errors import Code, HomeportError
from homeport.serving.router import Share
from homeport.worker.redaction import redacted
from homeport.worker.replica import Reply
from homeport.worker.requests import Request

_log: Final = logging.getLogger(__name__)
_RETRY_AFTER: Final = (b"retry-after", b"1")
_RETRIABLE: Final = frozenset({429, 503})
_IDEMPOTENCY_KEY: Final = b"idempotency-key"
_DISCONNECT: Final = "http.disconnect"
_PATIENCE_S: Final = 0.1


class DisconnectedError(Exception):
    """The client has gone; nobody waits for an answer."""


class DisconnectWatch:
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


async def read(receive: Receive) -> bytes:
    """Return a request's whole body.

    Raises:
        DisconnectedError: The client went before its end.
    """
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == _DISCONNECT:
            raise DisconnectedError
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def is_retriable(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether the client says that doing its request twice does no harm."""
    return any(name == _IDEMPOTENCY_KEY for name, _ in headers)


async def ask(
    share: Share, work: bytes | Request, receive: Receive, *, retriable: bool = False
) -> Reply:
    """Return a deployed model's answer to one request.

    A request that has to wait for room is given up when its client goes.

    Args:
        share: Whose turn it is.
        work: What is asked.
        receive: ASGI's.
        retriable: Another replica does it if the first one dies under it.

    Raises:
        DisconnectedError: The client went.
        HomeportError: There is no answer.
    """
    pool = share.pool
    reply = pool.submit(work, retriable=retriable)
    if not pool.queued:
        return await reply
    return await watched(reply, receive)


async def watched(reply: asyncio.Future[Reply], receive: Receive) -> Reply:
    """Return a reply, which is given up when the client goes.

    Raises:
        DisconnectedError: The client went.
        HomeportError: There is no answer.
    """
    watch = DisconnectWatch(receive, reply)
    try:
        return await reply
    except asyncio.CancelledError:
        if watch.disconnected:
            raise DisconnectedError from None
        raise
    finally:
        watch.end()
        reply.cancel()


def failure(share: Share, reply: Reply) -> tuple[int, bytes]:
    """Return the status and body for a reply that has a code."""
    message = reply.payload.decode("utf-8", "replace")
    if not reply.is_redacted:
        (message,) = redacted([message], share.environment)
    known = reply.code in Code.__members__.values()
    code = Code(reply.code) if known else Code.INTERNAL
    http, document = status.status(code, message)
    return http, orjson.dumps(document)


def refusal(error: Exception) -> tuple[int, bytes]:
    """Return the status and body for what was raised; a bug is logged."""
    if not isinstance(error, HomeportError):
        _log.error("a prediction failed", exc_info=error)
    http, document = status.from_exception(error)
    return http, orjson.dumps(document)


async def send(
    send: Send,
    http: int,
    body: bytes,
    headers: Iterable[tuple[bytes, bytes]] = (status.JSON_HEADER,),
) -> None:
    """Answer with a whole body.

    Args:
        send: ASGI's.
        http: The status.
        body: The body.
        headers: Its content type, and others; names in lower case.
    """
    lines = [*headers, (b"content-length", b"%d" % len(body))]
    if http in _RETRIABLE:
        lines.append(_RETRY_AFTER)
    await send({"type": "http.response.start", "status": http, "headers": lines})
    await send({"type": "http.response.body", "body": body})
