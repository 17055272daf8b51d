"""A runtime starts replicas that answer, die and stop as the Protocol promises.

The same for our own workers, for commands on the host and, marked, for containers.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Protocol

import pytest

import engines
import images
from homeport.environments.build import Environments
from homeport.errors import DeadlineExceededError, HomeportError, UnavailableError
from homeport.resources.model import ContainerSpec
from homeport.serving import usage
from homeport.serving.containercli import EngineChoice
from homeport.serving.containers import ContainerRuntime, ContainerTerms
from homeport.serving.hostcommand import HostCommands
from homeport.serving.local import LocalRuntime
from homeport.serving.runtime import Launch, Replica, Runtime
from homeport.worker.protocol import Head, Reply
from homeport.worker.requests import Request, RequestKind

DEADLINE_S = 60.0
pytestmark = pytest.mark.service
PLATFORM = {
    "AIP_ENDPOINT_ID": "77",
    "AIP_DEPLOYED_MODEL_ID": "7",
    "AIP_PREDICT_ROUTE": "/predict",
    "AIP_HEALTH_ROUTE": "/health",
}
HANDLER = """
    import os, time
    print("starting")
    if os.environ.get("START") == "leave at once":
        os._exit(3)

    def answer(one):
        if not isinstance(one, dict):
            return 2 * one
        if "variable" in one:
            return os.environ.get(one["variable"])
        if "sleep" in one:
            time.sleep(one["sleep"])
            return "slept"
        if "compute" in one:
            end = time.process_time() + one["compute"]
            while time.process_time() < end:
                pass
        if "print" in one:
            print(one["print"])
        if one.get("die"):
            os._exit(3)
        return one

    def handle(data, context):
        if not data:
            return None
        row = data[0]
        body = row.get("body") if isinstance(row, dict) else None
        if isinstance(body, (bytes, bytearray)):
            context.set_response_content_type(0, "application/x-backwards")
            context.set_response_status(202, "Accepted", 0)
            return [bytes(body)[::-1]]
        return [answer(one) for one in data]
