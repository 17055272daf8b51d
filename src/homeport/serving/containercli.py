"""docker or podman, by their command line: one call, its answer or its words."""

import asyncio
import contextlib
import dataclasses
import os
import shutil
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from homeport.errors import FailedPreconditionError, UnavailableError

EngineChoice: TypeAlias = Literal["auto", "docker", "podman", "none"]

_NAMES: Final = ("docker", "podman")
_CALL_TIMEOUT_S: Final = 60.0
_LOOK_TIMEOUT_S: Final = 10.0
_SHOWN_CHARACTERS: Final = 1000


class EngineError(UnavailableError):
    """The engine did not do what it was told.

    Args:
        what: It was told, as in "create a container".
        words: Its own.
    """

    def __init__(self, what: str, words: str) -> None:
        super().__init__(f"the container engine could not {what}: {words}")
        self.words = words


@dataclasses.dataclass(frozen=True, slots=True)
class Engine:
    """A container engine that answers.

    Attributes:
        name: docker or podman.
        program: The path of its command.
    """

    name: str
    program: str

    async def call(
        self,
        what: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = _CALL_TIMEOUT_S,
    ) -> str:
        """Return what a command printed; it goes on to its end when cancelled.

        Args:
            what: For the error, as in "create a container".
            arguments: The command.
            environment: Variables beside the server's own.
            timeout_s: After which the command is ended.

        Raises:
            EngineError: It failed, or did not end in time.
        """
        # A command that is broken off may be done by the engine all the same, after
        # whoever cleans up has looked.
        running = asyncio.ensure_future(
            self._call(
                what, arguments, {**os.environ, **(environment or {})}, timeout_s
            )
        )
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait({running})
            raise

    async def _call(
        self,
        what: str,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        timeout_s: float,
    ) -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                self.program,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise EngineError(what, reason) from error
        try:
            async with asyncio.timeout(timeout_s):
                printed, complaint = await process.communicate()
        except TimeoutError as error:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise EngineError(what, f"no answer within {timeout_s:g} s") from error
        if process.returncode:
            raise EngineError(what, _shown(complaint or printed))
        return printed.decode("utf-8", "replace").strip()


def installed(choice: EngineChoice) -> tuple[Engine, ...]:
    """Return the engines that this host has a command for, the first is preferred."""
    wanted = _NAMES if choice == "auto" else (choice,)
    found = ((name, shutil.which(name)) for name in wanted if name in _NAMES)
    return tuple(Engine(name, program) for name, program in found if program)


async def find(choice: EngineChoice) -> Engine:
    """Return the first engine that answers.

    Raises:
        FailedPreconditionError: None is installed.
        EngineError: None of those that are installed answers.
    """
    said = []
    for engine in installed(choice):
        try:
            # `version` would be answered by docker's client without its daemon, and
            # `info` takes podman a third of a second: it asks dpkg for its programs.
            await engine.call("be reached", "ps", "--quiet", timeout_s=_LOOK_TIMEOUT_S)
        except EngineError as error:
            said.append(f"{engine.name} says: {error.words}")
        else:
            return engine
    if said:
        raise EngineError("be reached", f"{'; '.join(said)} (start its daemon)")
    raise FailedPreconditionError(not_installed(choice))


def not_installed(choice: EngineChoice) -> str:
    """Return the sentence for a host without a container engine."""
    if choice == "none":
        return (
            "this server runs no containers: start it with --container-engine docker "
            "or podman, or with --allow-host-commands to run the command itself"
        )
    names = " or ".join(_NAMES) if choice == "auto" else choice
    return (
        f"containers need {names}, which this host does not have on its PATH: install "
        "it, or start the server with --allow-host-commands to run the command itself"
    )


def _shown(words: bytes) -> str:
    text = " ".join(words.decode("utf-8", "replace").split())
    return text[:_SHOWN_CHARACTERS] or "it said nothing"
