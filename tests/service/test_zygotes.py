"""A replica that is forked is as one that is spawned, and begins sooner."""

import asyncio
import contextlib
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fake_replicas import until
from homeport.worker import nursery
from homeport.worker.nursery import Breed, Nursery
from homeport.worker.process import Fork, Order, Running
from homeport.worker.replica import Replica, ReplicaSpec
from liveness import is_running

pytestmark = pytest.mark.service
DEADLINE_S = 60.0
BREED = Breed(None, ("numpy",))
TELLS = """
import os
import resource
import signal
import sys
import tempfile
import time

import numpy


class Handler:
    def initialize(self, context):
        print("loading", file=sys.stderr)

    def handle(self, data, context):
        return [getattr(self, one)() for one in data]

    def process(self):
        return [os.getpid(), os.getppid(), os.getpgid(0), os.getsid(0)]

    def places(self):
        return [os.environ["HOME"], tempfile.gettempdir(), os.getcwd()]

    def variables(self):
        return dict(os.environ)

    def descriptors(self):
        return sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1]

    def drawn(self):
        return float(numpy.random.random())

    def core(self):
        return resource.getrlimit(resource.RLIMIT_CORE)[0]

    def parent_and_torchscript(self):
        from homeport.worker import torchscript

        # Of a call that was made before the fork, as the handler makes none.
        warmed = torchscript.warm.cache_info().currsize
        return [os.getppid(), warmed == 1 and torchscript.warm()]

    def forever(self):
        while True:
            pass
"""


