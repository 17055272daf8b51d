"""Writes of one loop step go out together; nothing of them is lost or late."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from homeport.api.protocol import GatheringTransport, HttpProtocol


class _Peer(asyncio.Protocol):
    """A connection of which the writes are counted, and the bytes kept."""

    def __init__(self) -> None:
        self.received = b""
        self.answered = asyncio.Event()
        self.ended = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self.received.endswith(b"ok"):
            self.answered.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(exc)


class _Counted(asyncio.Transport):
    """Passes on to a transport what it notes."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self.transport = transport
        self.writes: list[int] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(len(data))
        self.transport.write(data)

    def close(self) -> None:
        self.transport.close()

    def abort(self) -> None:
        self.transport.abort()

    def is_closing(self) -> bool:
        return self.transport.is_closing()

    def write_eof(self) -> None:
        self.transport.write_eof()

    def get_write_buffer_size(self) -> int:
        return self.transport.get_write_buffer_size()


def _exchange(
    act: Callable[[GatheringTransport], Awaitable[None]],
) -> tuple[list[int], bytes]:
    """Return the sizes of the writes that reached the connection, and its bytes."""

    async def scenario() -> tuple[list[int], bytes]:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        _, peer = await loop.create_connection(_Peer, sock=theirs)
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        counted = _Counted(transport)
        gathering = GatheringTransport(counted)
        await act(gathering)
        gathering.close()
        await asyncio.wait_for(peer.ended, 10)
        return counted.writes, peer.received

    return asyncio.run(scenario())


def test_writes_of_one_step_are_one() -> None:
    async def act(transport: GatheringTransport) -> None:
        transport.write(b"head")
        transport.write(bytearray(b"body"))
        assert transport.get_write_buffer_size() == 8
        await asyncio.sleep(0)
        assert transport.get_write_buffer_size() == 0
        transport.write(b"next")
        await asyncio.sleep(0)

    assert _exchange(act) == ([8, 4], b"headbodynext")


def test_more_than_64_kib_do_not_wait() -> None:
    async def act(transport: GatheringTransport) -> None:
        transport.write(b"head")
        transport.write(b"x" * 65533)
        transport.write(b"tail")

    writes, received = _exchange(act)

    assert writes == [65537, 4]
    assert received == b"head" + b"x" * 65533 + b"tail"


def test_a_close_writes_what_has_gathered() -> None:
    async def act(transport: GatheringTransport) -> None:
        transport.write(b"last")
        transport.close()
        assert transport.is_closing()

    assert _exchange(act) == ([4], b"last")


def test_what_is_written_after_a_close_goes_nowhere() -> None:
    async def act(transport: GatheringTransport) -> None:
        transport.write(b"last")
        transport.close()
        transport.write(b"late")
        await asyncio.sleep(0)

    assert _exchange(act) == ([4], b"last")


def test_an_abort_drops_what_has_gathered() -> None:
    async def act(transport: GatheringTransport) -> None:
        transport.write(b"lost")
        transport.abort()
        assert transport.get_write_buffer_size() == 0
        await asyncio.sleep(0)

    assert _exchange(act) == ([], b"")


def test_an_end_of_writing_comes_after_what_has_gathered() -> None:
    async def act(transport: GatheringTransport) -> None:
        transport.write(b"last")
        transport.write_eof()

    assert _exchange(act) == ([4], b"last")


REQUEST = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
KEPT = LAST.replace(b"connection: close\r\n", b"")


async def _answers_ok(_: Scope, receive: Receive, send: Send) -> None:
    await receive()
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


def _told_to_stop(
    act: Callable[[HttpProtocol, _Peer], Awaitable[None]],
) -> bytes:
    """Return what a client received until the server closed its connection."""

    async def scenario() -> bytes:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        _, peer = await loop.create_connection(_Peer, sock=theirs)
        config = uvicorn.Config(
            _answers_ok, lifespan="off", log_config=None, date_header=False
        )
        config.load()
        _, protocol = await loop.create_connection(
            lambda: HttpProtocol(config, ServerState(), {}), sock=ours
        )
        await act(protocol, peer)
        await asyncio.wait_for(peer.ended, 10)
        return peer.received

    return asyncio.run(scenario())


def test_a_request_that_comes_as_the_server_stops_is_answered_as_the_last() -> None:
    async def act(protocol: HttpProtocol, peer: _Peer) -> None:
        protocol.data_received(REQUEST)
        await asyncio.wait_for(peer.answered.wait(), 10)
        protocol.shutdown()
        protocol.data_received(REQUEST)

    assert _told_to_stop(act) == KEPT + LAST


def test_a_request_in_work_as_the_server_stops_is_the_last() -> None:
    async def act(protocol: HttpProtocol, _: _Peer) -> None:
        protocol.data_received(REQUEST)
        protocol.shutdown()

    assert _told_to_stop(act) == LAST


def test_an_idle_connection_is_closed_as_the_server_stops() -> None:
    async def act(protocol: HttpProtocol, _: _Peer) -> None:
        protocol.shutdown()

    assert _told_to_stop(act) == b""
