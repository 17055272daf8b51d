"""The parent's end of the socket: requests out, replies to their futures.

This is the hot path of the server's event loop. It runs on asyncio and on uvloop.
"""

import asyncio
import itertools
import logging
import socket
import time
from collections.abc import Callable
from typing import Final

from homeport.errors import HomeportError, UnavailableError
from homeport.worker import protocol, requests
from homeport.worker.protocol import HEADER, Decoder, Frame, Kind, ProtocolError, Reply
from homeport.worker.requests import Request, RequestKind

_LOG: Final = logging.getLogger(__name__)
# Above it, copying the body behind its header costs more than a second write.
_JOIN_LIMIT_BYTES: Final = 64 * 1024
_SERVICE_TIME_WEIGHT: Final = 0.2
# Looking a member up in its enum costs as much as packing a header.
_PREDICT: Final = int(Kind.PREDICT)
_REPLY: Final = int(Kind.REPLY)
_ANSWER: Final = int(Kind.ANSWER)
_PIECE: Final = int(Kind.PIECE)
_LAST_BYTES_TIMEOUT_S: Final = 0.5


class ReplicaLink(asyncio.BufferedProtocol):
    """One connection to one worker.

    Args:
        on_control: Called with each frame that is no answer to a request.
        on_lost: Called once when the connection has ended.
        on_room: Called after replies have come, when further requests may be sent.
    """

    def __init__(
        self,
        on_control: Callable[[Frame], None],
        on_lost: Callable[[], None],
        on_room: Callable[[], None],
    ) -> None:
        self._on_control = on_control
        self._on_lost = on_lost
        self._on_room = on_room
        self._loop = asyncio.get_running_loop()
        self._decoder = Decoder()
        self._transport: asyncio.WriteTransport | None = None
        self._pending: dict[int, asyncio.Future[Reply]] = {}
        self._on_piece: dict[int, Callable[[Reply], None]] = {}
        self._next_id = 1
        self._closed_because = ""
        self._ending_because = ""
        self.busy_since: float | None = None
        self.service_time_s = 0.0

    @property
    def outstanding(self) -> int:
        """Requests sent and not answered, given-up ones included."""
        return len(self._pending)

    def predict(
        self, body: bytes, future: asyncio.Future[Reply] | None = None
    ) -> asyncio.Future[Reply]:
        """Send one request; the future has its reply, or fails when the link ends.

        Args:
            body: What is sent.
            future: Where the reply goes; one is made if there is none.
        """
        if future is None:
            future = self._loop.create_future()
        transport = self._transport
        if transport is None or self._closed_because:
            future.set_exception(self._gone())
            return future
        size = len(body)
        if size > protocol.MAX_PAYLOAD_BYTES:
            future.set_exception(protocol.payload_error(size))
            return future
        id_ = self._next_id
        self._next_id = id_ + 1
        if not self._pending:
            self.busy_since = time.monotonic()
        self._pending[id_] = future
        header = HEADER.pack(size, _PREDICT, 0, 0, id_)
        if size <= _JOIN_LIMIT_BYTES:
            transport.write(header + body)
        else:
            transport.write(header)
            transport.write(body)
        return future

    def call(
        self, request: Request, future: asyncio.Future[Reply]
    ) -> asyncio.Future[Reply]:
        """Send a request of any kind; as `predict` does, which is the shorter way."""
        if request.kind is RequestKind.PREDICT:
            return self.predict(request.body, future)
        transport = self._transport
        if transport is None or self._closed_because:
            future.set_exception(self._gone())
            return future
        id_ = self._next_id
        try:
            frame = requests.encode(request, id_)
        except ProtocolError as error:
            future.set_exception(error)
            return future
        self._next_id = id_ + 1
        if not self._pending:
            self.busy_since = time.monotonic()
        self._pending[id_] = future
        if request.on_piece is not None:
            self._on_piece[id_] = request.on_piece
            future.add_done_callback(lambda _: self._on_piece.pop(id_, None))
        transport.write(frame)
        return future

    def cancel(self, future: asyncio.Future[Reply]) -> None:
        """Have a request not begun if nobody began it; one that is not here is fine.

        The worker still answers it, which frees its place.
        """
        for id_, pending in self._pending.items():
            if pending is future:
                self.send(protocol.encode(Kind.CANCEL, id_=id_))
                return

    def fail_oldest(self, count: int, error: HomeportError) -> None:
        """Fail the requests sent first of those without a reply; the link lives on."""
        for future in itertools.islice(self._pending.values(), count):
            if not future.done():
                future.set_exception(error)

    def send(self, frame: bytes) -> None:
        """Send a frame that has no reply; nothing happens on an ended link."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)

    def finish(self, reason: str) -> None:
        """End the link when all that was sent before the process ended is read."""
        self._ending_because = reason
        if self._transport is None:
            self.close(reason)
        else:
            self._loop.call_later(_LAST_BYTES_TIMEOUT_S, self.close, reason)

    def close(self, reason: str) -> None:
        """End the link; every request without a reply fails with `reason`."""
        if self._closed_because:
            return
        self._closed_because = reason
        if self._transport is not None:
            self._transport.abort()
        pending, self._pending = self._pending, {}
        self.busy_since = None
        for future in pending.values():
            if not future.done():
                future.set_exception(self._gone())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]  # a socket's is one

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner, who learns how the process ended and calls `close`."""
        del exc
        self._transport = None
        if self._ending_because:
            self.close(self._ending_because)
        else:
            self._on_lost()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go."""
        del sizehint
        return self._decoder.writable()

    def buffer_updated(self, nbytes: int) -> None:
        """Hand each completed frame to whom it is for."""
        try:
            frames = self._decoder.received(nbytes)
        except ProtocolError as error:
            _LOG.error("%s", error.message)
            if self._transport is not None:
                # The owner learns it from connection_lost.
                self._transport.abort()
            return
        before = len(self._pending)
        for frame in frames:
            # One bad frame or one given-up request must not take the link down.
            try:
                self._dispatch(frame)
            except Exception:  # noqa: BLE001  # it is logged, and the link lives on
                _LOG.exception("a frame of kind %d could not be handled", frame.kind)
        answered = before - len(self._pending)
        if answered > 0:
            self._note_service(answered)
            self._on_room()

    def _dispatch(self, frame: Frame) -> None:
        if frame.kind != _REPLY:
            self._dispatch_other(frame)
            return
        future = self._pending.pop(frame.id, None)
        if future is not None and not future.done():
            future.set_result(Reply(frame.status, frame.payload))

    def _dispatch_other(self, frame: Frame) -> None:
        if frame.kind == _PIECE:
            on_piece = self._on_piece.get(frame.id)
            if on_piece is not None:
                on_piece(requests.decode_answer(frame))
        elif frame.kind == _ANSWER:
            future = self._pending.pop(frame.id, None)
            if future is not None and not future.done():
                future.set_result(requests.decode_answer(frame))
        else:
            self._on_control(frame)

    def _note_service(self, answered: int) -> None:
        now = time.monotonic()
        if self.busy_since is not None:
            sample_s = (now - self.busy_since) / answered
            weight = _SERVICE_TIME_WEIGHT if self.service_time_s else 1.0
            self.service_time_s += weight * (sample_s - self.service_time_s)
        self.busy_since = now if self._pending else None

    def _gone(self) -> UnavailableError:
        reason = self._closed_because or "its connection was lost"
        return UnavailableError(
            f"the replica ended before it answered ({reason}): try again"
        )


async def connect(
    sock: socket.socket,
    on_control: Callable[[Frame], None],
    on_lost: Callable[[], None],
    on_room: Callable[[], None],
) -> ReplicaLink:
    """Return the link over `sock`, which the link's transport owns from here on."""
    loop = asyncio.get_running_loop()
    _, link = await loop.create_unix_connection(
        lambda: ReplicaLink(on_control, on_lost, on_room), sock=sock
    )
    return link
