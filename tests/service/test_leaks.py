"""A server that is killed leaves nothing: no process, no port, no temporary folder."""

import dataclasses
import os
import pathlib
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import images
import wheels
from homeport.environments import lock
from liveness import descendants_of, is_running, listeners, running_below
from rooms import archive
from servers import PARENT, Server, running, wait_until

pytestmark = pytest.mark.service
Archived = Callable[..., pathlib.Path]
ECHO = b"def handle(data, context):\n    return data\n"
HANGS = """
import os
import time


class Handler:
    def initialize(self, context):
        open(os.environ["TOLD"], "w").close()
        time.sleep(3600)

    def handle(self, data, context):
        return data
"""


@pytest.fixture
def busy(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose temporary files are its own, and whose index never answers."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    options = (
        *("--no-access-log", "--container-engine=none", "--allow-host-commands"),
        *("--port", str(lasting_port())),
    )
    with wheels.silent() as url:
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        with running(Server(tmp_path / "data", options, "warn")) as started:
            yield started


def lasting_port() -> int:
    """Return a free port that the kernel gives nobody who lets it choose."""
    first = 20000 + os.getpid() % 10000
    for port in range(first, 32000):
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"every port from {first} to 32000 is taken")


def locked(folder: pathlib.Path, name: str, text: str) -> pathlib.Path:
    path = folder / f"{name}.mar"
    path.write_bytes(archive(ECHO, files={lock.PATH: text.encode()}))
    return path


def begin_upload(server: Server, made: pathlib.Path, **model: object) -> Any:
    """Ask for a registration; return its operation as it was answered."""
    uri = server.upload_archive(made, f"{made.stem}-{time.monotonic_ns()}")
    request = {"model": {"displayName": "begun", "artifactUri": uri, **model}}
    status, operation = server.call("POST", f"/v1/{PARENT}/models:upload", request)
    assert status == 200, operation
    return operation


def serve_program(server: Server) -> str:
    """Return the endpoint of a program that serves on this host."""
    server.upload("own/words.txt", b"from the artifact")
    registered = server.register_at(
        "gs://models/own",
        containerSpec={
            "imageUri": "example.com/own:1",
            "command": [sys.executable, str(images.PROGRAM)],
            "predictRoute": "/predict",
            "healthRoute": "/health",
        },
    )
    endpoint = server.create_endpoint()
    model = registered["response"]["model"]
    ended = server.wait(server.begin_deploy(endpoint, model, {"0": 100}))
    assert "response" in ended, ended
    return endpoint


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """What a server is at.

    Attributes:
        own: The endpoint of a version in an environment of its own.
        program: The endpoint of a program that serves on this host.
        grandchild: A process that a handler has started.
        port: Where the program listens.
        sockets: That it listens by.
        uploads: Operations of registrations under way.
        processes: All that come of the server.
        folders: All that it made for a while.
    """

    own: str
    program: str
    grandchild: int
    port: int
    sockets: set[str]
    uploads: list[Any]
    processes: set[int]
    folders: list[pathlib.Path]


def keep_busy(
    server: Server, folder: pathlib.Path, acting: pathlib.Path, hanging: pathlib.Path
) -> Work:
    """Return when a server has replicas, checks, a build and a program at work."""
    empty = lock.resolve([]).text
    own, _ = server.deploy(locked(folder, "own", empty))
    echo, _ = server.deploy(acting)
    (grandchild,) = server.ask(echo, {"do": "grandchild"})
    program = serve_program(server)
    (port,) = server.ask(program, {"variable": "AIP_HTTP_PORT"})
    told = server.shared / "told"
    variables = {"env": [{"name": "TOLD", "value": str(told)}]}
    uploads = [
        begin_upload(server, hanging, containerSpec=variables),
        begin_upload(server, locked(folder, "waits", f"{empty}shared==1.0\n")),
    ]
    building = server.data_dir / "environments"
    wait_until(told.exists)
    wait_until(lambda: any(building.glob(".staging.*/requirements.txt")))
    # What uv runs in comes a moment later.
    temporary = folder / "temporary"
    wait_until(lambda: any(temporary.glob("homeport-uv-*")))
    assert server.process is not None
    return Work(
        own,
        program,
        grandchild,
        int(port),
        listeners(int(port)),
        uploads,
        descendants_of(server.process.pid) | running_below(folder),
        [*(server.data_dir / "scratch").iterdir(), *temporary.iterdir()],
    )


def test_a_killed_server_leaves_no_process_port_or_folder(
    busy: Server, tmp_path: pathlib.Path, acting: pathlib.Path, archived: Archived
) -> None:
    work = keep_busy(busy, tmp_path, acting, archived(HANGS))

    busy.stop(signal.SIGKILL)

    # A check, its worker, another and its uv; a zygote for each environment and what
    # they forked; a handler's child; a program.
    assert work.grandchild in work.processes
    assert len(work.processes) >= 9
    wait_until(lambda: not any(map(is_running, work.processes)))
    assert running_below(tmp_path) == set()
    assert len(work.sockets) == 1
    # Another test's server may have got the port since.
    assert listeners(work.port).isdisjoint(work.sockets)
    # On the very port that it had.
    address = busy.url
    busy.start().wait_ready()
    assert busy.url == address
    assert (busy.ask(work.own, 1), busy.ask(work.program, 5)) == ([1], [10])
    for ended in map(busy.wait, work.uploads):
        assert "send the request again" in ended["error"]["message"]
    check_folders(busy, work)


def check_folders(server: Server, work: Work) -> None:
    """Assert that all folders are gone, and at the end those of the second start."""
    scratch, temporary = server.data_dir / "scratch", server.shared.parent / "temporary"
    environments = server.data_dir / "environments"
    kinds = {"-".join(path.name.split("-")[:2]) for path in work.folders}
    assert kinds >= {
        "homeport-check", "homeport-command", "homeport-replica", "homeport-uv",
    }  # fmt: skip
    wait_until(lambda: list(temporary.iterdir()) == [])
    digest = lock.resolve([]).digest
    wait_until(lambda: [path.name for path in environments.iterdir()] == [digest])
    assert not any(path.exists() for path in work.folders)
    assert server.stop() == 0
    assert list(scratch.iterdir()) == list(temporary.iterdir()) == []
