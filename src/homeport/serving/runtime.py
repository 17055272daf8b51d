"""Runtime: the engine that starts replicas, and what it promises of each."""

import asyncio
import dataclasses
import pathlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from homeport.errors import HomeportError
from homeport.resources.model import ContainerSpec
from homeport.worker.replica import LoadReport, Reply
from homeport.worker.requests import Request


@dataclasses.dataclass(frozen=True, slots=True)
class Launch:
    """What a replica is started from.

    Attributes:
        model_dir: The laid-out archive, or the files of a container's artifact, read
            only; None for a container without an artifact.
        environment: The version's own variables, in order, not expanded yet.
        load_timeout_s: How long a replica may take to load its model; that its
            environment is built first does not count.
        server_config: The text of the config.properties beside the archive, "" for
            none.
        lock: The text of the lock whose environment it runs in, "" for the server's.
        gpu_ids: The GPUs that this replica is given, by their places on the bus.
        platform: Vertex AI's variables for this deployment, without AIP_HTTP_PORT and
            AIP_STORAGE_URI, which the engine knows.
        container: The version's container if that is what serves it, None for our own
            worker.
    """

    model_dir: pathlib.Path | None
    environment: Mapping[str, str]
    load_timeout_s: float
    server_config: str = ""
    lock: str = ""
    gpu_ids: tuple[int, ...] = ()
    platform: Mapping[str, str] = dataclasses.field(default_factory=dict)
    container: ContainerSpec | None = None


class Replica(Protocol):
    """One copy of a model that answers; `homeport.worker.replica` is the local one."""

    lost: asyncio.Future[None]
    """Resolves as soon as it answers no more."""

    closed: asyncio.Future[str]
    """Resolves with how it ended, when nothing is left of it."""

    @property
    def is_well(self) -> bool:
        """Whether it may be sent requests; one that is not may be again."""

    @property
    def report(self) -> LoadReport:
        """What it said of itself when its model was loaded."""

    @property
    def outstanding(self) -> int:
        """Requests sent and not answered."""

    @property
    def service_time_s(self) -> float:
        """Seconds one request keeps it busy, a moving average."""

    @property
    def busy_since(self) -> float | None:
        """`time.monotonic` when the request in work was begun; None when idle."""

    def predict(
        self, body: bytes, reply: asyncio.Future[Reply]
    ) -> asyncio.Future[Reply]:
        """Send the body of a :predict request; its answer goes to `reply`, returned."""

    def call(
        self, request: Request, reply: asyncio.Future[Reply]
    ) -> asyncio.Future[Reply]:
        """Send a request of any kind; its answer goes to `reply`, which is returned."""

    def cancel(self, reply: asyncio.Future[Reply]) -> None:
        """Leave the request of `reply` undone if it has not begun; else do nothing."""

    async def stop(self, grace_s: float, why: HomeportError | None = None) -> None:
        """End it, after what it has in work or the grace; twice is fine.

        With `why`, the requests of the call in hand fail with it at once.
        """


class Runtime(Protocol):
    """Starts replicas."""

    async def most_replicas(self, launch: Launch) -> int | None:
        """Return how many replicas may run at once, None for as many as are wanted."""

    async def fetch(
        self,
        launch: Launch,
        *,
        on_log: Callable[[Sequence[str]], None],
        on_missing: Callable[[], Awaitable[None]],
    ) -> None:
        """Have the image or environment of a version here before its first replica.

        Args:
            launch: What that is started from.
            on_log: Receives what is told meanwhile.
            on_missing: Awaited first if there is anything to get.

        Raises:
            HomeportError: It cannot be had.
        """

    async def start(
        self,
        launch: Launch,
        *,
        on_log: Callable[[Sequence[str]], None],
        on_room: Callable[[], None],
    ) -> Replica:
        """Return a replica whose model is loaded.

        Args:
            launch: What to start it from.
            on_log: Receives the lines it prints, as they come.
            on_room: Called when answers have made room for further requests.

        Raises:
            HomeportError: It could not be started or its model not be loaded; nothing
                of it is left running.
        """
