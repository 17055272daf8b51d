"""The parent's end of a worker's socket, with this test as the worker."""

import asyncio
import socket

from homeport.worker import link, protocol
from homeport.worker.protocol import HEADER, Kind

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
