"""A version with a lock runs in an environment of its own, whatever the server has."""

import asyncio
import contextlib
import json
import os
import pathlib
import shutil
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

import servers
import wheels
from homeport.environments import eviction, lock
from homeport.environments.build import Environments
from homeport.environments.eviction import Kept, Limits
from homeport.errors import NotFoundError
from homeport.serving.local import LocalRuntime
from homeport.serving.runtime import Launch, Replica
from homeport.worker.replica import ReplicaLoadError, Reply
from servers import wait_until

DEADLINE_S = 60.0
pytestmark = pytest.mark.service
MakeModel = Callable[[str], pathlib.Path]


@pytest.fixture
def model(tmp_path: pathlib.Path) -> MakeModel:
    """Lay out an archive of one handler, whose source is given."""

    def make(source: str) -> pathlib.Path:
        model_dir = tmp_path / f"model-{len(list(tmp_path.iterdir()))}"
        (model_dir / "MAR-INF").mkdir(parents=True)
        (model_dir / "handler.py").write_text(textwrap.dedent(source))
        (model_dir / "MAR-INF/MANIFEST.json").write_text(
            json.dumps(
                {
                    "runtime": "python",
                    "model": {
                        "modelName": "m",
                        "modelVersion": "1.0",
                        "handler": "handler.py",
                    },
                }
            )
        )
        return model_dir

    return make


