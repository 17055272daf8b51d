"""The client keeps connections, bounds answers, and says what it got instead of one."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from homeport.serving.httpclient import (
    HttpAnswer,
    HttpClient,
    HttpFailedError,
    HttpRequest,
)

GET = HttpRequest("GET", "/")
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
DEADLINE_S = 30.0


class Peer:
    """Answers each request on a connection with the next of these bytes.

    After the last it ends the connection; `connections` counts them.
    """

    def __init__(self, *answers: bytes) -> None:
        self.answers = answers
        self.connections = 0
        self.heads: list[bytes] = []
        self.tasks: set[asyncio.Task[object] | None] = set()

    async def __call__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        self.tasks.add(asyncio.current_task())
        with contextlib.suppress(OSError):
            await self._answer(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        for answer in self.answers:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            self.heads.append(head)
            writer.write(answer)
            await writer.drain()


def run(peer: Peer, scenario: Callable[[HttpClient], Awaitable[None]]) -> None:
    async def main() -> None:
        server = await asyncio.start_server(peer, "127.0.0.1", 0)
        client = HttpClient(server.sockets[0].getsockname()[1], most_bytes=100)
        async with server:
            async with asyncio.timeout(DEADLINE_S):
                await scenario(client)
            client.close()
            await asyncio.gather(*filter(None, peer.tasks))

    asyncio.run(main())


def test_a_connection_serves_many_requests() -> None:
    peer = Peer(OK, OK, OK)

    async def scenario(client: HttpClient) -> None:
        answers = [await client.ask(GET) for _ in range(3)]

        assert [answer.body for answer in answers] == [b"ok", b"ok", b"ok"]
        assert peer.connections == 1

    run(peer, scenario)


def test_a_connection_that_was_ended_meanwhile_is_replaced() -> None:
    peer = Peer(OK)

    async def scenario(client: HttpClient) -> None:
        for _ in range(3):
            assert (await client.ask(GET)).status == 200

        assert peer.connections == 3

    run(peer, scenario)


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    peer = Peer(b"HTTP/1.0 200 OK\r\n\r\nall of it")

    async def scenario(client: HttpClient) -> None:
        assert (await client.ask(GET)).body == b"all of it"

    run(peer, scenario)


def test_an_interim_answer_is_not_the_answer() -> None:
    peer = Peer(b"HTTP/1.1 100 Continue\r\nx-interim: 1\r\n\r\n" + OK)

    async def scenario(client: HttpClient) -> None:
        answer = await client.ask(GET)

        assert answer == HttpAnswer(200, {"content-length": "2"}, b"ok")

    run(peer, scenario)


def test_a_second_answer_that_nobody_asked_for_is_given_to_nobody() -> None:
    peer = Peer(OK + OK.replace(b"ok", b"no"), OK)

    async def scenario(client: HttpClient) -> None:
        assert (await client.ask(GET)).body == b"ok"
        assert (await client.ask(GET)).body == b"ok"

    run(peer, scenario)


@pytest.mark.parametrize(
    ("answer", "sentence", "ended"),
    [
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "what it answered is no HTTP/1.1", False),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n" + 101 * b"0",
            "its answer is over the limit of 100 bytes",
            False,
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
            "it ended the connection in the middle of its answer",
            True,
        ),
        (b"", "it ended the connection without an answer", True),
    ],
    ids=["no HTTP", "too long", "half", "nothing"],
)
def test_what_is_no_answer_is_told_as_such(
    answer: bytes, sentence: str, *, ended: bool
) -> None:
    async def scenario(client: HttpClient) -> None:
        with pytest.raises(HttpFailedError) as caught:
            await client.ask(GET)

        assert caught.value.sentence == sentence
        assert caught.value.ended is ended

    run(Peer(answer), scenario)


def test_a_port_where_nobody_listens_refuses() -> None:
    async def scenario() -> None:
        server = await asyncio.start_server(Peer(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()

        with pytest.raises(HttpFailedError, match="it refused the connection"):
            await HttpClient(port, 100).ask(GET)

    asyncio.run(scenario())


def test_a_stream_is_handed_over_piece_by_piece() -> None:
    peer = Peer(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    )
    pieces: list[bytes] = []

    async def scenario(client: HttpClient) -> None:
        answer = await client.ask(
            HttpRequest("GET", "/", on_piece=lambda part: pieces.append(part.body))
        )

        assert answer.body == b""
        assert b"".join(pieces) == b"onetwo"

    run(peer, scenario)


def test_a_request_is_written_as_it_is_given() -> None:
    peer = Peer(OK)

    async def scenario(client: HttpClient) -> None:
        await client.ask(HttpRequest("POST", "/p?q=1", {"x-a": "b"}, b"12345"))

    run(peer, scenario)

    head = peer.heads[0]
    assert head.startswith(b"POST /p?q=1 HTTP/1.1\r\nhost: localhost:")
    assert head.endswith(b"x-a: b\r\ncontent-length: 5\r\n\r\n")
