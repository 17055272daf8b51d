"""A streamed answer: its pieces in order, its failures before and after it began."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import Message

from fake_replicas import until
from homeport.api import streams
from homeport.api.exchange import DisconnectedError
from homeport.errors import HomeportError, ResourceExhaustedError
from homeport.serving.pool import Limits, Pool
from homeport.serving.router import Share
from homeport.telemetry import Metrics
from homeport.worker.protocol import Head
from homeport.worker.replica import Reply

HEAD = Head(206, {"content-type": "text/plain"})


async def _never(on_room: object) -> Any:
    del on_room
    raise AssertionError("no replica is started")


def share() -> Share:
    pool = Pool("7", _never, Limits(queue_length=1, deadline_s=1.0))
    return Share(
        "7", 100, pool, b"}", ((b"x-id", b"7"),), Metrics().meter("e", "7"), {}
    )


class Client:
    """Reads what is sent; `held` keeps it from reading."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.gone = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        self.sent.append(message)

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    @property
    def body(self) -> bytes:
        return b"".join(one.get("body", b"") for one in self.sent)

    @property
    def is_whole(self) -> bool:
        return bool(self.sent) and self.sent[-1].get("more_body") is False


class Streaming:
    def __init__(self, form: streams.Form | None = None) -> None:
        self.client = Client()
        self.stream = streams.Stream(form or streams.Plain(share()), self.client.send)
        self.reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(
            self.stream.run(self.reply, self.client.receive)
        )


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20.0):
            await scenario()

    asyncio.run(bounded())


def test_pieces_are_sent_as_they_come_and_the_last_ends_the_stream() -> None:
    async def scenario() -> None:
        one = Streaming()
        one.stream.take(Reply(0, b"a", HEAD))
        await until(lambda: one.client.body == b"a")
        one.stream.take(Reply(0, b"b", HEAD))
        one.reply.set_result(Reply(0, b"c", HEAD))

        assert await one.task == 206
        assert one.client.body == b"abc"
        assert one.client.is_whole
        assert one.client.sent[0] == {
            "type": "http.response.start",
            "status": 206,
            "headers": [(b"content-type", b"text/plain"), (b"x-id", b"7")],
        }

    run(scenario)


def test_a_stream_of_messages_is_a_json_array() -> None:
    async def scenario() -> None:
        form = streams.JsonArray(share(), lambda piece: {"piece": piece.decode()})
        one = Streaming(form)
        one.stream.take(Reply(0, b"a", HEAD))
        one.reply.set_result(Reply(0, b"b", HEAD))
        await one.task

        assert one.client.body == b'[{"piece":"a"},\n{"piece":"b"}]'

    run(scenario)


def test_a_stream_without_a_piece_is_an_empty_array() -> None:
    async def scenario() -> None:
        one = Streaming(streams.JsonArray(share(), streams.http_body))
        one.reply.set_result(Reply(0, b"", HEAD))
        await one.task

        assert one.client.body == b"[]"

    run(scenario)


def test_a_failure_before_the_first_piece_is_an_answer_of_its_own() -> None:
    async def scenario() -> None:
        one = Streaming()
        one.reply.set_result(Reply(3, b"wrong"))

        assert await one.task == 400
        assert b"wrong" in one.client.body

    run(scenario)


def test_a_failure_after_the_first_piece_breaks_the_stream_off() -> None:
    async def scenario() -> None:
        one = Streaming()
        one.stream.take(Reply(0, b"a", HEAD))
        await until(lambda: one.client.body == b"a")
        one.reply.set_exception(HomeportError("the replica ended"))

        assert await one.task == 206
        assert one.client.body == b"a"
        assert not one.client.is_whole

    run(scenario)


def test_a_client_that_goes_gives_its_request_up() -> None:
    async def scenario() -> None:
        one = Streaming()
        one.client.gone.set()

        with pytest.raises(DisconnectedError):
            await one.task
        assert one.reply.cancelled()

    run(scenario)


def test_a_client_that_does_not_read_ends_its_own_stream() -> None:
    async def scenario() -> None:
        one = Streaming()
        await asyncio.sleep(0)
        one.client.reads.clear()
        for _ in range(17):
            one.stream.take(Reply(0, bytes(1024 * 1024), HEAD))

        assert isinstance(one.reply.exception(), ResourceExhaustedError)
        one.client.reads.set()
        await one.task
        assert not one.client.is_whole

    run(scenario)
