"""An answer that goes to the client piece by piece, as the handler makes it."""

import asyncio
import base64
import collections
from collections.abc import Callable
from typing import Any, Final, Protocol, final

import orjson
from starlette.types import Receive, Send

from homeport.api import exchange
from homeport.edge import codec, raw, status, tensors
from homeport.errors import HomeportError, ResourceExhaustedError
from homeport.serving.router import Share
from homeport.worker.protocol import Head
from homeport.worker.replica import Reply

# What a client that reads slowly may leave lying here; the handler does not wait.
_MAX_UNREAD_BYTES: Final = 16 * 1024 * 1024
Headers = list[tuple[bytes, bytes]]


class Form(Protocol):
    """How pieces are written."""

    share: Share
    """Who answers."""

    def headers(self, head: Head) -> Headers:
        """Return the headers of the answer."""

    def piece(self, body: bytes, *, first: bool) -> bytes:
        """Return one piece as it is sent."""

    def end(self, *, empty: bool) -> bytes:
        """Return what follows the last piece."""


@final
class Plain:
    """Pieces as the handler made them."""

    def __init__(self, share: Share) -> None:
        self.share = share

    def headers(self, head: Head) -> Headers:
        """Return the handler's, and what names the deployed model."""
        return raw.for_client(head.headers) + list(self.share.headers)

    def piece(self, body: bytes, *, first: bool) -> bytes:
        """Return the piece as it is."""
        del first
        return body

    def end(self, *, empty: bool) -> bytes:
        """Return nothing."""
        del empty
        return b""


@final
class JsonArray:
    """Pieces as elements of one JSON array, which is how REST streams messages.

    Args:
        share: Who answers.
        message: Makes the message of a piece.
    """

    def __init__(
        self, share: Share, message: Callable[[bytes], dict[str, Any]]
    ) -> None:
        self.share = share
        self._message = message

    def headers(self, head: Head) -> Headers:
        """Return those of JSON, and what names the deployed model."""
        del head
        return [status.JSON_HEADER, *self.share.headers]

    def piece(self, body: bytes, *, first: bool) -> bytes:
        """Return the message of a piece, behind a bracket or a comma."""
        return (b"[" if first else b",\n") + orjson.dumps(self._message(body))

    def end(self, *, empty: bool) -> bytes:
        """Close the array."""
        return b"[]" if empty else b"]"


def http_body(piece: bytes) -> dict[str, Any]:
    """Return a piece as google.api.HttpBody, for the generated client."""
    return {"data": base64.b64encode(piece).decode()}


def streaming_response(piece: bytes) -> dict[str, Any]:
    """Return a piece as StreamingPredictResponse: its predictions, or itself."""
    try:
        value = orjson.loads(piece)
    except ValueError:
        value = piece.decode("utf-8", "replace")
    values = [value]
    if isinstance(value, dict) and isinstance(value.get("predictions"), list):
        values = value["predictions"]
    outputs = tuple(map(tensors.from_json, values))
    return codec.encode(tensors.TensorsResponse(outputs=outputs))


class Stream:
    """Sends the pieces of one answer.

    Args:
        form: How they are written.
        send: ASGI's.
    """

    def __init__(self, form: Form, send: Send) -> None:
        self._form = form
        self._send = send
        self._pieces: collections.deque[Reply] = collections.deque()
        self._unread_bytes = 0
        self._came = asyncio.Event()
        self._status = 0
        self._empty = True
        self._reply: asyncio.Future[Reply] | None = None

    def take(self, piece: Reply) -> None:
        """Take one piece as it comes; too much that is unread ends the stream."""
        self._pieces.append(piece)
        self._unread_bytes += len(piece.payload)
        self._came.set()
        reply = self._reply
        if self._unread_bytes > _MAX_UNREAD_BYTES and reply and not reply.done():
            reply.set_exception(
                ResourceExhaustedError(
                    f"{_MAX_UNREAD_BYTES} bytes of the stream wait to be read: "
                    "read faster, or ask for less"
                )
            )

    async def run(self, reply: asyncio.Future[Reply], receive: Receive) -> int:
        """Send pieces until the reply has come and is sent; return the HTTP status.

        A stream that fails after it has begun breaks off without its end.

        Raises:
            DisconnectedError: The client went.
            HomeportError: It failed before anything was sent.
        """
        self._reply = reply
        reply.add_done_callback(lambda _: self._came.set())
        watching = asyncio.ensure_future(exchange.watched(reply, receive))
        try:
            while not reply.done() or self._pieces:
                await self._send_taken()
            last = await watching
        except HomeportError:
            if self._status:
                return self._status
            raise
        finally:
            watching.cancel()
        if last.code or last.head is None:
            return await self._fail(last)
        await self._write(last)
        await self._body(self._form.end(empty=self._empty), more=False)
        return self._status

    async def _send_taken(self) -> None:
        while self._pieces:
            piece = self._pieces.popleft()
            self._unread_bytes -= len(piece.payload)
            await self._write(piece)
        if self._reply is not None and not self._reply.done():
            self._came.clear()
            await self._came.wait()

    async def _write(self, piece: Reply) -> None:
        if not self._status:
            head = piece.head or Head()
            self._status = head.status
            headers = self._form.headers(head)
            start = {"type": "http.response.start", "status": head.status}
            await self._send({**start, "headers": headers})
        if piece.payload:
            written = self._form.piece(piece.payload, first=self._empty)
            self._empty = False
            await self._body(written, more=True)

    async def _body(self, body: bytes, *, more: bool) -> None:
        message = {"type": "http.response.body", "body": body, "more_body": more}
        await self._send(message)

    async def _fail(self, last: Reply) -> int:
        if not self._status:
            self._status, answer = exchange.failure(self._form.share, last)
            await exchange.send(self._send, self._status, answer)
        return self._status
