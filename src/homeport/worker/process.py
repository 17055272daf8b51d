"""A worker's operating-system process, as its parent owns it.

The process leads a group of its own, has a private temporary directory that goes when
it goes, and an environment made from nothing. What it prints comes back line by line.
"""

import asyncio
import contextlib
import os
import pathlib
import shutil
import signal
import site
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from homeport.errors import UnavailableError
from homeport.worker import exposure
from homeport.worker.output import WorkerLog

_LOG_END_TIMEOUT_S: Final = 1.0


class WorkerProcess:
    """One running process; made by `spawn`.

    Attributes:
        ended: Resolves with how it ended, after its last line was handed over.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        log: WorkerLog,
        private_dir: pathlib.Path,
        on_exit: Callable[[str], None],
    ) -> None:
        self._process = process
        self._log = log
        self._private_dir = private_dir
        self._on_exit = on_exit
        self._killed_because = ""
        self.ended = asyncio.create_task(self._watch(), name=f"worker {process.pid}")

    @property
    def pid(self) -> int:
        """The process id, which is the group's too."""
        return self._process.pid

    def kill(self, reason: str) -> None:
        """SIGKILL the whole group at once; `reason` is how it will have ended."""
        if self._process.returncode is None:
            self._killed_because = self._killed_because or reason
            self._kill_group()

    async def _watch(self) -> str:
        returncode = await self._process.wait()
        # What it started itself goes with it.
        self._kill_group()
        reason = self._killed_because or describe_exit(returncode)
        self._on_exit(reason)
        await asyncio.wait({self._log.closed}, timeout=_LOG_END_TIMEOUT_S)
        self._log.close()
        await asyncio.to_thread(shutil.rmtree, self._private_dir, ignore_errors=True)
        return reason

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


async def spawn(
    link_fd: socket.socket,
    environment: Mapping[str, str],
    *,
    on_log: Callable[[Sequence[str]], None],
    on_exit: Callable[[str], None],
    scratch_dir: pathlib.Path | None = None,
    python: pathlib.Path | None = None,
) -> WorkerProcess:
    """Start a worker that serves `link_fd`, the child's end, which is closed here.

    Args:
        link_fd: One end of a socket pair.
        environment: The deployment's variables.
        on_log: Called with the lines the process prints, as they come.
        on_exit: Called once with how it ended, before `ended` resolves.
        scratch_dir: Where its private directory is made, None for the system's place.
        python: The interpreter of the model's own environment, None for the server's.

    Raises:
        UnavailableError: The operating system refused.
    """
    with link_fd, _refusals_told(), contextlib.ExitStack() as undo:
        private_dir = _make_private_dir(scratch_dir)
        undo.callback(shutil.rmtree, private_dir, ignore_errors=True)
        log, output = await _open_log(on_log)
        undo.callback(log.close)
        command = _command(private_dir, python)
        with open(output, "wb") as stdout:  # noqa: ASYNC230, PTH123  # a pipe's end
            process = await asyncio.create_subprocess_exec(
                *command,
                *("--fd", str(link_fd.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stdout,
                stderr=stdout,
                pass_fds=(link_fd.fileno(),),
                env=make_environment(environment, private_dir, os.environ, python),
                cwd=private_dir,
                start_new_session=True,
            )
        undo.pop_all()
    return WorkerProcess(process, log, private_dir, on_exit)


@contextlib.contextmanager
def _refusals_told() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UnavailableError(
            f"the worker process could not be started ({reason}): "
            "free memory, disk space or processes on this host and deploy again"
        ) from error


def _make_private_dir(scratch_dir: pathlib.Path | None) -> pathlib.Path:
    made = tempfile.mkdtemp(prefix="homeport-replica-", dir=scratch_dir)
    # The process changes its directory; its variables must still name the place.
    return pathlib.Path(made).absolute()


def _command(private_dir: pathlib.Path, python: pathlib.Path | None) -> list[str]:
    # -P: never import from the current directory, which an archive may fill.
    if python is None:
        return [sys.executable, "-P", "-m", "homeport.worker"]
    # -s: nor what the server's user has installed for himself.
    return [str(python), "-P", "-s", str(exposure.lay_out(private_dir))]


async def _open_log(on_log: Callable[[Sequence[str]], None]) -> tuple[WorkerLog, int]:
    """Return the reading side of a new pipe, and the file descriptor to write to.

    asyncio's own PIPE would let `wait` wait for every process that holds the pipe, not
    for the worker alone.
    """
    reading, writing = os.pipe()
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, writing)
        try:
            file = os.fdopen(reading, "rb", buffering=0)
        except OSError:
            os.close(reading)
            raise
        undo.callback(file.close)
        _, log = await asyncio.get_running_loop().connect_read_pipe(
            lambda: WorkerLog(on_log), file
        )
        undo.pop_all()
    return log, writing


def make_environment(
    environment: Mapping[str, str],
    private_dir: pathlib.Path,
    server: Mapping[str, str],
    python: pathlib.Path | None = None,
) -> dict[str, str]:
    """Return a worker's whole environment: a few fixed variables and its own.

    Nothing of `server`, the server's environment, is passed on but PATH, with the
    commands of the model's own environment, which `python` is of, before it.
    """
    path = server.get("PATH", os.defpath)
    return {
        "PATH": f"{python.parent}{os.pathsep}{path}" if python else path,
        "HOME": str(private_dir),
        "TMPDIR": str(private_dir),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        **_user_site(python),
        **environment,
    }


def _user_site(python: pathlib.Path | None) -> dict[str, str]:
    if python is not None:
        return {"PYTHONNOUSERSITE": "1"}
    # With another HOME the packages in the server's user site would not be found.
    return {"PYTHONUSERBASE": site.getuserbase()} if site.ENABLE_USER_SITE else {}


def describe_exit(returncode: int) -> str:
    """Return how a process ended, from what `wait` gave."""
    if returncode >= 0:
        return f"exited with code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"
