"""The runtime that runs a container's command as a process of this host.

The same contract without an engine: whoever registers a version runs anything here as
the server's own user, so the server offers it only when it was started so. The
program's folder is that of its artifact; a program that outlives the server is ended
by a watcher in its process group, which waits for the end of a pipe that the server
holds.
"""

import asyncio
import dataclasses
import os
import pathlib
import random
import shutil
import signal
import socket
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias

from homeport.errors import FailedPreconditionError, UnavailableError
from homeport.serving import contract, httpreplica
from homeport.serving.contract import Contract
from homeport.serving.httpreplica import HttpReplica
from homeport.serving.program import Program
from homeport.serving.runtime import Launch
from homeport.worker.process import describe_exit

# A program's variables and its folder.
_Place: TypeAlias = tuple[Mapping[str, str], pathlib.Path]
# Below the ports that Linux gives to connections (ip_local_port_range): nobody else
# gets one of these between our look and the program's bind.
_FREE_PORTS: Final = range(20_000, 32_000)
_TRIES: Final = 200
# Standard input is the pipe. The watcher's own parent ends at once, so that the
# program has no child that it did not start.
_GUARDED: Final = (
    "exec 3<&0 </dev/null; "
    "( ( trap '' HUP INT TERM; read -r _ <&3; kill -KILL 0 ) & ); "
    'exec 3<&-; exec "$@"'
)


class HostCommands:
    """Starts each replica as a process.

    Args:
        scratch_dir: Where programs have their private directories.
    """

    def __init__(self, scratch_dir: pathlib.Path) -> None:
        # Programs change their directory; their variables must still name the place.
        self._scratch_dir = scratch_dir.absolute()

    async def most_replicas(self, launch: Launch) -> int | None:
        """Return 1 for a program that is written for one port, else None."""
        spec = launch.container
        return 1 if spec and contract.fixed_port(spec) is not None else None

    async def fetch(
        self,
        launch: Launch,
        *,
        on_log: Callable[[Sequence[str]], None],
        on_missing: Callable[[], Awaitable[None]],
    ) -> None:
        """Do nothing: what the program needs is on the host, or it does not start."""
        del launch, on_log, on_missing

    async def start(
        self,
        launch: Launch,
        *,
        on_log: Callable[[Sequence[str]], None],
        on_room: Callable[[], None],
    ) -> HttpReplica:
        """Return a replica that is well.

        Raises:
            FailedPreconditionError: Its port is taken.
            UnavailableError: The program could not be started, ended, or was not well
                in time.
        """
        spec = launch.container
        if spec is None:
            raise RuntimeError("a host command is started from a container spec")
        port = _port(contract.fixed_port(spec))
        devices = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, launch.gpu_ids))}
        storage = "" if launch.model_dir is None else str(launch.model_dir)
        agreed = contract.of_launch(launch, port, storage)
        private_dir = pathlib.Path(
            tempfile.mkdtemp(prefix="homeport-command-", dir=self._scratch_dir)
        )
        try:
            housing = await _HostProcess.start(
                dataclasses.replace(agreed, variables={**devices, **agreed.variables}),
                launch.model_dir,
                private_dir,
                on_log,
            )
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, private_dir, ignore_errors=True)
            raise
        name = " ".join((*agreed.command, *agreed.args))[:200]
        return await httpreplica.started(
            housing, agreed, launch, name=name, on_room=on_room
        )


class _HostProcess:
    """One process group; a `serving.housing.Housing`, made by `start`."""

    noun = "program"

    def __init__(
        self, program: Program, private_dir: pathlib.Path, place: _Place
    ) -> None:
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[str] = loop.create_future()
        self.closed: asyncio.Future[str] = loop.create_future()
        self._program = program
        self._private_dir = private_dir
        self._environment, self._directory = place
        self._killed_because = ""
        self._task = asyncio.create_task(self._watch(), name=f"program {program.pid}")

    @classmethod
    async def start(
        cls,
        agreed: Contract,
        artifact_dir: pathlib.Path | None,
        private_dir: pathlib.Path,
        on_log: Callable[[Sequence[str]], None],
    ) -> "_HostProcess":
        """Start the program.

        Raises:
            UnavailableError: The operating system refused.
        """
        directory = artifact_dir or private_dir
        environment = _environment(agreed.variables, private_dir, os.environ)
        program = await Program.start(
            ["/bin/sh", "-c", _GUARDED, "sh", *agreed.command, *agreed.args],
            environment=environment,
            directory=directory,
            on_log=on_log,
        )
        return cls(program, private_dir, (environment, directory))

    @property
    def pid(self) -> int:
        """Of the program, which leads its group."""
        return self._program.pid

    @property
    def has_printed(self) -> bool:
        """Whether it has printed a line."""
        return self._program.has_printed

    def port(self, own: int) -> int:
        """Return the port itself: the program shares our network."""
        return own

    async def execute(self, command: Sequence[str]) -> int:
        """Return the exit status of a command run where the program runs.

        Raises:
            UnavailableError: The operating system refused.
        """
        environment, directory = self._environment, self._directory
        ran = await Program.start(
            command, environment=environment, directory=directory, on_log=_unheard
        )
        try:
            return await asyncio.shield(ran.ended)
        finally:
            ran.send(signal.SIGKILL)

    def kill(self, reason: str) -> None:
        """SIGKILL the whole group at once."""
        if not self.exited.done():
            self._killed_because = self._killed_because or reason
            self._program.send(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM to the whole group."""
        self._program.send(signal.SIGTERM)

    async def _watch(self) -> None:
        returncode = await asyncio.shield(self._program.ended)
        self.exited.set_result(self._killed_because or describe_exit(returncode))
        await asyncio.to_thread(shutil.rmtree, self._private_dir, ignore_errors=True)
        self.closed.set_result(self.exited.result())


def _port(fixed: int | None) -> int:
    """Return a port that nobody listens on now.

    Raises:
        FailedPreconditionError: Somebody listens on the fixed one.
        UnavailableError: All that were tried are taken.
    """
    if fixed is not None:
        if _is_free(fixed):
            return fixed
        raise FailedPreconditionError(
            f"port {fixed} of this host is taken, and the program is written for it: "
            "free it, or leave ports out and let the program listen where "
            "AIP_HTTP_PORT says"
        )
    for port in random.sample(_FREE_PORTS, _TRIES):
        if _is_free(port):
            return port
    raise UnavailableError(
        f"none of {_TRIES} ports from {_FREE_PORTS.start} on is free: end some programs"
    )


def _is_free(port: int) -> bool:
    # All addresses: programs listen on 0.0.0.0, as the contract says.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _environment(
    own: Mapping[str, str], private_dir: pathlib.Path, server: Mapping[str, str]
) -> dict[str, str]:
    """Return a program's whole environment; of the server's it has PATH alone."""
    return {
        "PATH": server.get("PATH", os.defpath),
        "HOME": str(private_dir),
        "TMPDIR": str(private_dir),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        # Nothing is written into its folder, which other replicas share.
        "PYTHONPYCACHEPREFIX": str(private_dir / "pycache"),
        **own,
    }


def _unheard(lines: Sequence[str]) -> None:
    """Take the lines of a probe's command, which nobody reads."""
    del lines
