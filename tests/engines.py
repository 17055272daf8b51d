"""Container engines for tests, each with a place of its own; nothing is fetched."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Protocol

import pytest

import images

IMAGE = "homeport-tests/python:1"
COMMAND = ("/usr/bin/python3", "/app/serving.py")
_TIMEOUT_S = 60.0
# The same as on a user's machine, but for what a container without all of root's rights
# cannot be given.
_CONTAINERS_CONF = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{directory}/tmp"
network_config_dir = "{directory}/networks"
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
"""
_STORAGE_CONF = """
[storage]
driver = "overlay"
graphroot = "{directory}/data"
runroot = "{directory}/run"
"""
# As docker has it by itself.
_REGISTRIES_CONF = """
[[registry]]
location = "127.0.0.1"
insecure = true
"""


class Engine(Protocol):
    """An engine that has the image of the tests, and nothing else but theirs."""

    name: str
    environment: dict[str, str]
    """What its command is told to find it by."""

    def call(
        self, *arguments: str, check: bool = True, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run its command."""

    def containers(self) -> list[str]:
        """Return the names of all containers, running or not."""


class Docker:
    """A daemon with a folder and a socket of its own; ended by `stop`."""

    name = "docker"

    def __init__(self) -> None:
        # A socket's path is short.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="hp-docker-", dir="/tmp"))
        self.host = f"unix://{self.directory}/docker.sock"
        self.environment = {"DOCKER_HOST": self.host}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the daemon, or start it again; return when it answers.

        On a machine under load it may give up its containerd, which is slow: then it
        is tried again.
        """
        deadline = time.monotonic() + _TIMEOUT_S
        self._run()
        while self.call("info", check=False).returncode:
            if time.monotonic() > deadline:
                pytest.skip(f"dockerd does not run here: {self.log()[-300:]}")
            if self.process is None or self.process.poll() is not None:
                self._run()
            time.sleep(0.05)

    def _run(self) -> None:
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603
                [_daemon(), "--data-root", str(self.directory / "data"),
                 "--exec-root", str(self.directory / "run"),
                 "--pidfile", str(self.directory / "pid"),
                 "--host", self.host],
                stdout=log, stderr=log,
            )  # fmt: skip

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def call(
        self, *arguments: str, check: bool = True, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return _call(self, arguments, stdin, check=check)

    def containers(self) -> list[str]:
        """Return the names of all containers, running or not."""
        return _containers(self)

    def kill(self) -> None:
        """Kill the daemon at once, as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        # Its pid file is of a process that is no more.
        (self.directory / "pid").unlink(missing_ok=True)

    def stop(self) -> None:
        for name in self.containers():
            self.call("rm", "--force", name, check=False)
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=_TIMEOUT_S)
        # A daemon that was killed leaves its mounts.
        _clear(self.directory)


class Podman:
    """podman with storage of its own; there is no daemon."""

    name = "podman"

    def __init__(self) -> None:
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="hp-podman-", dir="/tmp"))
        self.environment = {}
        for variable, name, text in (
            ("CONTAINERS_CONF", "containers.conf", _CONTAINERS_CONF),
            ("CONTAINERS_STORAGE_CONF", "storage.conf", _STORAGE_CONF),
            ("CONTAINERS_REGISTRIES_CONF", "registries.conf", _REGISTRIES_CONF),
        ):
            path = self.directory / name
            path.write_text(text.format(directory=self.directory))
            self.environment[variable] = str(path)

    def call(
        self, *arguments: str, check: bool = True, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return _call(self, arguments, stdin, check=check)

    def containers(self) -> list[str]:
        """Return the names of all containers, running or not."""
        return _containers(self)

    def stop(self) -> None:
        for name in self.containers():
            self.call("rm", "--force", "--time", "0", name, check=False)
        _clear(self.directory)


def _call(
    engine: Engine, arguments: tuple[str, ...], stdin: bytes | None, *, check: bool
) -> subprocess.CompletedProcess[bytes]:
    command = shutil.which(engine.name)
    assert command is not None
    return subprocess.run(  # noqa: S603
        [command, *arguments],
        input=stdin,
        capture_output=True,
        check=check,
        timeout=_TIMEOUT_S,
        env={**os.environ, **engine.environment},
    )


def _containers(engine: Engine) -> list[str]:
    words = ("ps", "--all", "--format", "{{.Names}}")
    return engine.call(*words, check=False).stdout.decode().split()


def _clear(directory: pathlib.Path) -> None:
    mounts = pathlib.Path("/proc/self/mounts").read_text().split()
    # The innermost first.
    for place in sorted({m for m in mounts if m.startswith(str(directory))})[::-1]:
        subprocess.run(["umount", "--lazy", place], check=False)  # noqa: S603, S607
    shutil.rmtree(directory, ignore_errors=True)


def _daemon() -> str:
    found = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin")
    assert found is not None
    return found


def _install(*packages: str) -> str:
    """Install what Debian has; return what apt-get complained of."""
    if os.geteuid() or not shutil.which("apt-get"):
        pytest.skip(f"only root can install Debian's {' and '.join(packages)}")
    told = b""
    for command in (["update"], ["install", "--yes", *packages]):
        ran = subprocess.run(  # noqa: S603
            ["apt-get", *command],  # noqa: S607
            capture_output=True,
            check=False,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
        told = ran.stderr
    return told[-300:].decode(errors="replace")


@contextlib.contextmanager
def docker() -> Iterator[Docker]:
    """Yield a daemon that has the image of the tests."""
    here = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin")
    if not (here and shutil.which("docker")):
        told = _install("docker.io")
        if not shutil.which("docker"):
            pytest.skip(f"docker.io cannot be installed: {told}")
    daemon = Docker()
    try:
        daemon.start()
        daemon.call("import", "-", IMAGE, stdin=images.tar())
        yield daemon
    finally:
        daemon.stop()


@contextlib.contextmanager
def podman() -> Iterator[Podman]:
    """Yield a podman that has the image of the tests."""
    if not (shutil.which("podman") and shutil.which("runc")):
        told = _install("podman", "runc")
        if not shutil.which("podman"):
            pytest.skip(f"podman cannot be installed: {told}")
    engine = Podman()
    try:
        imported = engine.call("import", "-", IMAGE, stdin=images.tar(), check=False)
        if imported.returncode:
            pytest.skip(f"podman does not run here: {imported.stderr[-300:]!r}")
        yield engine
    finally:
        engine.stop()