"""


class Bench(Protocol):
    """A runtime under test, and how a program of the tests is started by it."""

    def runtime(self) -> contextlib.AbstractAsyncContextManager[Runtime]:
        """Lend it, closed afterwards."""

    def launch(self, environment: dict[str, str]) -> Launch:
        """Return what a replica is started from."""


@dataclasses.dataclass
class Local:
    folder: pathlib.Path

    @contextlib.asynccontextmanager
    async def runtime(self) -> AsyncIterator[Runtime]:
        runtime = LocalRuntime(
            self.folder / "scratch", Environments(self.folder / "environments")
        )
        try:
            yield runtime
        finally:
            await runtime.close()

    def launch(self, environment: dict[str, str]) -> Launch:
        model_dir = self.folder / "model"
        if not model_dir.exists():
            (model_dir / "MAR-INF").mkdir(parents=True)
            (model_dir / "handler.py").write_text(textwrap.dedent(HANDLER))
            (model_dir / "MAR-INF/MANIFEST.json").write_text(
                json.dumps({"model": {"modelName": "m", "handler": "handler.py"}})
            )
        return Launch(model_dir, environment, DEADLINE_S, platform=PLATFORM)


@dataclasses.dataclass
class Commands:
    folder: pathlib.Path

    @contextlib.asynccontextmanager
    async def runtime(self) -> AsyncIterator[Runtime]:
        yield HostCommands(self.folder / "scratch")

    def launch(self, environment: dict[str, str]) -> Launch:
        spec = ContainerSpec(
            "example.com/own:1", command=(sys.executable, str(images.PROGRAM))
        )
        return Launch(
            self.folder, environment, DEADLINE_S, platform=PLATFORM, container=spec
        )


@dataclasses.dataclass
class Docker:
    folder: pathlib.Path
    choice: EngineChoice = "docker"

    @contextlib.asynccontextmanager
    async def runtime(self) -> AsyncIterator[Runtime]:
        runtime = ContainerRuntime(ContainerTerms(self.choice, "contract"))
        try:
            yield runtime
        finally:
            await runtime.close()

    def launch(self, environment: dict[str, str]) -> Launch:
        spec = ContainerSpec(engines.IMAGE, command=engines.COMMAND)
        return Launch(
            self.folder, environment, DEADLINE_S, platform=PLATFORM, container=spec
        )


@dataclasses.dataclass
class Podman(Docker):
    choice: EngineChoice = "podman"


@pytest.fixture(
    params=[
        Local,
        Commands,
        pytest.param(Docker, marks=pytest.mark.containers),
        pytest.param(Podman, marks=pytest.mark.containers),
    ]
)
def bench(
    request: pytest.FixtureRequest,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    if request.param in (Docker, Podman):
        engine: engines.Engine = request.getfixturevalue(request.param.choice)
        for name, value in engine.environment.items():
            monkeypatch.setenv(name, value)
    # Otherwise every worker compiles all its sources anew.
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    (tmp_path / "scratch").mkdir()
    made: Bench = request.param(tmp_path)
    return made


@dataclasses.dataclass
class Started:
    """A replica, what it printed, and how often it said that it has room."""

    replica: Replica
    lines: list[str]
    rooms: list[None]

    async def ask(self, *instances: Any) -> Reply:
        body = json.dumps({"instances": instances}).encode()
        return await asyncio.wait_for(self.begin(body), DEADLINE_S)

    def begin(self, body: bytes) -> asyncio.Future[Reply]:
        return self.replica.predict(body, asyncio.get_running_loop().create_future())


@contextlib.asynccontextmanager
async def started(bench: Bench, **environment: str) -> AsyncIterator[Started]:
    lines: list[str] = []
    rooms: list[None] = []
    async with bench.runtime() as runtime:
        replica = await runtime.start(
            bench.launch(environment),
            on_log=lines.extend,
            on_room=lambda: rooms.append(None),
        )
        try:
            yield Started(replica, lines, rooms)
        finally:
            await replica.stop(0.0)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition was never met"
        await asyncio.sleep(0.005)


def test_a_replica_answers_with_its_predictions(bench: Bench) -> None:
    async def scenario() -> None:
        async with started(bench) as one:
            reply = await one.ask(1, 2.5, 3)

            assert reply == Reply(0, b"[2,5.0,6]")
            assert one.replica.outstanding == 0
            assert one.replica.service_time_s > 0
            assert one.rooms

    run(scenario)


def test_requests_at_once_have_each_its_own_answer(bench: Bench) -> None:
    async def scenario() -> None:
        async with started(bench) as one:
            replies = await asyncio.gather(*(one.ask(number) for number in range(30)))

            assert [json.loads(reply.payload) for reply in replies] == [
                [2 * number] for number in range(30)
            ]

    run(scenario)


def test_a_replica_has_the_variables_of_its_version_and_of_vertex(
    bench: Bench,
) -> None:
    async def scenario() -> None:
        given = {"FIRST": "a b", "SECOND": "$(FIRST) at $(AIP_ENDPOINT_ID), $$(FIRST)"}
        async with started(bench, **given) as one:
            reply = await one.ask(
                {"variable": "SECOND"},
                {"variable": "AIP_DEPLOYED_MODEL_ID"},
                {"variable": "AIP_PREDICT_ROUTE"},
            )
            port = json.loads((await one.ask({"variable": "AIP_HTTP_PORT"})).payload)[0]

            assert json.loads(reply.payload) == [
                "a b at 77, $(FIRST)",
                "7",
                "/predict",
            ]
            assert port.isdecimal()

    run(scenario)


def test_a_replica_has_nothing_else_of_the_servers_own_variables(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_SERVER", "secret")

    async def scenario() -> None:
        async with started(bench) as one:
            reply = await one.ask({"variable": "OF_THE_SERVER"})

            assert reply.payload == b"[null]"

    run(scenario)


def test_what_a_replica_prints_is_handed_over(bench: Bench) -> None:
    async def scenario() -> None:
        async with started(bench) as one:
            await one.ask({"print": "hello from inside"})

            await until(lambda: "hello from inside" in one.lines)
            assert one.lines[0] == "starting"

    run(scenario)


def test_a_replica_that_ends_while_it_starts_is_refused(bench: Bench) -> None:
    async def scenario() -> None:
        lines: list[str] = []

        with pytest.raises(UnavailableError, match="exited with code 3"):
            async with bench.runtime() as runtime:
                await runtime.start(
                    bench.launch({"START": "leave at once"}),
                    on_log=lines.extend,
                    on_room=print,
                )

        # Its other stream may be handed over before this one.
        assert "starting" in lines

    run(scenario)


def test_a_replica_that_dies_fails_what_it_had_in_work(bench: Bench) -> None:
    async def scenario() -> None:
        async with started(bench) as one:
            with pytest.raises(UnavailableError):
                await one.ask({"die": True})

            await asyncio.wait_for(asyncio.shield(one.replica.lost), DEADLINE_S)
            how = await asyncio.wait_for(asyncio.shield(one.replica.closed), DEADLINE_S)
            assert how == "exited with code 3"
            with pytest.raises(UnavailableError):
                await one.ask(1)

    run(scenario)


def test_a_replica_that_is_stopped_answers_what_it_has_in_work(bench: Bench) -> None:
    async def scenario() -> None:
        async with started(bench) as one:
            reply = one.begin(b'{"instances": [{"sleep": 0.3}]}')

            await one.replica.stop(DEADLINE_S)

            assert reply.result() == Reply(0, b'["slept"]')
            assert one.replica.closed.result() == "stopped"
            await one.replica.stop(0.0)

    run(scenario)


def test_a_replica_without_grace_is_gone_at_once(bench: Bench) -> None:
    async def scenario() -> None:
        async with started(bench) as one:
            reply = one.begin(b'{"instances": [{"sleep": 600}]}')
            await asyncio.sleep(0)

            await one.replica.stop(0.0)

            assert isinstance(reply.exception(), HomeportError)
            assert one.replica.closed.done()

    run(scenario)


def test_a_replica_that_is_ended_for_a_reason_tells_it(bench: Bench) -> None:
    async def scenario() -> None:
        async with started(bench) as one:
            reply = one.begin(b'{"instances": [{"sleep": 600}]}')
            await asyncio.sleep(0)

            await one.replica.stop(0.0, DeadlineExceededError("no answer within 1 s"))

            failed = reply.exception()
            assert isinstance(failed, DeadlineExceededError)
            assert one.replica.closed.result() == "killed: no answer within 1 s"

    run(scenario)


def test_an_answer_that_nobody_waits_for_does_no_harm(bench: Bench) -> None:
    async def scenario() -> None:
        async with started(bench) as one:
            given_up = one.begin(b'{"instances": [{"sleep": 0.2}]}')
            given_up.cancel()
            one.replica.cancel(given_up)

            reply = await one.ask(4)

            assert reply == Reply(0, b"[8]")
            await until(lambda: one.replica.outstanding == 0)

    run(scenario)


def test_raw_bytes_go_both_ways_with_status_and_type(bench: Bench) -> None:
    async def scenario() -> None:
        async with started(bench) as one:
            request = Request(
                RequestKind.RAW, b"\0\xffabc", {"content-type": "application/x-any"}
            )
            future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

            reply = await asyncio.wait_for(
                one.replica.call(request, future), DEADLINE_S
            )

            assert reply.code == 0
            assert reply.payload == b"cba\xff\0"
            assert isinstance(reply.head, Head)
            assert reply.head.status == 202
            assert reply.head.headers["content-type"] == "application/x-backwards"

    run(scenario)


def test_what_a_replica_computes_is_counted_to_its_process(bench: Bench) -> None:
    async def scenario() -> None:
        async with started(bench) as one:
            before_s = usage.cpu_s(one.replica.report.pid)

            await one.ask({"compute": 0.5})

            assert usage.cpu_s(one.replica.report.pid) - before_s >= 0.45

    run(scenario)


def test_a_killed_replica_is_lost(bench: Bench) -> None:
    async def scenario() -> None:
        async with started(bench) as one:
            os.kill(one.replica.report.pid, signal.SIGKILL)

            await asyncio.wait_for(asyncio.shield(one.replica.lost), DEADLINE_S)
            await asyncio.wait_for(asyncio.shield(one.replica.closed), DEADLINE_S)

    run(scenario)
