"""The child's only loop: frames in, replies out, one thread.

Requests queue in the socket and here; there is no second thread, so a handler is never
called twice at the same time.
"""

import collections
import select
import socket
import time
from typing import Final

from homeport.worker import batching, examination, protocol
from homeport.worker.batching import BatchPolicy
from homeport.worker.calls import Predictor
from homeport.worker.protocol import HEADER, Decoder, Frame, Kind, ProtocolError

# Replies leave together, but none waits longer than this for the next.
_FLUSH_AFTER_S: Final = 0.002
# Looking a member up in its enum costs as much as packing a header.
_PREDICT: Final = int(Kind.PREDICT)
_REPLY: Final = int(Kind.REPLY)
_EXAMINE: Final = int(Kind.EXAMINE)


class ParentGoneError(Exception):
    """The socket reached its end: nobody waits for anything any more."""


class Link:
    """The child's end of the socket.

    Args:
        sock: Connected to the parent, blocking.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        # select would refuse a file descriptor of 1024 and more.
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._decoder = Decoder()
        self._frames: collections.deque[Frame] = collections.deque()

    def send(self, data: bytes) -> None:
        """Send all of `data`.

        Raises:
            ParentGoneError: There is nobody to read it.
        """
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise ParentGoneError from error

    def next_frame(self) -> Frame:
        """Wait for one frame and return it.

        Raises:
            ParentGoneError: There will be none.
        """
        while not self._frames:
            self._receive(0)
        return self._frames.popleft()

    def waiting(self) -> int:
        """Return how many frames are here already."""
        return len(self._frames)

    def drain(self, timeout_s: float) -> None:
        """Take in what has arrived, waiting up to `timeout_s` for anything.

        Raises:
            ParentGoneError: The socket reached its end.
        """
        if timeout_s > 0:
            self._poll.poll(timeout_s * 1000)
        try:
            self._receive(socket.MSG_DONTWAIT)
        except BlockingIOError:
            return

    def _receive(self, flags: int) -> None:
        try:
            count = self._sock.recv_into(self._decoder.writable(), 0, flags)
        except ConnectionError as error:
            raise ParentGoneError from error
        if count == 0:
            raise ParentGoneError
        self._frames.extend(self._decoder.received(count))


class RequestLoop:
    """Answers requests until it is told to stop.

    Args:
        link: Where they come from.
        predictor: Who answers them.
        policy: How many go into one call.
        flush_after_s: How long a reply may wait for the next to leave with it; 0 where
            a call may be cut off, so that what was answered before it is not lost.
    """

    def __init__(
        self,
        link: Link,
        predictor: Predictor,
        policy: BatchPolicy,
        flush_after_s: float = _FLUSH_AFTER_S,
    ) -> None:
        self._link = link
        self._predictor = predictor
        self._policy = policy
        self._flush_after_s = flush_after_s
        self._replies: list[bytes] = []
        self._flushed_at = 0.0

    def run(self) -> None:
        """Answer every request before SHUTDOWN, then return.

        Raises:
            ParentGoneError: The socket reached its end.
        """
        while True:
            batch, stopping = self._next_batch()
            if batch:
                self._answer(batch)
            if stopping:
                self._flush()
                return

    def _next_batch(self) -> tuple[list[Frame], bool]:
        """Return the requests of the next call, and whether SHUTDOWN follows them."""
        if not self._link.waiting():
            self._flush()
        first = self._link.next_frame()
        if first.kind == _EXAMINE:
            self._examine(first)
            return [], False
        if _is_shutdown(first):
            return [], True
        batch = [first]
        begin = time.monotonic()
        while len(batch) < self._policy.max_size:
            if not self._link.waiting() and not self._wait_for_company(batch, begin):
                break
            frame = self._link.next_frame()
            if _is_shutdown(frame):
                return batch, True
            batch.append(frame)
        return batch, False

    def _wait_for_company(self, batch: list[Frame], begin: float) -> bool:
        """Return whether another frame came before the batch had to go."""
        age_s = time.monotonic() - begin
        wait_s = batching.seconds_to_wait(self._policy, len(batch), age_s)
        if wait_s:
            self._flush()
        self._link.drain(wait_s)
        return bool(self._link.waiting())

    def _answer(self, batch: list[Frame]) -> None:
        replies = self._predictor.predict([frame.payload for frame in batch])
        for frame, reply in zip(batch, replies, strict=True):
            self._replies.append(_encode(frame.id, reply))
        if time.monotonic() - self._flushed_at >= self._flush_after_s:
            self._flush()

    def _examine(self, frame: Frame) -> None:
        wanted = protocol.decode_json(frame.payload)
        bodies = [body.encode() for body in wanted["bodies"]]
        self._link.send(examination.encode(self._predictor.examine(bodies)))

    def _flush(self) -> None:
        if self._replies:
            self._link.send(b"".join(self._replies))
            self._replies.clear()
        self._flushed_at = time.monotonic()


def _is_shutdown(frame: Frame) -> bool:
    if frame.kind == _PREDICT:
        return False
    if frame.kind == Kind.SHUTDOWN:
        return True
    raise ProtocolError(
        f"the server sent a frame of kind {frame.kind} while the worker served: "
        "one side was changed without raising the protocol version"
    )


def _encode(id_: int, reply: protocol.Reply) -> bytes:
    size = len(reply.payload)
    if size > protocol.MAX_PAYLOAD_BYTES:
        error = protocol.payload_error(size)
        reply = protocol.Reply(error.code, error.message.encode())
        size = len(reply.payload)
    return HEADER.pack(size, _REPLY, 0, reply.code, id_) + reply.payload