@pytest.fixture
def model_dir(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "model"
    (made / "MAR-INF").mkdir(parents=True)
    (made / "handler.py").write_text(TELLS)
    manifest = {"modelName": "m", "modelVersion": "1.0", "handler": "handler.py"}
    (made / "MAR-INF/MANIFEST.json").write_text(
        json.dumps({"runtime": "python", "model": manifest})
    )
    return made


@pytest.fixture
def scratch_dir(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "scratch"
    made.mkdir()
    return made


class Family:
    """A nursery, and the replicas that were started from it."""

    def __init__(
        self, model_dir: pathlib.Path, scratch_dir: pathlib.Path, breed: Breed
    ) -> None:
        self.nursery = Nursery(scratch_dir, idle_s=0.05)
        self.log: list[str] = []
        self.fork: Fork = functools.partial(self.nursery.fork, breed)
        self._model_dir, self._scratch_dir = model_dir, scratch_dir
        self._replicas: list[Replica] = []

    async def replica(self, **environment: str) -> Replica:
        spec = ReplicaSpec(
            self._model_dir,
            environment,
            DEADLINE_S,
            scratch_dir=self._scratch_dir,
            fork=self.fork,
        )
        started = await Replica.start(spec, on_log=self.log.extend)
        self._replicas.append(started)
        return started

    async def end(self) -> None:
        await asyncio.gather(*(one.stop(0.0) for one in self._replicas))
        await self.nursery.close()


def left_in(directory: pathlib.Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


@contextlib.asynccontextmanager
async def family(
    model_dir: pathlib.Path, scratch_dir: pathlib.Path, breed: Breed = BREED
) -> AsyncIterator[Family]:
    made = Family(model_dir, scratch_dir, breed)
    try:
        yield made
    finally:
        await made.end()
        assert left_in(scratch_dir) == []


async def ask(replica: Replica, *rows: str) -> list[Any]:
    body = json.dumps({"instances": rows}).encode()
    reply = await asyncio.wait_for(replica.predict(body), DEADLINE_S)
    assert reply.code == 0, reply
    return list(json.loads(reply.payload))


def run(scenario: Callable[[], Any]) -> None:
    asyncio.run(scenario())


def parent_of(pid: int) -> int:
    status = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    return int(status.split()[1])


def children_of(pid: int) -> list[int]:
    listed = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


def test_a_forked_replica_has_a_process_places_and_variables_of_its_own(
    model_dir: pathlib.Path, scratch_dir: pathlib.Path
) -> None:
    async def scenario() -> None:
        async with family(model_dir, scratch_dir) as made:
            replica = await made.replica(MY_LABEL="x")

            process, places, variables, descriptors, core = await ask(
                replica, "process", "places", "variables", "descriptors", "core"
            )

            pid, parent, group, session = process
            assert pid == group == session == replica.report.pid
            assert parent not in {os.getpid(), 1}
            home, temporary, current = places
            assert home == temporary
            assert pathlib.Path(home).parent == scratch_dir
            assert current == str(model_dir)
            assert variables["MY_LABEL"] == "x"
            assert set(variables) - {"PYTHONUSERBASE", "LC_CTYPE"} == {
                "HOME", "LANG", "MKL_NUM_THREADS", "MY_LABEL", "OMP_NUM_THREADS",
                "OPENBLAS_NUM_THREADS", "PATH", "PYTHONUNBUFFERED", "TMPDIR",
            }  # fmt: skip
            # Input, output twice, its socket and its tether.
            assert len(descriptors) == 5
            assert core == 0
            await until(lambda: "loading" in made.log)

    run(scenario)


def test_replicas_of_one_zygote_draw_different_numbers(
    model_dir: pathlib.Path, scratch_dir: pathlib.Path
) -> None:
    async def scenario() -> None:
        async with family(model_dir, scratch_dir) as made:
            first, second = await made.replica(), await made.replica()

            assert await ask(first, "drawn") != await ask(second, "drawn")
            assert parent_of(first.report.pid) == parent_of(second.report.pid)

    run(scenario)


def test_a_replica_outlives_its_zygote_and_the_next_has_another(
    model_dir: pathlib.Path, scratch_dir: pathlib.Path
) -> None:
    async def scenario() -> None:
        async with family(model_dir, scratch_dir) as made:
            first = await made.replica()
            zygote = parent_of(first.report.pid)

            os.kill(zygote, signal.SIGKILL)
            await until(lambda: not is_running(zygote))
            second = await made.replica()

            assert await ask(first, "core") == await ask(second, "core") == [0]
            assert parent_of(second.report.pid) not in {zygote, os.getpid()}
            await first.stop(DEADLINE_S)
            assert not is_running(first.report.pid)

    run(scenario)


def test_what_is_cancelled_as_its_process_is_born_leaves_none(
    model_dir: pathlib.Path, scratch_dir: pathlib.Path
) -> None:
    async def scenario() -> None:
        async with family(model_dir, scratch_dir) as made:
            living = await made.replica()
            fork = made.fork

            async def fork_and_cancel(order: Order) -> Running | None:
                asyncio.get_running_loop().call_soon(cancel_when_born)
                return await fork(order)

            def cancel_when_born() -> None:
                # The loop stands still until the zygote has told of the birth.
                give_up = time.monotonic() + DEADLINE_S
                while len(children_of(zygote)) < 2 and time.monotonic() < give_up:
                    time.sleep(0.01)
                time.sleep(0.2)
                # Timers come after what is read, and before what waits for it.
                asyncio.get_running_loop().call_later(0.0, starting.cancel)

            zygote = parent_of(living.report.pid)
            made.fork = fork_and_cancel
            starting = asyncio.create_task(made.replica())
            await asyncio.wait({starting}, timeout=DEADLINE_S)

            assert starting.cancelled()
            await until(lambda: children_of(zygote) == [living.report.pid])

    run(scenario)


def test_torchscript_is_set_up_before_a_replica_is_forked(
    model_dir: pathlib.Path, scratch_dir: pathlib.Path
) -> None:
    async def scenario() -> None:
        async with family(model_dir, scratch_dir, Breed(None, ("torch",))) as made:
            replica = await made.replica()

            [[parent, is_set_up]] = await ask(replica, "parent_and_torchscript")

            assert is_set_up
            # Threads that it had started would have kept the zygote from forking.
            assert parent != os.getpid()

    run(scenario)


def test_how_a_forked_replica_ended_is_known(
    model_dir: pathlib.Path, scratch_dir: pathlib.Path
) -> None:
    async def scenario() -> None:
        async with family(model_dir, scratch_dir) as made:
            killed, stopped = await made.replica(), await made.replica()

            os.kill(killed.report.pid, signal.SIGKILL)
            await stopped.stop(DEADLINE_S)

            assert await killed.closed == "killed by SIGKILL"
            assert await stopped.closed == "stopped"

    run(scenario)


def test_a_zygote_without_anything_alive_ends_after_a_while(
    model_dir: pathlib.Path, scratch_dir: pathlib.Path
) -> None:
    async def scenario() -> None:
        async with family(model_dir, scratch_dir) as made:
            replica = await made.replica()
            zygote = parent_of(replica.report.pid)

            await replica.stop(DEADLINE_S)
            await until(lambda: not is_running(zygote))

            again = await made.replica()
            assert await ask(again, "core") == [0]

    run(scenario)


def test_forked_replicas_end_with_the_server_while_they_compute(
    model_dir: pathlib.Path, scratch_dir: pathlib.Path
) -> None:
    # The server's part is played by a process that runs this file.
    server = subprocess.Popen(  # noqa: S603
        [sys.executable, __file__, str(model_dir), str(scratch_dir)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with server:
        assert server.stdout is not None
        pids = json.loads(server.stdout.readline())

        server.kill()
        server.wait()
        deadline = time.monotonic() + DEADLINE_S
        while any(map(is_running, pids)):
            assert time.monotonic() < deadline, "a process outlived its server"
            time.sleep(0.01)


async def _serve_for_ever(model_dir: pathlib.Path, scratch_dir: pathlib.Path) -> None:
    made = Family(model_dir, scratch_dir, BREED)
    replica = await made.replica()
    replica.predict(b'{"instances": ["forever"]}')
    print(json.dumps([replica.report.pid, parent_of(replica.report.pid)]), flush=True)  # noqa: T201  # to the test
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("environment", "gpu_id", "safe"),
    [
        pytest.param({"MY_LABEL": "x", "TS_X": "1"}, None, True, id="the usual"),
        pytest.param({}, 0, False, id="a GPU"),
        pytest.param({"OMP_NUM_THREADS": "2"}, None, False, id="threads"),
        pytest.param({"LD_PRELOAD": "x.so"}, None, False, id="the loader"),
        pytest.param({"PYTHONHASHSEED": "1"}, None, False, id="Python"),
    ],
)
def test_what_cannot_be_forked_is_spawned(
    environment: dict[str, str],
    gpu_id: int | None,
    safe: bool,  # noqa: FBT001  # a case of the table
) -> None:
    assert nursery.is_safe(environment, gpu_id) is safe


if __name__ == "__main__":
    asyncio.run(_serve_for_ever(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
