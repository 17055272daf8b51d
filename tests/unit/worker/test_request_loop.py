"""The child's loop: drains, batches, answers in one write, stops when told."""

import collections
import fcntl
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from homeport.worker import examination, loop, protocol
from homeport.worker import requests as worker_requests
from homeport.worker.batching import BatchPolicy
from homeport.worker.examination import Examination, Step
from homeport.worker.protocol import Decoder, Frame, Head, Kind, ProtocolError, Reply
from homeport.worker.requests import Request, RequestKind


class Echo:
    """Answers a body with itself, and notes what it was called with."""

    def __init__(self, on_call: Callable[[], None] = lambda: None) -> None:
        self.calls: list[list[bytes]] = []
        self._on_call = on_call

    def predict(self, bodies: Sequence[bytes]) -> list[Reply]:
        self.calls.append(list(bodies))
        self._on_call()
        return [Reply(0, body) for body in bodies]

    def examine(self, bodies: Sequence[bytes]) -> Examination:
        self.calls.append(list(bodies))
        return Examination(predictions=tuple(body.decode() for body in bodies))

    def call(self, request: Request, emit: Callable[[Reply], None]) -> Reply:
        self.calls.append([request.body])
        self._on_call()
        if request.kind is RequestKind.STREAM:
            emit(Reply(0, b"first", Head(headers={"x": "1"})))
        return Reply(0, request.body, Head(201, {"content-type": "a/b"}))


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    parent, child = socket.socketpair()
    parent.settimeout(10)
    with parent, child:
        yield parent, child


def request(id_: int) -> bytes:
    return protocol.encode(Kind.PREDICT, b"r%d" % id_, id_=id_)


SHUTDOWN = protocol.encode(Kind.SHUTDOWN)


def read_all(parent: socket.socket, count: int) -> list[Frame]:
    decoder = Decoder()
    frames: list[Frame] = []
    while len(frames) < count:
        frames += decoder.feed(parent.recv(65536))
    return frames


@pytest.mark.parametrize(
    ("policy", "sizes"),
    [
        pytest.param(BatchPolicy(), [1, 1, 1, 1, 1], id="one request is one call"),
        pytest.param(BatchPolicy(max_size=4), [4, 1], id="what waits is one call"),
        pytest.param(BatchPolicy(max_size=9), [5], id="nothing waits for more"),
    ],
)
def test_requests_before_shutdown_are_all_answered(
    sockets: tuple[socket.socket, socket.socket], policy: BatchPolicy, sizes: list[int]
) -> None:
    parent, child = sockets
    parent.sendall(b"".join(map(request, range(1, 6))) + SHUTDOWN)
    echo = Echo()

    loop.RequestLoop(loop.Link(child), echo, policy).run()

    assert list(map(len, echo.calls)) == sizes
    assert read_all(parent, 5) == [
        Frame(Kind.REPLY, 0, id_, b"r%d" % id_) for id_ in range(1, 6)
    ]


