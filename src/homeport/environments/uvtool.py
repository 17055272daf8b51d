"""Running uv: its arguments, its variables, its deadline, and what it printed."""

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import uv

from homeport.environments import pipsettings, tether
from homeport.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    UnavailableError,
)

_MAX_LINES: Final = 500
# Of an environment that is active now, or of sources that are not byte-compiled.
_NOT_HANDED_ON: Final = (
    "CONDA_PREFIX",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONHOME",
    "PYTHONPATH",
    "UV_PROJECT",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_WORKING_DIR",
    "VIRTUAL_ENV",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: 0 when it did what it was asked for, 1 when it could not be done, 2
            when something stood in the way, as uv's own.
        text: What it printed for people, its last lines.
    """

    status: int
    text: str


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return uv's variables: the user's own, what their pip knows, and no colours."""
    kept = {
        name: value for name, value in environ.items() if name not in _NOT_HANDED_ON
    }
    return {
        **kept,
        **pipsettings.as_uv(environ),
        "NO_COLOR": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        # What a log has of it is read by programs.
        "LC_ALL": "C.UTF-8",
    }


@dataclasses.dataclass(slots=True)
class Runs:
    """The runs of uv that are in work, so that they can be ended.

    Attributes:
        stopped: No further run is begun.
    """

    stopped: bool = False
    _groups: set[int] = dataclasses.field(default_factory=set)
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def stop(self) -> None:
        """End them all at once; what waits for them raises UnavailableError."""
        with self._lock:
            self.stopped = True
            for group in self._groups:
                _kill(group)

    def check(self) -> None:
        """Refuse to go on when all were stopped.

        Raises:
            UnavailableError: They were.
        """
        if self.stopped:
            raise UnavailableError("the server is stopping: try again when it runs")

    @contextlib.contextmanager
    def begin(
        self, command: Sequence[str], directory: pathlib.Path, keep_fds: Sequence[int]
    ) -> Iterator[subprocess.Popen[str]]:
        """Yield a run; nothing of it is left afterwards, whatever happens.

        Raises:
            UnavailableError: All were stopped, or the process cannot be started.
        """
        with self._lock:
            self.check()
            process = _spawn(command, directory, keep_fds)
            self._groups.add(process.pid)
        try:
            with process:
                try:
                    yield process
                finally:
                    if process.poll() is None:
                        _kill(process.pid)
        finally:
            with self._lock:
                self._groups.discard(process.pid)


def run(
    arguments: Sequence[str],
    *,
    directory: pathlib.Path,
    timeout_s: float,
    runs: Runs | None = None,
    keep_fds: Sequence[int] = (),
    on_line: Callable[[str], None] = lambda _line: None,
) -> Outcome:
    """Run uv to its end and return how it ended.

    Args:
        arguments: Behind the command's name.
        directory: Where it runs; what it is told of files is relative to it.
        timeout_s: When it is killed.
        runs: Through which it can be ended from another thread.
        keep_fds: Open files it holds until its own end.
        on_line: Receives what it prints, line by line.

    Raises:
        FailedPreconditionError: There is no uv.
        DeadlineExceededError: It did not end in time.
        UnavailableError: It was stopped, or the process cannot be started.
    """
    runs = runs or Runs()
    lines: list[str] = []
    late = threading.Event()
    with runs.begin([_find(), *arguments], directory, keep_fds) as process:

        def end() -> None:
            late.set()
            _kill(process.pid)

        timer = threading.Timer(timeout_s, end)
        # An interrupt can come between any two lines: a process that ends does not
        # wait for it.
        timer.daemon = True
        try:
            timer.start()
            for line in _lines(process):
                lines.append(line)
                del lines[:-_MAX_LINES]
                on_line(line)
            status = process.wait()
        finally:
            timer.cancel()
    if late.is_set():
        raise DeadlineExceededError(
            f"uv {arguments[0]} did not end within {timeout_s:g} s: see whether the "
            "package index answers, and try again"
        )
    runs.check()
    return Outcome(status, "\n".join(lines))


def _find() -> str:
    try:
        return uv.find_uv_bin()
    except FileNotFoundError as error:
        raise FailedPreconditionError(
            "uv is not installed, and environments are built with it: "
            "install uv where Homeport is installed"
        ) from error


def _spawn(
    command: Sequence[str], directory: pathlib.Path, keep_fds: Sequence[int]
) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(  # noqa: S603  # our own arguments, no shell
            # So that a server which is killed leaves no download behind.
            tether.command(sys.executable, command),
            cwd=directory,
            env=environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # All that uv says to people.
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            pass_fds=keep_fds,
            # Ctrl-C is for us: we end it, and clear away what it had begun.
            start_new_session=True,
        )
    except OSError as error:
        raise UnavailableError(
            f"uv could not be started ({error.strerror}): "
            "free memory or processes on this host and try again"
        ) from error


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    if process.stderr is None:
        raise RuntimeError("uv was started without a pipe")
    for line in process.stderr:
        yield line.rstrip()


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
