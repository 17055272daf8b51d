"""The runtime that starts each replica as a container of docker or podman.

A container is created under a name and the label of this install, then started with
the engine's own command attached: what it prints comes as that command's output, and
it has ended when that has. Whatever happens, it is removed by its name; what a killed
server left is removed by its label before the first container of the next one.
"""

import asyncio
import dataclasses
import hashlib
import logging
import pathlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from homeport.errors import HomeportError
from homeport.serving import containercli, contract, httpreplica
from homeport.serving.container import PULL_TIMEOUT_S, Container
from homeport.serving.containercli import Engine, EngineChoice, EngineError
from homeport.serving.containerorder import MOUNT, Order
from homeport.serving.httpreplica import HttpReplica
from homeport.serving.runtime import Launch

_log: Final = logging.getLogger(__name__)
_LABEL: Final = "homeport.install"
_RETRY_REMOVAL_S: Final = 5.0
_GONE: Final = ("no such container", "no container with")


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerTerms:
    """How containers are run.

    Attributes:
        choice: By which engine.
        install: Tells this install's containers from all others.
        pull: Whether an image that the engine does not have is fetched.
        host_commands: Whether commands run on the host itself without an engine.
    """

    choice: EngineChoice
    install: str
    pull: bool = False
    host_commands: bool = False


class ContainerRuntime:
    """Starts each replica as one container.

    Args:
        terms: How.
    """

    def __init__(self, terms: ContainerTerms) -> None:
        self._terms = terms
        self._engine: Engine | None = None
        self._finding = asyncio.Lock()
        # Names that could not be removed when they had to.
        self._leftover: set[str] = set()
        self._removal: asyncio.Task[None] | None = None

    @property
    def is_installed(self) -> bool:
        """Whether this host has the command of an engine, which may not answer."""
        return bool(containercli.installed(self._terms.choice))

    async def answers(self) -> bool:
        """Tell whether an engine answers, or has answered this server before."""
        try:
            await self._ready_engine()
        except HomeportError as error:
            _log.info("no container engine is used: %s", error)
            return False
        return True

    async def clean_up(self) -> None:
        """Remove what an earlier server left; without an engine there is nothing."""
        if not self.is_installed:
            return
        try:
            await self._ready_engine()
        except HomeportError as error:
            _log.info("no container of an earlier server is removed yet: %s", error)

    async def most_replicas(self, launch: Launch) -> int | None:
        """Return None: there may be as many as are wanted."""
        del launch
        return None

    async def fetch(
        self,
        launch: Launch,
        *,
        on_log: Callable[[Sequence[str]], None],
        on_missing: Callable[[], Awaitable[None]],
    ) -> None:
        """Pull the image if the engine has it not, and may fetch it.

        Raises:
            FailedPreconditionError: There is no engine.
            UnavailableError: The image could not be fetched.
        """
        spec = launch.container
        if spec is None or not self._terms.pull:
            return
        engine = await self._ready_engine()
        image = spec.image_uri
        try:
            await engine.call("look at an image", "image", "inspect", image)
        except EngineError:
            await on_missing()
            on_log([f"{engine.name} pull {image}"])
            await engine.call(
                f"fetch {image}", "pull", "--quiet", image, timeout_s=PULL_TIMEOUT_S
            )

    async def start(
        self,
        launch: Launch,
        *,
        on_log: Callable[[Sequence[str]], None],
        on_room: Callable[[], None],
    ) -> HttpReplica:
        """Return a replica that is well.

        Raises:
            FailedPreconditionError: There is no engine, or it has not the image.
            UnavailableError: The container could not be started, ended, or was not
                well in time.
        """
        spec = launch.container
        if spec is None:
            raise RuntimeError("a container is started from a container spec")
        engine = await self._ready_engine()
        await self._remove_leftover()
        agreed = contract.of_launch(
            launch,
            contract.fixed_port(spec) or contract.DEFAULT_PORT,
            MOUNT if launch.model_dir is not None else "",
        )
        order = Order(
            name=f"homeport-{self._terms.install}-{secrets.token_hex(8)}",
            labels={_LABEL: self._terms.install},
            spec=spec,
            contract=agreed,
            artifact_dir=launch.model_dir,
            machine_type=launch.platform.get("AIP_MACHINE_TYPE", ""),
            gpu_ids=launch.gpu_ids,
            pull=self._terms.pull,
        )
        housing = await Container.start(
            engine,
            order,
            on_log=on_log,
            remove=self._remove,
            host_commands=self._terms.host_commands,
        )
        return await httpreplica.started(
            housing, agreed, launch, name=spec.image_uri, on_room=on_room
        )

    async def close(self) -> None:
        """Try once more to remove what could not be removed."""
        if self._removal is not None:
            self._removal.cancel()
            await asyncio.gather(self._removal, return_exceptions=True)
        await self._remove_leftover()

    async def _ready_engine(self) -> Engine:
        """Return the engine, without containers of an earlier server."""
        async with self._finding:
            if self._engine is None:
                engine = await containercli.find(self._terms.choice)
                await self._sweep(engine)
                self._engine = engine
            return self._engine

    async def _sweep(self, engine: Engine) -> None:
        label = f"label={_LABEL}={self._terms.install}"
        found = await engine.call(
            "list containers", "ps", "--all", "--quiet", "--filter", label
        )
        for one in found.split():
            _log.info("removing container %s, which an earlier server left", one)
            await self._call_removal(engine, one)

    async def _remove(self, name: str) -> None:
        """Remove a container now, or as soon as the engine answers again."""
        if self._engine is None:
            raise RuntimeError("there is no container without an engine")
        try:
            await self._call_removal(self._engine, name)
        except EngineError as error:
            _log.warning("container %s is not removed yet: %s", name, error)
            self._leftover.add(name)
            if self._removal is None or self._removal.done():
                self._removal = asyncio.create_task(
                    self._keep_removing(), name="removal of containers"
                )

    async def _keep_removing(self) -> None:
        while self._leftover:
            await asyncio.sleep(_RETRY_REMOVAL_S)
            await self._remove_leftover()

    async def _remove_leftover(self) -> None:
        for name in tuple(self._leftover):
            if self._engine is None:
                return
            try:
                await self._call_removal(self._engine, name)
            except EngineError:
                return
            self._leftover.discard(name)

    async def _call_removal(self, engine: Engine, name: str) -> None:
        # podman would wait for the program's good manners; docker never does.
        at_once = ("--time", "0") if engine.name == "podman" else ()
        words = ("rm", "--force", *at_once, "--volumes", name)
        try:
            await engine.call("remove a container", *words)
        except EngineError as error:
            if not any(sign in error.words.lower() for sign in _GONE):
                raise


def install_of(data_dir: pathlib.Path, secret: bytes) -> str:
    """Return what tells the containers of this data directory from all others.

    A copy of the directory is another install: it may run beside this one.
    """
    place = f"{data_dir.resolve()} {data_dir.stat().st_ino} "
    text = place.encode() + secret
    return hashlib.sha256(text).hexdigest()[:16]
