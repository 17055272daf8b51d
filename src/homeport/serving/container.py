"""One container, from its creation to when nothing is left of it."""

import asyncio
import collections
import json
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Self

from homeport.errors import FailedPreconditionError, HomeportError, UnavailableError
from homeport.serving.containercli import Engine, EngineError
from homeport.serving.containerorder import Order
from homeport.serving.housing import LONGEST_GOODBYE_S, UnwellError
from homeport.serving.program import Program
from homeport.worker.output import reason_of_end

_POLL_S: Final = 0.02
_SLOWEST_POLL_S: Final = 0.2
PULL_TIMEOUT_S: Final = 3600.0
_CREATE_TIMEOUT_S: Final = 60.0
_PLACES: Final = "{{.State.Pid}} {{json .NetworkSettings.Ports}}"
_KILLED: Final = 128 + signal.SIGKILL
_TOO_MUCH_MEMORY: Final = "it took more memory than its machine type has"
_NO_MEMORY_LEFT: Final = "this machine had no memory left for it"
# The engine says why a container is not started in its last lines.
_REASON_LINES: Final = 3
_NO_IMAGE: Final = ("no such image", "image not known", "unable to find image")


class Container:
    """A container that was started; a `serving.housing.Housing`, made by `start`.

    Attributes:
        exited: Resolves with how its program ended.
        closed: Resolves with the same when the container is removed, or is to be.
    """

    noun = "container"

    def __init__(
        self,
        engine: Engine,
        order: Order,
        attached: Program,
        printed: Sequence[str],
        remove: Callable[[str], Awaitable[None]],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[str] = loop.create_future()
        self.closed: asyncio.Future[str] = loop.create_future()
        self._engine = engine
        self._name = order.name
        self._is_limited = order.memory_bytes is not None
        self._attached = attached
        self._printed = printed
        self._is_started = True
        self._remove = remove
        self._ports: Mapping[int, int] = {}
        self._pid = attached.pid
        self._killed_because = ""
        self._orders: set[asyncio.Future[None]] = set()
        self._watching = asyncio.create_task(self._watch(), name=order.name)

    @classmethod
    async def start(
        cls,
        engine: Engine,
        order: Order,
        *,
        on_log: Callable[[Sequence[str]], None],
        remove: Callable[[str], Awaitable[None]],
        host_commands: bool = False,
    ) -> Self:
        """Create a container, start it and find its ports.

        Args:
            engine: That runs it.
            order: What it is.
            on_log: Called with the lines that it prints.
            remove: Removes it by its name, now or later; never fails.
            host_commands: Whether the server would run its command without an engine.

        Raises:
            FailedPreconditionError: The image is not there.
            UnavailableError: It could not be started; nothing is left of it.
        """
        printed: collections.deque[str] = collections.deque(maxlen=_REASON_LINES)

        def heed(lines: Sequence[str]) -> None:
            printed.extend(lines)
            on_log(lines)

        try:
            await _create(engine, order, host_commands=host_commands)
            attached = await Program.start(
                [engine.program, "start", "--attach", order.name],
                environment=os.environ,
                directory=None,
                on_log=heed,
            )
        except BaseException:
            await remove(order.name)
            raise
        container = cls(engine, order, attached, printed, remove)
        try:
            await container._look(order.ports())
        except BaseException:
            container.kill("killed: it is not needed any more")
            await asyncio.wait({container.closed})
            raise
        return container

    @property
    def pid(self) -> int:
        """Of its first process, as this machine counts them."""
        return self._pid

    @property
    def has_printed(self) -> bool:
        """Whether it has printed a line."""
        return self._attached.has_printed

    def port(self, own: int) -> int:
        """Return where on loopback the engine publishes a port of the container."""
        return self._ports[own]

    async def execute(self, command: Sequence[str]) -> int:
        """Return the exit status of a command run in the container.

        Raises:
            UnavailableError: The engine's command could not be run.
        """
        ran = await self._run("exec", self._name, *command)
        try:
            return await asyncio.shield(ran.ended)
        finally:
            ran.send(signal.SIGKILL)

    def kill(self, reason: str) -> None:
        """Remove the container, and with it what runs in it, at once."""
        if not self.exited.done() and not self._killed_because:
            self._killed_because = reason
            self._do(self._kill())

    def terminate(self) -> None:
        """Send the program what its image wants to be stopped by."""
        self._do(self._stop())

    async def _watch(self) -> None:
        await asyncio.shield(self._attached.ended)
        how = self._killed_because or await self._how()
        self.exited.set_result(self._killed_because or how)
        await self._remove(self._name)
        if self._orders:
            await asyncio.wait(self._orders)
        self.closed.set_result(self.exited.result())

    async def _kill(self) -> None:
        await self._remove(self._name)
        # An engine that hangs, or is gone, leaves its command behind.
        self._attached.send(signal.SIGKILL)

    async def _stop(self) -> None:
        # It is not broken off: podman takes what is being stopped out of its list
        # when it is to be removed, and leaves the killing to whoever stops it.
        try:
            await self._engine.call(
                "stop a container", "stop", "-t", str(LONGEST_GOODBYE_S), self._name
            )
        except EngineError:
            self._attached.send(signal.SIGKILL)

    async def _run(self, *words: str) -> Program:
        return await Program.start(
            [self._engine.program, *words],
            environment=os.environ,
            directory=None,
            on_log=lambda _: None,
        )

    def _do(self, work: Awaitable[None]) -> None:
        order = asyncio.ensure_future(work)
        self._orders.add(order)
        order.add_done_callback(self._orders.discard)

    async def _how(self) -> str:
        try:
            state = json.loads(
                await self._engine.call(
                    "tell how a container ended",
                    *("inspect", "--format", "{{json .State}}", self._name),
                )
            )
        except (HomeportError, ValueError):
            return "was lost with its engine"
        if state.get("Running"):
            return "was lost by its engine's command"
        if state.get("Status") == "created":
            self._is_started = False
            return "was never started"
        memory = _TOO_MUCH_MEMORY if self._is_limited else _NO_MEMORY_LEFT
        if state.get("OOMKilled"):
            return f"was killed: {memory}"
        if state.get("ExitCode") == _KILLED:
            # podman does not tell which on every host.
            return f"was killed: {memory}, or somebody ended it"
        return f"exited with code {state.get('ExitCode')}"

    async def _look(self, wanted: Sequence[int]) -> None:
        """Learn its first process, and where the engine publishes its ports."""
        pause_s = _POLL_S
        while not self.exited.done():
            printed = await self._engine.call(
                "tell the ports of a container",
                *("inspect", "--format", _PLACES, self._name),
            )
            pid, _, ports = printed.partition(" ")
            found = _ports(ports)
            # An engine may tell the ports of what has no process yet, and 0 for that.
            if int(pid) and found.keys() >= set(wanted):
                self._pid, self._ports = int(pid), found
                return
            await asyncio.wait({self.exited}, timeout=pause_s)
            pause_s = min(2 * pause_s, _SLOWEST_POLL_S)
        if not self._is_started:
            reason = " ".join(self._printed) or "it said nothing"
            raise UnavailableError(
                f"the container was never started, {self._engine.name} says: {reason}: "
                "see that the image has what command and args of its containerSpec ask"
            )
        raise UnwellError(
            f"the container {self.exited.result()} as soon as it was started: "
            f"{reason_of_end(has_printed=self.has_printed)}"
        )


async def _create(engine: Engine, order: Order, *, host_commands: bool) -> None:
    try:
        await engine.call(
            "create a container",
            *order.arguments(engine.name),
            environment=order.environment(),
            timeout_s=PULL_TIMEOUT_S if order.pull else _CREATE_TIMEOUT_S,
        )
    except EngineError as error:
        if not any(sign in error.words.lower() for sign in _NO_IMAGE):
            raise
        image = order.spec.image_uri
        instead = ""
        if host_commands and (order.spec.command or order.spec.args):
            instead = (
                f"; {engine.name} comes before the host command while it answers, "
                "--container-engine none runs that"
            )
        raise FailedPreconditionError(
            f"{engine.name} has no image {image} ({error.words}): fetch it with "
            f"'{engine.name} pull {image}', build it, or start the server with "
            f"--pull-images{instead}"
        ) from error


def _ports(printed: str) -> dict[int, int]:
    """Return the host's ports by the container's, from what `inspect` prints."""
    found = {}
    for key, bindings in (json.loads(printed or "null") or {}).items():
        for binding in bindings or ():
            number = str(binding.get("HostPort") or "")
            if number.isdecimal():
                found[int(key.partition("/")[0])] = int(number)
    return found
