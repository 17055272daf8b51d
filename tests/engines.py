"""Container engines and an image for tests: a daemon of their own, nothing fetched."""

import contextlib
import io
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Iterator

import pytest

PROGRAM = pathlib.Path(__file__).parent / "programs" / "serving.py"
IMAGE = "homeport-tests/python:1"
COMMAND = ("/usr/bin/python3", "/app/serving.py")
_TIMEOUT_S = 60.0
_LEFT_OUT = {"site-packages", "test", "tests", "idlelib", "ensurepip"}


class Docker:
    """A daemon with a folder and a socket of its own; ended by `stop`."""

    def __init__(self) -> None:
        # A socket's path is short.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="hp-docker-", dir="/tmp"))
        self.host = f"unix://{self.directory}/docker.sock"
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
        command = shutil.which("docker")
        assert command is not None
        return subprocess.run(  # noqa: S603
            [command, *arguments],
            input=stdin,
            capture_output=True,
            check=check,
            timeout=_TIMEOUT_S,
            env={**os.environ, "DOCKER_HOST": self.host},
        )

    def containers(self) -> list[str]:
        """Return the names of all containers, running or not."""
        words = ("ps", "--all", "--format", "{{.Names}}")
        listed = self.call(*words, check=False).stdout
        return listed.decode().split()

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
        mounts = pathlib.Path("/proc/self/mounts").read_text().split()
        for place in sorted({m for m in mounts if m.startswith(str(self.directory))}):
            subprocess.run(["umount", "--lazy", place], check=False)  # noqa: S603, S607
        shutil.rmtree(self.directory, ignore_errors=True)


def _daemon() -> str:
    found = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin")
    assert found is not None
    return found


def install() -> None:
    """Have docker on this machine, or skip with the reason."""
    here = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin")
    if here and shutil.which("docker"):
        return
    if os.geteuid() or not shutil.which("apt-get"):
        pytest.skip("no dockerd, and only root can install Debian's docker.io")
    told = b""
    for command in (["update"], ["install", "--yes", "docker.io"]):
        ran = subprocess.run(  # noqa: S603
            ["apt-get", *command],  # noqa: S607
            capture_output=True,
            check=False,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
        told = ran.stderr
    if not shutil.which("docker"):
        pytest.skip(f"docker.io cannot be installed: {told[-300:]!r}")


@contextlib.contextmanager
def docker() -> Iterator[Docker]:
    """Yield a daemon that has the image of the tests."""
    install()
    daemon = Docker()
    try:
        daemon.start()
        daemon.call("import", "-", IMAGE, stdin=root_file_system())
        yield daemon
    finally:
        daemon.stop()


def root_file_system() -> bytes:
    """Return a tar of this Python, what it is linked with, and the serving program."""
    stream = io.BytesIO()
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    binary = pathlib.Path(os.path.realpath(sys.executable))
    added: set[str] = set()
    with tarfile.open(fileobj=stream, mode="w") as tar:

        def add(path: pathlib.Path) -> None:
            if str(path) not in added:
                added.add(str(path))
                tar.add(os.path.realpath(path), str(path), filter=_kept)

        for path in [*_linked(binary), binary, library]:
            add(path)
        for extension in sorted((library / "lib-dynload").glob("*.so")):
            for path in _linked(extension):
                add(path)
        _link(tar, "usr/bin/python3", str(binary))
        tar.add(PROGRAM, "app/serving.py")
        _folder(tar, "tmp")
    return stream.getvalue()


def _kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = pathlib.PurePosixPath(member.name).name
    return None if name in _LEFT_OUT or name.endswith(".a") else member


def _linked(binary: pathlib.Path) -> list[pathlib.Path]:
    told = subprocess.run(  # noqa: S603
        ["ldd", str(binary)],  # noqa: S607
        capture_output=True,
        check=False,
        text=True,
    ).stdout
    words = [word for line in told.splitlines() for word in line.split()]
    return [pathlib.Path(word) for word in words if word.startswith("/")]


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.SYMTYPE, target
    tar.addfile(link)


def _folder(tar: tarfile.TarFile, name: str) -> None:
    folder = tarfile.TarInfo(name)
    folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
    tar.addfile(folder)
