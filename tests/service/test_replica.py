"""A replica is a real process: it loads, answers, dies alone and leaves nothing."""

import asyncio
import base64
import contextlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import torch
import uvloop
from PIL import Image

from homeport.errors import Code, DeadlineExceededError, UnavailableError
from homeport.worker.replica import Replica, ReplicaLoadError, ReplicaSpec, Reply

SOURCES = pathlib.Path(__file__).parents[1] / "archives"
DEADLINE_S = 60.0
pytestmark = pytest.mark.service
Scenario = Callable[[], Awaitable[None]]


@pytest.fixture
def archive(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    """Copy the files of tests/archives/<name>, and write a manifest."""

    def make(name: str, **model: str) -> pathlib.Path:
        model_dir = tmp_path / name
        shutil.copytree(SOURCES / name, model_dir)
        manifest = {"modelName": name, "modelVersion": "1.0", "handler": "handler.py"}
        (model_dir / "MAR-INF").mkdir()
        (model_dir / "MAR-INF/MANIFEST.json").write_text(
            json.dumps({"runtime": "python", "model": manifest | model})
        )
        return model_dir

    return make


MakeArchive = Callable[..., pathlib.Path]


@pytest.fixture(autouse=True)
def temp_root(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Return where private directories are made; all are gone at the end."""
    root = tmp_path / "private"
    root.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(root))
    return root


@contextlib.asynccontextmanager
async def running(
    model_dir: pathlib.Path, log: list[str] | None = None, **environment: str
) -> AsyncIterator[Replica]:
    lines = [] if log is None else log
    spec = ReplicaSpec(model_dir, environment, load_timeout_s=DEADLINE_S)
    replica = await Replica.start(spec, on_log=lines.extend)
    try:
        yield replica
    finally:
        await replica.stop(5.0)


async def ask(replica: Replica, *rows: object) -> Reply:
    body = json.dumps({"instances": rows}).encode()
    return await asyncio.wait_for(replica.predict(body), DEADLINE_S)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition was never met"
        await asyncio.sleep(0.01)


def left_in(directory: pathlib.Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def is_alive(pid: int) -> bool:
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except FileNotFoundError:
        return False
    return state.split()[0] != "Z"


def save_torchscript(model_dir: pathlib.Path) -> None:
    layer = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.ones_(layer.weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(layer), str(model_dir / "model.pt"))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_replica_loads_answers_and_stops(
    archive: MakeArchive,
    temp_root: pathlib.Path,
    run: Callable[[Awaitable[None]], None],
) -> None:
    async def scenario() -> None:
        log: list[str] = []
        model_dir = archive("word_count", handler="word_count.py")
        async with running(model_dir, log) as replica:
            replies = await asyncio.gather(
                *(ask(replica, {"text": "a " * n}) for n in range(100))
            )
            assert replies == [Reply(0, b'[{"words":%d}]' % n) for n in range(100)]
            assert replica.outstanding == 0
            assert replica.busy_since is None
            assert 0 < replica.service_time_s < 1
            assert replica.report.handler == "word_count.py"
            assert replica.report.batch_size == 1
        assert replica.closed.result() == "stopped"
        assert not is_alive(replica.report.pid)
        assert log == ["INFO word_count loading word_count"]
        assert left_in(temp_root) == []
        assert not (model_dir / "__pycache__").exists()
        with pytest.raises(UnavailableError, match="stopped"):
            await ask(replica, 1)
        await replica.stop(1.0)

    run(scenario())


def test_torchscript_without_a_handler_serves(archive: MakeArchive) -> None:
    async def scenario() -> None:
        model_dir = archive(
            "tiny_mlp", handler="base_handler", serializedFile="model.pt"
        )
        save_torchscript(model_dir)
        async with running(model_dir) as replica:
            assert await ask(replica, [1.5, 2.0]) == Reply(0, b"[[3.5]]")
            refused = await ask(replica, [1.5, 2.0, 3.0])
            assert refused.code == Code.INVALID_ARGUMENT
            assert refused.payload.startswith(
                b"the model refused an input of shape (1, 3) and type float32: "
            )

    asyncio.run(scenario())


def test_a_torchserve_handler_with_model_file_and_checkpoint_serves(
    archive: MakeArchive,
) -> None:
    async def scenario() -> None:
        model_dir = archive(
            "image_classifier", modelFile="model.py", serializedFile="model.pth"
        )
        state = {
            "features.0.weight": torch.zeros(4, 3, 3, 3),
            "features.0.bias": torch.ones(4),
            "classifier.weight": torch.zeros(3, 256),
            "classifier.bias": torch.tensor([0.0, 5.0, 0.0]),
        }
        config = {"num_classes": 3, "input_channels": 3}
        torch.save(
            {"model_state_dict": state, "model_config": config},
            model_dir / "model.pth",
        )
        png = io.BytesIO()
        Image.new("RGB", (8, 8), "red").save(png, "PNG")
        text = base64.b64encode(png.getvalue()).decode()
        async with running(model_dir) as replica:
            as_text = await ask(replica, {"data": text}, {"data": text})
            as_binary = await ask(replica, {"data": {"b64": text}})

        first, second = json.loads(as_text.payload)
        assert first["predicted_class"] == "automobile"
        assert first["confidence"] == pytest.approx(0.98670, abs=1e-4)
        assert first == second == json.loads(as_binary.payload)[0]

    asyncio.run(scenario())


def test_what_a_handler_does_wrong_fails_its_request_alone(
    archive: MakeArchive,
) -> None:
    async def scenario() -> None:
        log: list[str] = []
        async with running(archive("misbehaving"), log) as replica:
            raised, refused, fine, too_many, nan, bad = await asyncio.gather(
                ask(replica, {"do": "raise", "value": "no stock"}),
                ask(replica, {"do": "refuse"}),
                ask(replica, {"value": 1}),
                ask(replica, {"too_many": 1}),
                ask(replica, {"do": "nan"}),
                replica.predict(b'{"instances": '),
            )
        assert raised == Reply(13, b"the handler raised ValueError: no stock")
        assert refused == Reply(5, b"no such user")
        assert fine == Reply(0, b"[1]")
        assert b"2 results for 1 instance:" in too_many.payload
        assert b"NaN or infinite" in nan.payload
        assert bad.code == Code.INVALID_ARGUMENT
        assert "ValueError: no stock" in log

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param({"do": "exit", "value": 3}, "exited with code 3", id="sys.exit"),
        pytest.param({"do": "kill"}, "killed by SIGKILL", id="SIGKILL"),
    ],
)
def test_a_process_that_ends_fails_what_it_had_with_the_reason(
    archive: MakeArchive, row: object, reason: str, temp_root: pathlib.Path
) -> None:
    async def scenario() -> None:
        async with running(archive("misbehaving")) as replica:
            before = ask(replica, {"value": 1})
            with pytest.raises(UnavailableError, match=reason):
                await asyncio.gather(before, ask(replica, row), ask(replica, 1))
            assert await asyncio.wait_for(replica.closed, DEADLINE_S) == reason
            assert replica.outstanding == 0
        assert left_in(temp_root) == []

    asyncio.run(scenario())


def test_a_handler_that_never_returns_shows_and_can_be_killed(
    archive: MakeArchive,
) -> None:
    async def scenario() -> None:
        async with running(archive("misbehaving")) as replica:
            begin = time.monotonic()
            waiting = replica.predict(
                b'{"instances": [{"do": "sleep", "value": 3600}]}'
            )
            assert replica.outstanding == 1
            assert replica.busy_since == pytest.approx(begin, abs=1.0)

            replica.kill("killed: over its deadline")

            with pytest.raises(UnavailableError, match="over its deadline"):
                await asyncio.wait_for(waiting, DEADLINE_S)
            assert await replica.closed == "killed: over its deadline"

    asyncio.run(scenario())


def test_what_was_answered_before_a_call_that_hangs_has_left(
    archive: MakeArchive,
) -> None:
    async def scenario() -> None:
        model_dir = archive("misbehaving", configFile="model-config.yaml")
        (model_dir / "model-config.yaml").write_text("responseTimeout: 60")
        late = DeadlineExceededError("too slow")
        async with running(model_dir) as replica:
            quick = [ask(replica, {"value": index}) for index in range(20)]
            answers = asyncio.gather(*quick)
            await asyncio.sleep(0)
            stuck, behind = (
                replica.predict(b'{"instances": [{"do": "sleep", "value": 3600}]}')
                for _ in "12"
            )

            assert [reply.code for reply in await answers] == [0] * 20
            await replica.stop(0.0, late)

            assert stuck.exception() is late
            assert isinstance(behind.exception(), UnavailableError)

    asyncio.run(scenario())


def test_a_stop_is_a_kill_when_the_grace_is_over(archive: MakeArchive) -> None:
    async def scenario() -> None:
        async with running(archive("misbehaving")) as replica:
            waiting = replica.predict(
                b'{"instances": [{"do": "sleep", "value": 3600}]}'
            )
            await replica.stop(0.1)
            assert replica.closed.result() == "killed: it did not stop within 0.1 s"
            with pytest.raises(UnavailableError):
                await waiting

    asyncio.run(scenario())


def test_stop_answers_what_was_sent_before(archive: MakeArchive) -> None:
    async def scenario() -> None:
        model_dir = archive("word_count", handler="word_count.py")
        async with running(model_dir) as replica:
            replies = [ask(replica, {"text": "a"}) for _ in range(50)]
            waiting = asyncio.gather(*replies)
            await asyncio.sleep(0)
            await replica.stop(DEADLINE_S)
            assert await waiting == [Reply(0, b'[{"words":1}]')] * 50

    asyncio.run(scenario())


def test_a_cancelled_request_is_dropped_and_the_link_lives(
    archive: MakeArchive,
) -> None:
    async def scenario() -> None:
        async with running(archive("misbehaving")) as replica:
            given_up = replica.predict(
                b'{"instances": [{"do": "sleep", "value": 0.1}]}'
            )
            given_up.cancel()
            assert replica.outstanding == 1
            assert await ask(replica, {"value": 2}) == Reply(0, b"[2]")
            assert replica.outstanding == 0

    asyncio.run(scenario())


def test_requests_are_batched_when_the_archive_says_so(archive: MakeArchive) -> None:
    async def scenario() -> None:
        model_dir = archive("batched", configFile="model-config.yaml")
        async with running(model_dir) as replica:
            assert replica.report.batch_size == 4
            assert replica.report.response_timeout_s == 30.0
            rows = [1, 1, "bad", 1, 1, 1, 1, 1]
            replies = await asyncio.gather(*(ask(replica, row) for row in rows))

        assert [reply.code for reply in replies] == [0, 0, 13, 0, 0, 0, 0, 0]
        assert max(json.loads(r.payload)[0] for r in replies if not r.code) > 1

    asyncio.run(scenario())


def test_the_environment_is_the_deployments_and_nothing_of_the_servers(
    archive: MakeArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_SECRET", "not for models")

    async def scenario() -> None:
        model_dir = archive("misbehaving")
        async with running(model_dir, LABEL="x") as replica:
            (seen,) = json.loads((await ask(replica, {"do": "environment"})).payload)
            (cwd,) = json.loads((await ask(replica, {"do": "cwd"})).payload)
        assert seen["LABEL"] == "x"
        assert seen["HOME"] == seen["TMPDIR"] != os.environ.get("HOME")
        assert "SERVER_SECRET" not in seen
        assert cwd == [True, str(model_dir)]

    asyncio.run(scenario())


def test_lines_reach_the_owner_at_once_and_long_ones_are_cut(
    archive: MakeArchive,
) -> None:
    async def scenario() -> None:
        log: list[str] = []
        async with running(archive("misbehaving"), log) as replica:
            await ask(replica, {"do": "print", "value": "hello"})
            await until(lambda: "hello" in log)
            await ask(replica, {"do": "print_long", "value": 3_000_000})
            await until(lambda: "x" * 8192 in log)

    asyncio.run(scenario())


def test_what_a_handler_started_goes_with_it(archive: MakeArchive) -> None:
    async def scenario() -> None:
        async with running(archive("misbehaving")) as replica:
            (pid,) = json.loads((await ask(replica, {"do": "grandchild"})).payload)
            assert is_alive(pid)
        await until(lambda: not is_alive(pid))

    asyncio.run(scenario())


def test_a_load_error_carries_cause_remedy_and_the_authors_traceback(
    archive: MakeArchive, temp_root: pathlib.Path
) -> None:
    async def scenario() -> None:
        with pytest.raises(ReplicaLoadError) as caught:
            async with running(archive("missing_package")):
                pass
        assert caught.value.code is Code.FAILED_PRECONDITION
        assert caught.value.cause == (
            "handler.py line 1 raised ModuleNotFoundError: "
            "No module named 'no_such_package_anywhere'"
        )
        assert "requirements" in caught.value.remedy
        assert caught.value.traceback == (
            "Traceback (most recent call last):\n"
            '  File "handler.py", line 1, in <module>\n'
            "    import no_such_package_anywhere\n"
            "ModuleNotFoundError: No module named 'no_such_package_anywhere'\n"
        )
        assert caught.value.message.startswith("the model did not load: handler.py")
        assert left_in(temp_root) == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("how", "told", "printed"),
    [
        pytest.param(
            "exit",
            "exited with code 3 while it loaded the model: its log has the reason",
            ["giving up"],
            id="with a last line",
        ),
        pytest.param(
            "kill",
            "was killed by SIGKILL while it loaded the model: it printed nothing, let "
            "it print how far it comes",
            [],
            id="without a word",
        ),
    ],
)
def test_a_process_that_ends_while_it_loads_is_unavailable(
    archive: MakeArchive, how: str, told: str, printed: list[str]
) -> None:
    async def scenario() -> None:
        log: list[str] = []
        with pytest.raises(UnavailableError) as caught:
            async with running(archive("misbehaving"), log, ON_LOAD=how):
                pass
        assert caught.value.message == f"the worker process {told}"
        assert log == printed

    asyncio.run(scenario())


def test_a_load_that_takes_too_long_ends_the_process(
    archive: MakeArchive, temp_root: pathlib.Path
) -> None:
    async def scenario() -> None:
        spec = ReplicaSpec(
            archive("misbehaving"), {"ON_LOAD": "sleep"}, load_timeout_s=0.5
        )
        with pytest.raises(UnavailableError) as caught:
            await Replica.start(spec, on_log=print)
        assert caught.value.message == (
            "the model did not load within 0.5 s, the server's --load-timeout: make "
            "its initialize faster, or start the server with a longer one"
        )
        assert left_in(temp_root) == []

    asyncio.run(scenario())


def test_a_start_that_is_cancelled_leaves_nothing(
    archive: MakeArchive, temp_root: pathlib.Path
) -> None:
    async def scenario() -> None:
        spec = ReplicaSpec(archive("misbehaving"), {"ON_LOAD": "sleep"})
        start = asyncio.create_task(Replica.start(spec, on_log=print))
        await until(lambda: left_in(temp_root) != [])
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        assert left_in(temp_root) == []

    asyncio.run(scenario())


SERVER = """
import asyncio, pathlib, sys
from homeport.worker.replica import Replica, ReplicaSpec

async def serve():
    spec = ReplicaSpec(pathlib.Path(sys.argv[1]), {})
    replica = await Replica.start(spec, on_log=print)
    replica.predict(b'{"instances": [{"do": "sleep", "value": 3600}]}')
    await asyncio.sleep(0)
    print(replica.report.pid, flush=True)
    await asyncio.sleep(3600)

asyncio.run(serve())
"""


def test_a_busy_worker_does_not_outlive_a_server_that_is_killed(
    archive: MakeArchive, temp_root: pathlib.Path
) -> None:
    server = subprocess.Popen(  # noqa: S603  # this test's own text
        [sys.executable, "-c", SERVER, str(archive("misbehaving"))],
        stdout=subprocess.PIPE,
        env={"TMPDIR": str(temp_root)},
    )
    with server:
        assert server.stdout is not None
        worker = int(server.stdout.readline())
        assert is_alive(worker)

        server.kill()

    asyncio.run(until(lambda: not is_alive(worker)))
