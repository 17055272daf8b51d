"""The access log has one line for each request, whatever the request is."""

import asyncio
import io
import re
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from fake_replicas import until
from homeport.api.access import AccessLog, Logged

LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 (\S+ .*) \d+\.\d{1}ms\n"
)


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _drop(message: Message) -> None:
    del message


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"1234", "more_body": True})
    await send({"type": "http.response.body", "body": b"56"})


def _scope(path: str, **fields: Any) -> Scope:
    return {"type": "http", "method": "GET", "path": path, **fields}


def _logged(*paths: str) -> list[str]:
    """Return what each line of the log says between its time and its duration."""
    stream = io.StringIO()

    async def scenario() -> None:
        log = AccessLog(stream)
        for path in paths:
            await Logged(_answer, log)(_scope(path), _receive, _drop)
        log.flush()

    asyncio.run(scenario())
    lines = stream.getvalue().splitlines(keepends=True)
    found = [LINE.fullmatch(line) for line in lines]
    return [match[1] if match else "" for match in found]


def test_a_request_is_one_line() -> None:
    assert _logged("/v1/a", "/v1/ä b") == ["GET /v1/a 201 6B", "GET /v1/ä b 201 6B"]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        pytest.param("/a\nGET /b 200 0B", r"'/a\nGET /b 200 0B'", id="a line break"),
        pytest.param("/\r\n", r"'/\r\n'", id="a carriage return"),
        pytest.param("/\x1b[2J", r"'/\x1b[2J'", id="a terminal's escape"),
        pytest.param("/\u202etxt", r"'/\u202etxt'", id="a turn of direction"),
        pytest.param("/\u2028x", r"'/\u2028x'", id="a line separator"),
        pytest.param("/\udc80", r"'/\udc80'", id="a lone surrogate"),
    ],
)
def test_a_hostile_path_is_escaped(path: str, shown: str) -> None:
    assert _logged(path) == [f"GET {shown} 201 6B"]


def test_a_request_that_raises_is_noted() -> None:
    stream = io.StringIO()

    async def fail(*_: object) -> None:
        raise KeyError

    async def scenario() -> None:
        log = AccessLog(stream)
        with pytest.raises(KeyError):
            await Logged(fail, log)(_scope("/a"), _receive, _drop)
        log.flush()

    asyncio.run(scenario())

    assert "GET /a 0 0B" in stream.getvalue()


def test_what_is_no_request_is_passed_on_unnoted() -> None:
    seen: list[str] = []
    stream = io.StringIO()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        seen.append(scope["type"])

    async def scenario() -> None:
        log = AccessLog(stream)
        await Logged(app, log)({"type": "lifespan"}, _receive, _drop)
        log.flush()

    asyncio.run(scenario())

    assert seen == ["lifespan"]
    assert stream.getvalue() == ""


def test_lines_gather_and_are_written_by_themselves() -> None:
    stream = io.StringIO()

    async def scenario() -> None:
        app = Logged(_answer, AccessLog(stream))
        for _ in range(3):
            await app(_scope("/a"), _receive, _drop)
        assert stream.getvalue() == ""

        await until(lambda: stream.getvalue().count("\n") == 3)
        await app(_scope("/b"), _receive, _drop)
        await until(lambda: "/b" in stream.getvalue())

    asyncio.run(scenario())


class _BrokenStream(io.StringIO):
    """Takes nothing the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = True

    def write(self, text: str) -> int:
        if self.broken:
            raise BrokenPipeError
        return super().write(text)


def test_lines_that_cannot_be_written_do_not_gather() -> None:
    stream = _BrokenStream()

    async def scenario() -> None:
        log = AccessLog(stream)
        await Logged(_answer, log)(_scope("/lost"), _receive, _drop)
        with pytest.raises(BrokenPipeError):
            log.flush()
        stream.broken = False

        await Logged(_answer, log)(_scope("/kept"), _receive, _drop)
        log.flush()

    asyncio.run(scenario())

    assert "/kept" in stream.getvalue()
    assert "/lost" not in stream.getvalue()


def test_without_a_stream_nothing_is_noted() -> None:
    log = AccessLog(None)

    # Noting begins with a timer: outside of a loop it would raise.
    log.note(_scope("/a"), 200, 1, 0.0)
    log.flush()


def test_with_a_stream_noting_needs_a_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        AccessLog(io.StringIO()).note(_scope("/a"), 200, 1, 0.0)