def test_a_batch_waits_for_company_when_the_author_said_so(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    parent, child = sockets
    echo = Echo()
    requests = loop.RequestLoop(loop.Link(child), echo, BatchPolicy(3, 30.0))
    thread = threading.Thread(target=requests.run)
    thread.start()

    for id_ in (1, 2, 3):
        parent.sendall(request(id_))
    replies = read_all(parent, 3)
    parent.sendall(SHUTDOWN)
    thread.join(10)

    assert len(replies) == 3
    assert echo.calls == [[b"r1", b"r2", b"r3"]]


def test_requests_that_came_during_a_call_join_the_next_batch(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    parent, child = sockets
    later = collections.deque([request(2) + request(3) + SHUTDOWN])
    echo = Echo(lambda: parent.sendall(later.popleft()) if later else None)
    parent.sendall(request(1))

    loop.RequestLoop(loop.Link(child), echo, BatchPolicy(4)).run()

    assert echo.calls == [[b"r1"], [b"r2", b"r3"]]


def test_the_end_of_the_socket_ends_the_loop(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    parent, child = sockets
    parent.close()

    with pytest.raises(loop.ParentGoneError):
        loop.RequestLoop(loop.Link(child), Echo(), BatchPolicy()).run()


def test_a_reply_nobody_reads_ends_the_loop(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    parent, child = sockets
    parent.sendall(request(1))
    echo = Echo(parent.close)

    with pytest.raises(loop.ParentGoneError):
        loop.RequestLoop(loop.Link(child), echo, BatchPolicy()).run()


def test_a_frame_out_of_turn_is_a_protocol_error(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    parent, child = sockets
    parent.sendall(protocol.encode(Kind.LOADED))

    with pytest.raises(ProtocolError, match="a frame of kind 3"):
        loop.RequestLoop(loop.Link(child), Echo(), BatchPolicy()).run()


def test_a_reply_over_the_limit_fails_its_request_alone(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, child = sockets
    monkeypatch.setattr(protocol, "MAX_PAYLOAD_BYTES", 200)
    parent.sendall(request(1) + SHUTDOWN)

    class TooMuch(Echo):
        def predict(self, bodies: Sequence[bytes]) -> list[Reply]:
            return [Reply(0, bytes(201)) for _ in bodies]

    loop.RequestLoop(loop.Link(child), TooMuch(), BatchPolicy()).run()

    (reply,) = read_all(parent, 1)
    assert (reply.id, reply.status) == (1, 13)
    assert b"over the limit" in reply.payload


RAW = Request(RequestKind.RAW, b"raw", {"content-type": "a/b"}, "some/route")


def test_a_raw_request_is_a_call_by_itself_and_its_answer_has_a_head(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    parent, child = sockets
    raw = worker_requests.encode(RAW, 2)
    parent.sendall(request(1) + raw + request(3) + SHUTDOWN)
    echo = Echo()

    loop.RequestLoop(loop.Link(child), echo, BatchPolicy(9)).run()

    assert echo.calls == [[b"r1"], [b"raw"], [b"r3"]]
    answered = {frame.id: frame for frame in read_all(parent, 3)}
    assert answered[2].kind == Kind.ANSWER
    assert worker_requests.decode_answer(answered[2]) == Reply(
        0, b"raw", Head(201, {"content-type": "a/b"})
    )


def test_the_pieces_of_a_stream_come_before_its_answer(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    parent, child = sockets
    asked = Request(RequestKind.STREAM, b"rest")
    parent.sendall(worker_requests.encode(asked, 7) + SHUTDOWN)

    loop.RequestLoop(loop.Link(child), Echo(), BatchPolicy()).run()

    piece, last = read_all(parent, 2)
    assert (piece.kind, piece.id) == (Kind.PIECE, 7)
    assert worker_requests.decode_answer(piece).payload == b"first"
    assert worker_requests.decode_answer(last).payload == b"rest"


def test_a_cancelled_request_that_was_not_begun_is_never_called(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    parent, child = sockets
    cancel = protocol.encode(Kind.CANCEL, id_=2)
    # What was cancelled before, or never came, changes nothing.
    stray = protocol.encode(Kind.CANCEL, id_=99)
    parent.sendall(request(1) + request(2) + cancel + stray + request(3) + SHUTDOWN)
    echo = Echo()

    loop.RequestLoop(loop.Link(child), echo, BatchPolicy()).run()

    assert echo.calls == [[b"r1"], [b"r3"]]
    statuses = {frame.id: frame.status for frame in read_all(parent, 3)}
    assert statuses == {1: 0, 2: 1, 3: 0}


def test_a_cancellation_that_comes_during_a_long_call_is_heard_before_the_next(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    parent, child = sockets
    later = collections.deque([protocol.encode(Kind.CANCEL, id_=2)])

    def long_call() -> None:
        if later:
            parent.sendall(later.popleft())
            # Longer than the loop goes without listening.
            deadline = time.monotonic() + 0.02
            while time.monotonic() < deadline:
                pass

    echo = Echo(long_call)
    parent.sendall(request(1) + request(2) + request(3) + SHUTDOWN)

    loop.RequestLoop(loop.Link(child), echo, BatchPolicy()).run()

    assert echo.calls == [[b"r1"], [b"r3"]]


def test_a_frame_that_no_worker_is_asked_ends_the_loop(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    parent, child = sockets
    parent.sendall(protocol.encode(Kind.HELLO))

    with pytest.raises(ProtocolError, match="kind 1"):
        loop.RequestLoop(loop.Link(child), Echo(), BatchPolicy()).run()


def examine(*bodies: str) -> bytes:
    return protocol.encode_json(Kind.EXAMINE, {"bodies": bodies})


def test_an_examination_is_one_call_whatever_the_batch_size(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    parent, child = sockets
    parent.sendall(request(1) + examine("a", "b") + request(2) + SHUTDOWN)
    echo = Echo()

    loop.RequestLoop(loop.Link(child), echo, BatchPolicy()).run()

    assert echo.calls == [[b"r1"], [b"a", b"b"], [b"r2"]]
    (examined,) = [f for f in read_all(parent, 3) if f.kind == Kind.EXAMINED]
    assert examination.decode(examined.payload).predictions == ("a", "b")


def test_an_examination_over_the_limit_fails_by_itself(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, child = sockets
    parent.sendall(examine("x" * 400) + SHUTDOWN)
    monkeypatch.setattr(protocol, "MAX_PAYLOAD_BYTES", 500)

    class TooMuch(Echo):
        def examine(self, bodies: Sequence[bytes]) -> Examination:
            return Examination(predictions=tuple("x" * 501 for _ in bodies))

    loop.RequestLoop(loop.Link(child), TooMuch(), BatchPolicy()).run()

    (frame,) = read_all(parent, 1)
    examined = examination.decode(frame.payload)
    assert examined.failed_in is Step.RESULT
    assert "over the limit of 500" in examined.cause


def test_a_link_of_a_high_descriptor_waits_for_company(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    parent, child = sockets
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    try:
        high = fcntl.fcntl(child.fileno(), fcntl.F_DUPFD_CLOEXEC, 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with socket.socket(fileno=high) as duplicate:
        link = loop.Link(duplicate)
        link.drain(0.001)
        assert link.waiting() == 0
        parent.sendall(request(1))
        link.drain(10.0)
        assert link.waiting() == 1
