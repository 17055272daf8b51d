"""The runtime that starts workers as processes of this machine."""

import asyncio
import pathlib
from collections.abc import Callable, Sequence

from homeport.serving import machines
from homeport.serving.runtime import Launch, Replica
from homeport.worker import replica


class LocalRuntime:
    """Starts each replica as one worker process in the server's own environment.

    Args:
        scratch_dir: Where replicas have their private directories.
    """

    def __init__(self, scratch_dir: pathlib.Path) -> None:
        self._scratch_dir = scratch_dir
        # Loading is work for the cores; the load timeout of those that wait has not
        # begun.
        self._loading = asyncio.Semaphore(machines.this_host().cores)

    async def start(
        self,
        launch: Launch,
        *,
        on_log: Callable[[Sequence[str]], None],
        on_room: Callable[[], None],
    ) -> Replica:
        """Return a replica whose model is loaded.

        Raises:
            ReplicaLoadError: The archive's code or files did not load.
            UnavailableError: The process could not be started, ended while it loaded,
                or did not load in time.
        """
        spec = replica.ReplicaSpec(
            launch.model_dir,
            launch.environment,
            launch.load_timeout_s,
            scratch_dir=self._scratch_dir,
            server_config=launch.server_config,
        )
        async with self._loading:
            return await replica.Replica.start(spec, on_log=on_log, on_room=on_room)
