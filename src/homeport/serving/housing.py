"""Housing: what a serving program runs in, be it a container or a process group."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from homeport.errors import UnavailableError

# A program that is told to end has answered everything: what is left is its own good
# manners, and a container's first process that does not listen hears no SIGTERM. Who
# stops the container and who waits for that have the same patience, then it is killed.
LONGEST_GOODBYE_S: Final = 3


class UnwellError(UnavailableError):
    """The program ended or is not well; the message has no word of its own."""


class Housing(Protocol):
    """One running program that listens for HTTP."""

    exited: asyncio.Future[str]
    """Resolves with how it ended, as in "exited with code 3"; it may leave things."""

    closed: asyncio.Future[str]
    """Resolves with the same when nothing is left of it."""

    noun: str
    """What it is, as in "container"."""

    @property
    def pid(self) -> int:
        """Of the process that stands for it here."""

    @property
    def has_printed(self) -> bool:
        """Whether it has printed a line."""

    def port(self, own: int) -> int:
        """Return where on loopback a port of the program's own is reached."""

    async def execute(self, command: Sequence[str]) -> int:
        """Return the exit status of a command run beside the program.

        Cancelling it ends the command.

        Raises:
            HomeportError: It could not be run.
        """

    def kill(self, reason: str) -> None:
        """End everything at once; `reason` is how it will have ended."""

    def terminate(self) -> None:
        """Ask the program to end by itself."""