@pytest.fixture
def packages(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "packages"
    folder.mkdir()
    return folder


@pytest.fixture
def index(
    packages: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The only index, with the packages of this test alone."""
    with wheels.served(packages) as url:
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
        yield url


@contextlib.asynccontextmanager
async def runtime(tmp_path: pathlib.Path) -> AsyncIterator[LocalRuntime]:
    (tmp_path / "scratch").mkdir()
    made = LocalRuntime(tmp_path / "scratch", Environments(tmp_path / "environments"))
    try:
        yield made
    finally:
        await made.close()


@contextlib.asynccontextmanager
async def running(
    engine: LocalRuntime, launch: Launch, log: list[str] | None = None
) -> AsyncIterator[Replica]:
    lines = [] if log is None else log
    replica = await engine.start(launch, on_log=lines.extend, on_room=lambda: None)
    try:
        yield replica
    finally:
        await replica.stop(5.0)


async def ask(replica: Replica, *rows: object) -> Reply:
    body = json.dumps({"instances": rows}).encode()
    reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    return await asyncio.wait_for(replica.predict(body, reply), DEADLINE_S)


def test_an_empty_environment_serves_with_the_standard_library_alone(
    tmp_path: pathlib.Path, model: MakeModel
) -> None:
    model_dir = model(
        """\
        import importlib.util
        import json
        import os
        import sys


        def found(name):
            try:
                return importlib.util.find_spec(name) is not None
            except ModuleNotFoundError:
                return False


        def handle(data, context):
            if not data:
                return None
            names = ("numpy", "orjson", "simdjson", "yaml", "pydantic", "homeport")
            rooms = ("homeport.errors", "homeport.serving", "homeport.metadata")
            return [
                {
                    "found": [name for name in names + rooms if found(name)],
                    "user": [p for p in sys.path if ".local" in p],
                    "sum": sum(map(sum, row["data"])),
                }
                for row in data
            ]
        """
    )
    launch = Launch(model_dir, {}, DEADLINE_S, lock=lock.resolve([]).text)

    async def scenario() -> None:
        async with runtime(tmp_path) as engine, running(engine, launch) as replica:
            reply = await ask(replica, {"data": [[1.5, 2.5], [3.0, 4.0]]})

        assert json.loads(reply.payload) == [
            {"found": ["homeport", "homeport.errors"], "user": [], "sum": 11.0}
        ]

    asyncio.run(scenario())
    assert list((tmp_path / "scratch").iterdir()) == []


def test_numpy_of_a_lock_of_its_own_is_used(
    tmp_path: pathlib.Path, model: MakeModel
) -> None:
    model_dir = model(
        """\
        import numpy


        def handle(data, context):
            if not data:
                return None
            return [numpy.array(row["data"]) * 2 for row in data]
        """
    )
    wanted = lock.resolve(["numpy<2.4"], if_they_fit=lock.WORKER_WISHES)
    launch = Launch(model_dir, {}, DEADLINE_S, lock=wanted.text)

    async def scenario() -> None:
        async with runtime(tmp_path) as engine, running(engine, launch) as replica:
            assert await ask(replica, {"data": [1, 2]}) == Reply(0, b"[[2,4]]")

    asyncio.run(scenario())


VERSION_HANDLER = """\
    import shared


    def handle(data, context):
        if not data:
            return None
        return [shared.VERSION for _ in data]
"""


@pytest.mark.usefixtures("index")
def test_two_versions_with_pins_that_conflict_serve_side_by_side(
    tmp_path: pathlib.Path, model: MakeModel, packages: pathlib.Path
) -> None:
    for version in ("1.0", "2.0"):
        wheels.make(packages, "shared", version)
    model_dir = model(VERSION_HANDLER)
    old, new = (
        Launch(
            model_dir, {}, DEADLINE_S, lock=lock.resolve([f"shared=={version}"]).text
        )
        for version in ("1.0", "2.0")
    )

    async def scenario() -> None:
        async with (
            runtime(tmp_path) as engine,
            running(engine, old) as first,
            running(engine, new) as second,
        ):
            answers = [await ask(first, "x"), await ask(second, "x")]

        assert answers == [Reply(0, b'["1.0"]'), Reply(0, b'["2.0"]')]

    asyncio.run(scenario())


@pytest.mark.usefixtures("index")
def test_replicas_that_start_together_share_one_build_which_the_log_tells(
    tmp_path: pathlib.Path, model: MakeModel, packages: pathlib.Path
) -> None:
    wheels.make(packages, "shared", "1.0")
    wanted = lock.resolve(["shared"])
    launch = Launch(model(VERSION_HANDLER), {}, DEADLINE_S, lock=wanted.text)
    log: list[str] = []

    async def scenario() -> None:
        async with (
            runtime(tmp_path) as engine,
            contextlib.AsyncExitStack() as stack,
            asyncio.TaskGroup() as starting,
        ):
            for _ in range(3):
                starting.create_task(
                    stack.enter_async_context(running(engine, launch, log))
                )

    asyncio.run(scenario())

    assert log.count("building an environment of 1 packages") == 1
    assert str(tmp_path) not in "\n".join(log)
    built = [path.name for path in (tmp_path / "environments").iterdir()]
    assert built == [wanted.digest]


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({}, id="forked"),
        # Read when libraries are loaded, so not by what is forked.
        pytest.param({"OMP_NUM_THREADS": "1"}, id="spawned"),
    ],
)
def test_an_environment_is_kept_while_a_replica_is_in_it(
    tmp_path: pathlib.Path, model: MakeModel, variables: dict[str, str]
) -> None:
    directory = tmp_path / "environments"
    nothing = Limits(max_age_s=0.0, max_bytes=0)
    text = lock.resolve([]).text
    launch = Launch(
        model("def handle(d, c): return d\n"), variables, DEADLINE_S, lock=text
    )

    def evict() -> tuple[Kept, ...]:
        # Later than its last use, whatever the clock's grain.
        return eviction.evict(directory, nothing, time.time() + 60.0)

    async def scenario() -> None:
        async with runtime(tmp_path) as engine, running(engine, launch) as replica:
            assert evict() == ()
            assert await ask(replica, "x") == Reply(0, b'["x"]')

    asyncio.run(scenario())
    assert [one.digest for one in evict()] == [lock.parse(text).digest]


def test_what_the_lock_lacks_is_told_with_what_to_do(
    tmp_path: pathlib.Path, model: MakeModel
) -> None:
    empty = lock.resolve([]).text
    launch = Launch(model("import pydantic\n"), {}, DEADLINE_S, lock=empty)

    async def scenario() -> None:
        async with runtime(tmp_path) as engine:
            with pytest.raises(ReplicaLoadError) as refused:
                await engine.start(launch, on_log=print, on_room=lambda: None)
        assert "No module named 'pydantic'" in refused.value.cause
        assert "list pydantic in the archive's requirements and pack it again" in (
            refused.value.remedy
        )

    asyncio.run(scenario())


@pytest.mark.usefixtures("index")
def test_a_lock_that_cannot_be_built_any_more_is_the_cause(
    tmp_path: pathlib.Path, model: MakeModel
) -> None:
    empty = lock.resolve([]).text
    launch = Launch(
        model(VERSION_HANDLER), {}, DEADLINE_S, lock=f"{empty}shared==3.0\n"
    )

    async def scenario() -> None:
        async with runtime(tmp_path) as engine:
            with pytest.raises(NotFoundError, match="no package is called shared"):
                await engine.start(launch, on_log=print, on_room=lambda: None)

    asyncio.run(scenario())


def test_a_server_that_stops_ends_its_builds(
    tmp_path: pathlib.Path, model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"{lock.resolve([]).text}shared==1.0\n"
    launch = Launch(model(VERSION_HANDLER), {}, DEADLINE_S, lock=text)

    async def scenario(url: str) -> None:
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        begun = asyncio.Event()
        async with runtime(tmp_path) as engine:
            start = asyncio.create_task(
                engine.start(
                    launch, on_log=lambda _lines: begun.set(), on_room=lambda: None
                )
            )
            await asyncio.wait_for(begun.wait(), DEADLINE_S)
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)

    with wheels.silent() as url:
        asyncio.run(asyncio.wait_for(scenario(url), DEADLINE_S))

    assert list((tmp_path / "environments").iterdir()) == []


@pytest.mark.usefixtures("index")
def test_a_server_serves_versions_whose_packages_conflict_and_again_after_a_restart(
    tmp_path: pathlib.Path,
    packages: pathlib.Path,
    model: MakeModel,
) -> None:
    archives = []
    for version in ("1.0", "2.0"):
        wheels.make(packages, "shared", version)
        model_dir = model(VERSION_HANDLER)
        locked = lock.resolve([f"shared=={version}"])
        (model_dir / lock.PATH).write_text(locked.text)
        zipped = shutil.make_archive(str(tmp_path / version), "zip", model_dir)
        archives.append(pathlib.Path(zipped).rename(tmp_path / f"{version}.mar"))
    environments = tmp_path / "data/environments"
    with servers.running(servers.Server(tmp_path / "data")) as server:
        deployed = [server.deploy(archive) for archive in archives]
        endpoints = [endpoint for endpoint, _ in deployed]
        first = [server.ask(endpoint, "x") for endpoint in endpoints]
        server.stop()
        built = {path.stat().st_ino for path in environments.iterdir()}
        told = _told(server)
        unused = environments / ("f" * 64)
        unused.mkdir()
        for path in environments.iterdir():
            os.utime(path, (0, 0))
        server.start()
        wait_until(lambda: not unused.exists())
        server.wait_ready()
        again = [server.ask(endpoint, "x") for endpoint in endpoints]
        told_since = _told(server)

    assert [operation.get("error") for _, operation in deployed] == [None, None]
    assert first == again == [["1.0"], ["2.0"]]
    # Those of deployed versions stay, however long the server was away.
    assert len(built) == 2
    assert {path.stat().st_ino for path in environments.iterdir()} == built
    # A folder that is made anew may have the number of one that went.
    assert told == told_since == (2, 0)


def _told(server: servers.Server) -> tuple[int, int]:
    """Return how many builds the logs tell of, and how many ends of what is there."""
    logs = [path.read_text() for path in (server.data_dir / "logs").glob("*.log")]
    names = (server.data_dir / "environments").iterdir()
    gone = sum(server.log().count(f"removed environment {one.name}") for one in names)
    return sum(log.count("building an environment") for log in logs), gone


NUMPY_HANDLER = """\
    import numpy


    def handle(data, context):
        if not data:
            return None
        # In NumPy 2 a Python number takes the array's type, in NumPy 1 its own range.
        return [[numpy.__version__, str((numpy.float32(3) + 3.0).dtype)] for _ in data]
"""


@pytest.mark.clients
def test_numpy_1_and_2_serve_side_by_side_from_one_server(
    tmp_path: pathlib.Path, model: MakeModel
) -> None:
    archives = {}
    for version in ("1.26.4", "2.2.6"):
        model_dir = model(NUMPY_HANDLER)
        locked = lock.resolve([f"numpy=={version}"])
        (model_dir / lock.PATH).write_text(locked.text)
        zipped = shutil.make_archive(str(tmp_path / version), "zip", model_dir)
        archives[version] = pathlib.Path(zipped).rename(tmp_path / f"{version}.mar")
    with servers.running(servers.Server(tmp_path / "data")) as server:
        endpoint, first = server.deploy(archives["1.26.4"])
        old = first["response"]["deployedModel"]["id"]
        registered = server.register(archives["2.2.6"])
        model_name = registered["response"]["model"]
        second = server.wait(
            server.begin_deploy(endpoint, model_name, {"0": 50, old: 50})
        )

        answers = [server.ask(endpoint, "x")[0] for _ in range(10)]

    assert second.get("error") is None
    assert sorted(answers) == [["1.26.4", "float64"]] * 5 + [["2.2.6", "float32"]] * 5
