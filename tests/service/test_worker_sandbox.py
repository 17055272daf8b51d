"""A handler sees its model, its environment and the system, and no more.

The kernel refuses the rest. Handlers and server are real; what they try is in their
instances.
"""

import pathlib
import subprocess
import sys
from collections.abc import Callable

import pytest

from homeport.packing import pack
from homeport.worker import landlock
from servers import Server

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(landlock.version() < 3, reason="needs Landlock of Linux 6.2"),
]
# Tries what each instance says, and answers how it went.
TRYING = """
import errno
import os
import signal
import socket
import sys
import tempfile


def attempt(what, path):
    if what == "read":
        with open(path, "rb") as file:
            return len(file.read(10))
    if what == "list":
        return len(os.listdir(path))
    if what == "write":
        with open(path, "w") as file:
            return file.write("x")
    if what == "remove":
        return os.remove(path)
    if what == "truncate":
        return os.truncate(path, 0)
    if what == "temporary":
        folder = tempfile.mkdtemp()
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            return file.write(b"x")
    if what == "own":
        return len(os.listdir(os.path.dirname(__file__)))
    if what == "kill":
        return os.kill(int(path), signal.SIGKILL)
    if what == "run":
        return os.spawnl(os.P_WAIT, sys.executable, "python", "-c", "import json")
    if what == "connect":
        socket.create_connection(("127.0.0.1", int(path)), 5).close()
        return 0


def handle(data, context):
    if data is None:
        return None
    answers = []
    for row in data:
        try:
            answers.append(attempt(*row))
        except OSError as error:
            answers.append(errno.errorcode[error.errno])
    return answers
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("trying")
    (folder / "trying.py").write_text(TRYING)
    spec = pack.PackSpec(model_name="trying", handler=str(folder / "trying.py"))
    return pack.pack(spec, folder).path


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """What the operator lets workers change."""
    folder = tmp_path_factory.mktemp("given")
    (folder / "words").write_text("some words")
    return folder


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server], given: pathlib.Path) -> Server:
    return start_server("--no-access-log", "--worker-write", str(given))


@pytest.fixture(scope="module", params=["forked", "spawned"])
def endpoint(
    server: Server, archive: pathlib.Path, request: pytest.FixtureRequest
) -> str:
    # A variable that is read when Python starts has a replica spawned.
    variables = [{"name": "PYTHONHASHSEED", "value": "1"}]
    spec = {"env": variables if request.param == "spawned" else []}
    name, operation = server.deploy(archive, containerSpec=spec)
    assert "response" in operation, operation
    return name


def ask(server: Server, endpoint: str, *rows: tuple[str, object]) -> list[object]:
    return server.ask(endpoint, *([what, str(path)] for what, path in rows))


def test_nothing_of_the_data_directory_can_be_read_or_changed(
    server: Server, endpoint: str
) -> None:
    data_dir = server.data_dir
    blob = next(path for path in (data_dir / "blobs").rglob("*") if path.is_file())

    answers = ask(
        server,
        endpoint,
        ("read", data_dir / "homeport.db"),
        ("write", data_dir / "homeport.db"),
        ("truncate", data_dir / "homeport.db"),
        ("read", data_dir / "server"),
        ("read", blob),
        ("remove", blob),
        ("list", data_dir),
        ("list", data_dir / "keys"),
        ("list", data_dir / "artifacts"),
        ("list", data_dir / "scratch"),
        ("write", data_dir / "scratch/mine"),
    )

    assert answers == ["EACCES"] * 7 + ["ENOENT"] + ["EACCES"] * 3
    assert blob.exists()


def test_other_models_and_other_replicas_are_out_of_sight(
    server: Server, endpoint: str, mlp_archive: pathlib.Path
) -> None:
    server.deploy(mlp_archive)
    data_dir = server.data_dir
    laid_out = list((data_dir / "artifacts").glob("*/MAR-INF/MANIFEST.json"))
    private = list((data_dir / "scratch").glob("homeport-replica-*"))

    manifests = ask(server, endpoint, *(("read", path) for path in laid_out))
    folders = ask(server, endpoint, *(("list", path) for path in private))

    assert sorted(map(str, manifests)) == ["10", "EACCES"]
    assert [type(one) for one in folders].count(int) == 1
    assert len(folders) >= 2


def test_what_a_handler_needs_is_there(
    server: Server, endpoint: str, given: pathlib.Path
) -> None:
    port = server.url.rpartition(":")[2]

    answers = ask(
        server,
        endpoint,
        ("own", ""),
        ("temporary", ""),
        ("read", "/proc/self/status"),
        ("read", "/etc/passwd"),
        ("write", "/dev/null"),
        ("list", "/dev/shm"),  # noqa: S108  # for what it shares with its own processes
        ("run", ""),
        ("connect", port),
        ("read", given / "words"),
        ("write", given / "more"),
    )

    assert "EACCES" not in answers, answers
    assert answers[6:] == [0, 0, 10, 1]


def test_other_processes_of_the_user_are_left_alone(
    server: Server, endpoint: str
) -> None:
    assert server.process is not None
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as other:
        answers = ask(
            server,
            endpoint,
            ("read", f"/proc/{server.process.pid}/environ"),
            ("read", f"/proc/{other.pid}/environ"),
            ("kill", other.pid),
        )

        assert answers[:2] == ["EACCES"] * 2
        # Signals are kept since Linux 6.12.
        assert answers[2] == ("EPERM" if landlock.version() >= 6 else None)
        other.communicate(b"\n")


def test_what_is_in_force_is_told(server: Server) -> None:
    version = landlock.version()

    told = server.call("GET", "/")[1]["workerSandbox"]

    assert told == f"auto: Landlock {version}, data directory hidden, network open"
    assert f"Worker sandbox: {told}\n" in server.log()


def test_a_folder_in_the_data_directory_cannot_be_opened_to_workers(
    tmp_path: pathlib.Path,
) -> None:
    keys = tmp_path / "data/keys"
    keys.mkdir(parents=True)

    ended = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "homeport", "serve", "--data-dir", tmp_path / "data",
         "--port", "0", "--worker-read", keys],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ended.returncode == 1
    assert "lies in the data directory, which no worker may see" in ended.stderr


@pytest.mark.parametrize(
    ("level", "status"),
    [pytest.param("auto", 0, id="auto"), pytest.param("strict", 3, id="strict")],
)
def test_a_check_runs_in_the_same_sandbox_and_says_what_was_refused(
    tmp_path: pathlib.Path,
    archived: Callable[..., pathlib.Path],
    level: str,
    status: int,
) -> None:
    if landlock.version() < 4:
        pytest.skip("strict needs Linux 6.7")
    source = (
        "import pathlib\n\n"
        f"pathlib.Path({str(tmp_path / 'told')!r}).write_text('told')\n\n\n"
        "def handle(data, context):\n    return data\n"
    )

    ended = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "homeport", "check", archived(source),
         "--worker-sandbox", level, "--cache-dir", tmp_path / "cache"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert ended.returncode == status, ended.stdout + ended.stderr
    assert (tmp_path / "told").exists() == (level == "auto")
    told = "handler.py line 3 raised PermissionError: [Errno 13] Permission denied"
    assert (told in ended.stdout) == (level == "strict")
    assert ("start with --worker-read or" in ended.stdout) == (level == "strict")
