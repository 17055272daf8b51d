"""A worker's operating-system process, as its parent owns it.

The process leads a group of its own, has a private temporary directory that goes when
it goes, and an environment made from nothing. What it prints comes back line by line.
"""

import asyncio
import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import site
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Final, Protocol, TypeAlias

from homeport.errors import UnavailableError
from homeport.worker import exposure, landlock
from homeport.worker.landlock import Rules
from homeport.worker.output import WorkerLog
from homeport.worker.sandbox import Sandbox

_LOG_END_TIMEOUT_S: Final = 1.0


class Running(Protocol):
    """A process of the operating system, however it began."""

    @property
    def pid(self) -> int:
        """Its id."""

    @property
    def returncode(self) -> int | None:
        """How it ended, as `wait` says it; None while it runs or where unknown."""

    async def wait(self) -> int | None:
        """Wait until it has ended; None if nobody can tell how."""


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """What a process is to be that is not spawned.

    Attributes:
        environment: All its variables.
        directory: Its private one, in which it begins.
        link_fd: The socket it serves; the caller closes its own copy.
        output_fd: Where it prints, likewise.
        rules: What it may reach, None for everything.
    """

    environment: Mapping[str, str]
    directory: pathlib.Path
    link_fd: int
    output_fd: int
    rules: Rules | None = None


Fork: TypeAlias = Callable[[Order], Awaitable[Running | None]]


class WorkerProcess:
    """One running process; made by `start`.

    Attributes:
        ended: Resolves with how it ended, after its last line was handed over.
    """

    def __init__(
        self,
        process: Running,
        log: WorkerLog,
        private_dir: pathlib.Path,
        on_exit: Callable[[str], None],
    ) -> None:
        self._process = process
        self._log = log
        self._private_dir = private_dir
        self._on_exit = on_exit
        self._killed_because = ""
        self._has_ended = False
        self.ended = asyncio.create_task(self._watch(), name=f"worker {process.pid}")

    @property
    def pid(self) -> int:
        """The process id, which is the group's too."""
        return self._process.pid

    @property
    def has_printed(self) -> bool:
        """Whether it has printed a line."""
        return self._log.has_printed

    def kill(self, reason: str) -> None:
        """SIGKILL the whole group at once; `reason` is how it will have ended."""
        if not self._has_ended:
            self._killed_because = self._killed_because or reason
            self._kill_group()
            # One that was forked a moment ago has no group of its own yet.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, signal.SIGKILL)

    async def _watch(self) -> str:
        returncode = await self._process.wait()
        self._has_ended = True
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


@dataclasses.dataclass(frozen=True, slots=True)
class Confinement:
    """What a process is kept in.

    Attributes:
        sandbox: Of all workers.
        model_dir: Its own archive.
    """

    sandbox: Sandbox
    model_dir: pathlib.Path


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Where a worker process comes from.

    Attributes:
        scratch_dir: Where its private directory is made, None for the system's place.
        python: The interpreter of the model's own environment, None for the server's.
        fork: Forks it; where that gives None, and without it, it is spawned.
        arguments: Further ones, of a process that is spawned.
        confinement: What it is kept in, None for a process that runs no author's code.
    """

    scratch_dir: pathlib.Path | None = None
    python: pathlib.Path | None = None
    fork: Fork | None = None
    arguments: tuple[str, ...] = ()
    confinement: Confinement | None = None

    def rules(self, private_dir: pathlib.Path) -> Rules | None:
        """Return what a process with this private directory may reach."""
        kept = self.confinement
        if kept is None:
            return None
        return kept.sandbox.rules(kept.model_dir, private_dir, self.python)


async def start(
    link_fd: socket.socket,
    environment: Mapping[str, str],
    origin: Origin,
    *,
    on_log: Callable[[Sequence[str]], None],
    on_exit: Callable[[str], None],
) -> WorkerProcess:
    """Start a worker that serves `link_fd`, the child's end, which is closed here.

    Args:
        link_fd: One end of a socket pair.
        environment: The deployment's variables.
        origin: Where it comes from.
        on_log: Called with the lines the process prints, as they come.
        on_exit: Called once with how it ended, before `ended` resolves.

    Raises:
        UnavailableError: The operating system refused.
    """
    with link_fd, _refusals_told(), contextlib.ExitStack() as undo:
        private_dir = _make_private_dir(origin.scratch_dir)
        undo.callback(shutil.rmtree, private_dir, ignore_errors=True)
        # A PIPE of asyncio would let `wait` wait for every process that holds it.
        log, output = WorkerLog.open(on_log)
        undo.callback(log.close)
        undo.callback(os.close, output)
        variables = make_environment(
            environment, private_dir, os.environ, origin.python
        )
        rules = await asyncio.to_thread(origin.rules, private_dir)
        order = Order(variables, private_dir, link_fd.fileno(), output, rules)
        process = await origin.fork(order) if origin.fork is not None else None
        if process is None:
            process = await _spawn(order, origin)
        os.close(output)
        undo.pop_all()
    return WorkerProcess(process, log, private_dir, on_exit)


async def _spawn(order: Order, origin: Origin) -> Running:
    command = [
        *_command(order.directory, origin.python),
        *("--fd", str(order.link_fd)),
        *origin.arguments,
    ]
    environment = order.environment
    if order.rules is not None:
        command = landlock.command(sys.executable, order.rules, command)
        environment = landlock.covered(environment)
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=order.output_fd,
        stderr=order.output_fd,
        pass_fds=(order.link_fd,),
        env=environment,
        cwd=order.directory,
        start_new_session=True,
    )


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


def describe_exit(returncode: int | None) -> str:
    """Return how a process ended, from what `wait` gave."""
    if returncode is None:
        return "ended, and what it was forked from is not there to tell how"
    if returncode >= 0:
        return f"exited with code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"
