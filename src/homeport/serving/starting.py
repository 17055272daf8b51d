"""What runs for a deployed model, and how its pool comes to be.

Everything here runs on the event loop's thread; what blocks goes to a thread.
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping

from homeport.archive import golden
from homeport.archive.golden import Golden
from homeport.errors import HomeportError
from homeport.resources.endpoint import (
    DeployedModel,
    DeployState,
    Endpoint,
    inference_timeout_s,
)
from homeport.resources.torchserve import TorchServeWords
from homeport.serving import goldenrun, scalings
from homeport.serving.accelerators import Accelerators
from homeport.serving.autoscaler import Scaling
from homeport.serving.layingout import LayingOut
from homeport.serving.logs import ReplicaLog, with_last_lines
from homeport.serving.machines import Host
from homeport.serving.pool import Limits, Pool
from homeport.serving.runtime import Launch, Replica, Runtime
from homeport.serving.wanted import Wanted


def _sample(launch: Launch) -> Golden | None:
    """Return an archive's sample; containers have none."""
    if launch.container is not None or launch.model_dir is None:
        return None
    return golden.read(launch.model_dir)


@dataclasses.dataclass(frozen=True, slots=True)
class Timing:
    """The limits of serving; see `homeport.settings.Settings`.

    Attributes:
        retry_s: Seconds until a model that was deployed before the server restarted is
            laid out again after a failure.
    """

    request_deadline_s: float
    queue_length: int
    load_timeout_s: float
    drain_s: float
    scale_down_after_s: float = 300.0
    retry_s: float = 5.0


@dataclasses.dataclass(slots=True)
class Running:
    """What runs for one deployed model.

    Attributes:
        awaited: Another server has deployed it, and it does not answer here yet.
    """

    deployed: DeployedModel
    log: ReplicaLog
    task: asyncio.Task[None] | None = None
    pool: Pool | None = None
    words: TorchServeWords = dataclasses.field(default_factory=TorchServeWords)
    most_replicas: int | None = None
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    failure: str = ""
    recording: bool = False
    awaited: bool = False
    ends: bool = False

    @property
    def is_new(self) -> bool:
        """Whether it has not answered for anybody yet."""
        return self.deployed.state is DeployState.DEPLOYING and not self.recording

    def note_failure(self, error: Exception) -> None:
        """Keep what callers may read of why it was not started."""
        if isinstance(error, HomeportError):
            self.failure = error.message
        else:
            self.failure = "internal error; the server's log has it"


class Starter:
    """Makes the pools of deployed models.

    Args:
        wanted: What they are made from.
        runtime: Starts replicas.
        timing: The limits.
        host: The machine that replicas share.

    Attributes:
        accelerators: Hands the host's GPUs out.
        laying_out: Lays versions out.
    """

    def __init__(
        self, wanted: Wanted, runtime: Runtime, timing: Timing, host: Host
    ) -> None:
        self._wanted = wanted
        self._runtime = runtime
        self._timing = timing
        self._host = host
        self.accelerators = Accelerators(len(host.gpus))
        self.laying_out = LayingOut(wanted, timing.load_timeout_s)

    async def start_pool(
        self,
        running: Running,
        on_missing: Callable[[], Awaitable[None]] | None = None,
    ) -> Pool:
        """Lay out the archive and begin to bring the wanted replicas up.

        Args:
            running: What it is for.
            on_missing: Awaited if an image or environment has to be got, which is then
                got first; None leaves that to the replicas' own starts.

        Raises:
            HomeportError: The version is gone, its archive cannot be laid out, or what
                its replicas need cannot be had.
        """
        deployed = running.deployed
        launch = await self.laying_out.lay_out(deployed.version, deployed)
        environment = running.environment = launch.environment
        running.words = await asyncio.to_thread(self._wanted.words, deployed)
        running.most_replicas = await self._runtime.most_replicas(launch)
        if on_missing is not None:
            await self._fetch(running, launch, on_missing)
        sample = await asyncio.to_thread(_sample, launch)

        async def start_proven(on_room: Callable[[], None]) -> Replica:
            try:
                replica = await self.accelerators.start(
                    self._runtime,
                    launch,
                    deployed.resources.accelerator_count,
                    on_log=running.log.write,
                    on_room=on_room,
                )
                if sample is not None and running.is_new:
                    limit_s = self._timing.request_deadline_s
                    await goldenrun.prove(replica, sample, limit_s)
            except HomeportError as error:
                raise with_last_lines(error, running.log, environment) from error
            return replica

        pool = running.pool = Pool(
            deployed.id,
            start_proven,
            Limits(
                queue_length=running.words.queue_length or self._timing.queue_length,
                deadline_s=self._timing.request_deadline_s,
                scaling=self._scaling(running),
            ),
            tell=lambda line: running.log.write([line]),
        )
        pool.start()
        return pool

    async def _fetch(
        self,
        running: Running,
        launch: Launch,
        on_missing: Callable[[], Awaitable[None]],
    ) -> None:
        try:
            await self._runtime.fetch(
                launch, on_log=running.log.write, on_missing=on_missing
            )
        except HomeportError as error:
            raise with_last_lines(error, running.log, launch.environment) from error

    def rescale(self, running: Running) -> None:
        """Give a pool that runs the bounds that are wanted now."""
        if running.pool is not None:
            running.pool.rescale(self._scaling(running))

    def limit(self, endpoint: Endpoint, running: Mapping[str, Running]) -> None:
        """Give predictions the deadline of their endpoint, at most the server's."""
        server_s = self._timing.request_deadline_s
        deadline_s = min(inference_timeout_s(endpoint.kept) or server_s, server_s)
        for deployed in endpoint.deployed_models:
            one = running.get(deployed.id)
            if one is not None and one.pool is not None:
                one.pool.end_after(deadline_s)

    def _scaling(self, running: Running) -> Scaling:
        return scalings.of(
            running.deployed.resources,
            running.words,
            self._host,
            self._timing.scale_down_after_s,
            running.most_replicas,
        )
