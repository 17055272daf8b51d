"""One process of somebody else's program: its output line by line, its whole group."""

import asyncio
import contextlib
import os
import pathlib
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Self

from homeport.errors import UnavailableError
from homeport.worker.output import WorkerLog

_LOG_END_TIMEOUT_S: Final = 1.0


class Program:
    """A running process that leads a group of its own; made by `start`.

    Attributes:
        ended: Resolves with its return code, after its last line was handed over and
            everything in its group was killed.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, log: WorkerLog, lifeline: int
    ) -> None:
        self._process = process
        self._log = log
        self._lifeline = lifeline
        self.ended = asyncio.create_task(self._watch(), name=f"program {process.pid}")

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: pathlib.Path | None,
        on_log: Callable[[Sequence[str]], None],
    ) -> Self:
        """Start a program; what reads its standard input sees our own end as EOF.

        Args:
            command: What to run, and its arguments.
            environment: All of its variables.
            directory: Where, None for our own place.
            on_log: Called with the lines that it prints, as they come.

        Raises:
            UnavailableError: The operating system refused.
        """
        with contextlib.ExitStack() as undo:
            try:
                stdin, lifeline = os.pipe()
                undo.callback(os.close, lifeline)
                with os.fdopen(stdin, "rb") as reading:
                    log, output = WorkerLog.open(on_log)
                    undo.callback(log.close)
                    with os.fdopen(output, "wb") as writing:
                        process = await asyncio.create_subprocess_exec(
                            *command,
                            stdin=reading,
                            stdout=writing,
                            stderr=writing,
                            env=dict(environment),
                            cwd=directory,
                            start_new_session=True,
                        )
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or type(error).__name__
                raise UnavailableError(
                    f"{command[0]:.200} could not be started ({reason}): see that it "
                    "is there and may be run, and that this host has room for it"
                ) from error
            undo.pop_all()
        return cls(process, log, lifeline)

    @property
    def pid(self) -> int:
        """The process id, which is the group's too."""
        return self._process.pid

    @property
    def has_printed(self) -> bool:
        """Whether it has printed a line."""
        return self._log.has_printed

    def send(self, number: signal.Signals) -> None:
        """Send a signal to everything in the group, if it has not ended."""
        if self._process.returncode is None:
            self._signal_group(number)

    async def _watch(self) -> int:
        returncode = await self._process.wait()
        # What it started itself goes with it.
        self._signal_group(signal.SIGKILL)
        os.close(self._lifeline)
        await asyncio.wait({self._log.closed}, timeout=_LOG_END_TIMEOUT_S)
        self._log.close()
        return returncode

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
