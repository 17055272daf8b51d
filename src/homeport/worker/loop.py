"""The child's only loop: frames in, replies out, one thread.

Requests queue in the socket and here; there is no second thread, so a handler is never
called twice at the same time.
"""

import collections
import select
import socket
import time
from typing import Final

from homeport.errors import Code
from homeport.worker import batching, examination, protocol, requests
from homeport.worker.batching import BatchPolicy
from homeport.worker.calls import Predictor
from homeport.worker.protocol import HEADER, Decoder, Frame, Kind, ProtocolError

# Replies leave together, but none waits longer than this for the next.
_FLUSH_AFTER_S: Final = 0.002
# After a call of this length the socket is read for cancellations before the next.
_LISTEN_AFTER_S: Final = 0.005
_CANCELLED: Final = protocol.Reply(
    Code.CANCELLED, b"the request was cancelled before it was begun"
)
# Looking a member up in its enum costs as much as packing a header.
_PREDICT: Final = int(Kind.PREDICT)
_REPLY: Final = int(Kind.REPLY)
_SHUTDOWN: Final = int(Kind.SHUTDOWN)
_CANCEL: Final = int(Kind.CANCEL)
_ALONE: Final = frozenset({int(Kind.RAW), int(Kind.EXPLAIN)})


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

    def forsake(self) -> None:
        """Hang up on this side alone, in a process that the handler's code forked."""
        self._sock.close()

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

    def next_is_prediction(self) -> bool:
        """Tell whether a frame is here already and is a PREDICT."""
        return bool(self._frames) and self._frames[0].kind == _PREDICT

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
        except BlockingIOError:
            raise
        except OSError as error:
            raise ParentGoneError from error
        if count == 0:
            raise ParentGoneError
        for frame in self._decoder.received(count):
            if frame.kind == _CANCEL:
                self._cancel(frame.id)
            else:
                self._frames.append(frame)

    def _cancel(self, id_: int) -> None:
        """Answer a request that waits here instead of having it begun."""
        for frame in self._frames:
            if frame.id == id_ and (frame.kind == _PREDICT or frame.kind in _ALONE):
                self._frames.remove(frame)
                self.send(_encode(id_, _CANCELLED))
                return


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
            ProtocolError: The parent sent what no worker is asked.
        """
        while True:
            if not self._link.waiting():
                self._flush()
            first = self._link.next_frame()
            if first.kind == _PREDICT:
                self._answer(self._gather(first))
            elif first.kind == _SHUTDOWN:
                self._flush()
                return
            else:
                self._answer_alone(first)

    def _gather(self, first: Frame) -> list[Frame]:
        """Return the requests of the next call."""
        batch = [first]
        begin = time.monotonic()
        while len(batch) < self._policy.max_size:
            if not self._link.waiting() and not self._wait_for_company(batch, begin):
                break
            if not self._link.next_is_prediction():
                break
            batch.append(self._link.next_frame())
        return batch

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
        since_flush_s = time.monotonic() - self._flushed_at
        if since_flush_s >= self._flush_after_s:
            self._flush()
        if since_flush_s >= _LISTEN_AFTER_S:
            self._link.drain(0.0)

    def _answer_alone(self, frame: Frame) -> None:
        """Answer what is never put into one call with others."""
        if frame.kind == Kind.EXAMINE:
            wanted = protocol.decode_json(frame.payload)
            bodies = [body.encode() for body in wanted["bodies"]]
            self._link.send(examination.encode(self._predictor.examine(bodies)))
        elif frame.kind in _ALONE:
            self._flush()
            reply = self._predictor.call(
                requests.decode(frame),
                lambda piece: self._link.send(
                    _encode_answer(Kind.PIECE, frame.id, piece)
                ),
            )
            self._link.send(
                _encode(frame.id, reply)
                if reply.head is None
                else _encode_answer(Kind.ANSWER, frame.id, reply)
            )
            self._link.drain(0.0)
        else:
            raise ProtocolError(
                f"the server sent a frame of kind {frame.kind} while the worker "
                "served: one side was changed without raising the protocol version"
            )

    def _flush(self) -> None:
        if self._replies:
            self._link.send(b"".join(self._replies))
            self._replies.clear()
        self._flushed_at = time.monotonic()


def _encode(id_: int, reply: protocol.Reply) -> bytes:
    size = len(reply.payload)
    if size > protocol.MAX_PAYLOAD_BYTES:
        error = protocol.payload_error(size)
        reply = protocol.Reply(error.code, error.message.encode())
        size = len(reply.payload)
    return HEADER.pack(size, _REPLY, 0, reply.code, id_) + reply.payload


def _encode_answer(kind: Kind, id_: int, reply: protocol.Reply) -> bytes:
    try:
        return requests.encode_answer(kind, reply, id_)
    except ProtocolError as error:
        # A stream that cannot go on ends here; further pieces find nobody.
        return _encode(id_, protocol.Reply(error.code, error.message.encode()))
