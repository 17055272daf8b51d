"""Engines: which of them serves a version, and whether any here can."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence

from homeport.errors import FailedPreconditionError, UnimplementedError
from homeport.resources import images, probes
from homeport.resources.endpoint import DedicatedResources
from homeport.resources.model import ContainerSpec, ModelVersion
from homeport.serving import containercli, contract
from homeport.serving.containercli import EngineChoice
from homeport.serving.containers import ContainerRuntime
from homeport.serving.hostcommand import HostCommands
from homeport.serving.local import LocalRuntime
from homeport.serving.runtime import Launch, Replica, Runtime


@dataclasses.dataclass(frozen=True, slots=True)
class Offer:
    """What this server offers to deployments.

    A version with an image of its own is served by a container where there is an
    engine, else by its bare command if that is allowed.

    Attributes:
        containers: By which engine, "none" for no containers.
        host_commands: Whether commands may run on the host itself.
        strict_resources: Refuse what the host lacks instead of warning.
    """

    containers: EngineChoice = "none"
    host_commands: bool = False
    strict_resources: bool = False

    @property
    def has_engine(self) -> bool:
        """Whether this host has the command of a container engine."""
        return bool(containercli.installed(self.containers))


def is_ours(container: ContainerSpec | None) -> bool:
    """Tell whether a version is a `.mar` for our own worker."""
    return images.runs_archives(container.image_uri if container else "")


def check_servable(
    version: ModelVersion, resources: DedicatedResources, offer: Offer
) -> None:
    """Refuse a version that nothing here can serve.

    Raises:
        FailedPreconditionError: There is nothing to serve, or no engine for it.
        UnimplementedError: Its image, or a field of its container, is not for here.
    """
    container = version.container
    if container is not None:
        _check_container(container, str(version.name))
    if is_ours(container):
        _check_archive(version)
    elif container is not None and not offer.has_engine:
        _check_host_command(version, container, resources, offer)


def warnings(container: ContainerSpec | None) -> tuple[str, ...]:
    """Return why no server deploys a version with this container, if so.

    Raises:
        InvalidArgumentError: A probe cannot be.
    """
    if container is None:
        return ()
    try:
        _check_container(container, "the version")
    except (FailedPreconditionError, UnimplementedError) as error:
        return (f"deploying it will be refused: {error.message}",)
    return ()


def _check_archive(version: ModelVersion) -> None:
    if version.artifact is None:
        raise FailedPreconditionError(
            f"{version.name} has no artifact to serve: upload a version with "
            "artifact_uri",
            resource=str(version.name),
        )


def _check_container(container: ContainerSpec, version: str) -> None:
    """Refuse what is served nowhere, whatever the server offers."""
    image = container.image_uri
    if is_ours(container):
        if container.command or container.args:
            raise UnimplementedError(
                f"{version} overrides the command or arguments of "
                f"{image or 'our worker'}: our worker takes the place of that image "
                "and has none",
                resource=version,
            )
        return
    framework = images.prebuilt_framework(image)
    if framework:
        raise UnimplementedError(
            f"{version} has Vertex AI's prebuilt image for {framework}, {image}: "
            "only those for PyTorch have a runtime here; give an image of your own",
            resource=version,
        )
    if not images.is_reference(image):
        raise FailedPreconditionError(
            f"{version} has the image {image!r:.100}, which is no name of an image: "
            "register it as HOST/PATH:TAG",
            resource=version,
        )
    probes.read(container.kept).check_supported()


def _check_host_command(
    version: ModelVersion,
    container: ContainerSpec,
    resources: DedicatedResources,
    offer: Offer,
) -> None:
    why = containercli.not_installed(offer.containers)
    if not offer.host_commands:
        raise FailedPreconditionError(
            f"{version.name} is served by its own container {container.image_uri}, "
            f"and {why}",
            resource=str(version.name),
        )
    if not (container.command or container.args):
        raise FailedPreconditionError(
            f"{version.name} names neither command nor args, so there is nothing to "
            "run without its image: register it with the command that starts it",
            resource=str(version.name),
        )
    port = contract.fixed_port(container)
    if port is not None and resources.min_replica_count > 1:
        raise FailedPreconditionError(
            f"{version.name} is written for port {port}, which one program of a host "
            f"can have, and min_replica_count is {resources.min_replica_count}: leave "
            "ports out and let it listen where AIP_HTTP_PORT says",
            resource=str(version.name),
        )


class Engines:
    """The runtime that starts each replica by the engine for its version.

    Args:
        local: Our own workers.
        containers: For versions with an image of their own.
        commands: In their place where there is no container engine.
        offer: Which of them may be used.
    """

    def __init__(
        self,
        local: LocalRuntime,
        containers: ContainerRuntime,
        commands: HostCommands,
        offer: Offer,
    ) -> None:
        self._local = local
        self._containers = containers
        self._commands = commands
        self._offer = offer
        self._cleaning: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to remove what an earlier server left in the engine."""
        self._cleaning = asyncio.create_task(
            self._containers.clean_up(), name="containers of an earlier server"
        )

    async def fetch(
        self,
        launch: Launch,
        *,
        on_log: Callable[[Sequence[str]], None],
        on_missing: Callable[[], Awaitable[None]],
    ) -> None:
        """Have what a version's replicas need; see `serving.runtime.Runtime`."""
        runtime: Runtime = self._local
        if launch.container is not None:
            on_host = await self._is_for_the_host(launch.container)
            runtime = self._commands if on_host else self._containers
        await runtime.fetch(launch, on_log=on_log, on_missing=on_missing)

    async def start(
        self,
        launch: Launch,
        *,
        on_log: Callable[[Sequence[str]], None],
        on_room: Callable[[], None],
    ) -> Replica:
        """Return a replica of the version; see `serving.runtime.Runtime`."""
        if launch.container is None:
            return await self._local.start(launch, on_log=on_log, on_room=on_room)
        if await self._is_for_the_host(launch.container):
            return await self._commands.start(launch, on_log=on_log, on_room=on_room)
        return await self._containers.start(launch, on_log=on_log, on_room=on_room)

    async def most_replicas(self, launch: Launch) -> int | None:
        """Return how many may run at once; see `serving.runtime.Runtime`."""
        container = launch.container
        if container is not None and await self._is_for_the_host(container):
            return await self._commands.most_replicas(launch)
        return None

    async def _is_for_the_host(self, container: ContainerSpec) -> bool:
        """Tell whether a container's command is run in the container's place."""
        offer = self._offer
        if not offer.host_commands or not (container.command or container.args):
            return False
        if not offer.has_engine:
            return True
        # Who named an engine wants that one.
        return offer.containers == "auto" and not await self._containers.answers()

    async def close(self) -> None:
        """End what is under way; every replica has been stopped before."""
        if self._cleaning is not None:
            self._cleaning.cancel()
            await asyncio.gather(self._cleaning, return_exceptions=True)
        await self._containers.close()
        await self._local.close()
