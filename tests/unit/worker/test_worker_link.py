"""The parent's end of a worker's socket, with this test as the worker."""

import asyncio
import socket

from homeport.worker import link, protocol, requests
from homeport.worker.protocol import HEADER, Decoder, Frame, Head, Kind, Reply
from homeport.worker.requests import Request, RequestKind

DEADLINE_S = 60.0


def test_bytes_that_are_no_frames_end_the_connection_and_are_told_once() -> None:
    async def scenario() -> int:
        ours, workers = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003  # the standard library's signature
        workers.settimeout(DEADLINE_S)
        lost: list[None] = []
        ended = asyncio.Event()

        def on_lost() -> None:
            lost.append(None)
            ended.set()

        connection = await link.connect(ours, print, on_lost, lambda: None)
        reply = connection.predict(b"{}")
        with workers:
            too_long = protocol.MAX_PAYLOAD_BYTES + 1
            workers.sendall(HEADER.pack(too_long, Kind.REPLY, 0, 0, 1))
            await asyncio.wait_for(ended.wait(), DEADLINE_S)
            read = await asyncio.to_thread(_read_all, workers)
        assert read.endswith(b"{}")
        connection.close("over")
        assert reply.exception() is not None
        return len(lost)

    assert asyncio.run(scenario()) == 1


def _read_all(sock: socket.socket) -> bytes:
    read = b""
    while chunk := sock.recv(65536):
        read += chunk
    return read


async def _connected() -> tuple[link.ReplicaLink, socket.socket]:
    ours, workers = socket.socketpair()
    ours.setblocking(False)  # noqa: FBT003  # the standard library's signature
    workers.settimeout(DEADLINE_S)
    return await link.connect(ours, print, lambda: None, lambda: None), workers


def test_pieces_and_the_answer_of_a_stream_find_who_asked() -> None:
    async def scenario() -> tuple[list[bytes], Reply]:
        connection, workers = await _connected()
        pieces: list[bytes] = []
        asked = Request(
            RequestKind.STREAM, b"x", on_piece=lambda one: pieces.append(one.payload)
        )
        reply = connection.call(asked, asyncio.get_running_loop().create_future())
        with workers:
            for kind, payload in ((Kind.PIECE, b"1"), (Kind.ANSWER, b"2")):
                answer = Reply(0, payload, Head(206, {"a": "b"}))
                workers.sendall(requests.encode_answer(kind, answer, 1))
            answered = await asyncio.wait_for(reply, DEADLINE_S)
            # A piece that comes too late finds nobody, and harms nothing.
            workers.sendall(requests.encode_answer(Kind.PIECE, Reply(0, b"3"), 1))
            assert connection.outstanding == 0
            connection.close("over")
        return pieces, answered

    pieces, answered = asyncio.run(scenario())

    assert pieces == [b"1"]
    assert answered == Reply(0, b"2", Head(206, {"a": "b"}))


def test_a_request_is_cancelled_by_its_own_number() -> None:
    async def scenario() -> list[Frame]:
        connection, workers = await _connected()
        first, second = connection.predict(b"1"), connection.predict(b"2")
        connection.cancel(second)
        connection.cancel(asyncio.get_running_loop().create_future())
        with workers:
            decoder, frames = Decoder(), list[Frame]()
            while len(frames) < 3:
                frames += decoder.feed(await asyncio.to_thread(workers.recv, 65536))
            connection.close("over")
        assert [one.exception() is None for one in (first, second)] == [False, False]
        return frames

    frames = asyncio.run(scenario())

    assert [(frame.kind, frame.id) for frame in frames] == [
        (Kind.PREDICT, 1),
        (Kind.PREDICT, 2),
        (Kind.CANCEL, 2),
    ]
