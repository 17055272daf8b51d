"""Which of this host's GPUs each replica is given."""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Sequence

from homeport.serving.runtime import Launch, Replica, Runtime


class Accelerators:
    """Hands GPUs out, those that fewest replicas have first.

    More replicas than GPUs share them: what the host lacks was a warning, or refused,
    when the model was deployed.

    Args:
        count: GPUs of this host.
    """

    def __init__(self, count: int) -> None:
        self._holders = collections.Counter(dict.fromkeys(range(count), 0))

    async def start(
        self,
        runtime: Runtime,
        launch: Launch,
        count: int,
        *,
        on_log: Callable[[Sequence[str]], None],
        on_room: Callable[[], None],
    ) -> Replica:
        """Return a replica that has `count` GPUs, and gives them back as it ends.

        Args:
            runtime: Starts it.
            launch: What it is started from.
            count: How many GPUs it is given, fewer where there are fewer.
            on_log: As of the runtime.
            on_room: As of the runtime.

        Raises:
            HomeportError: It could not be started or its model not be loaded.
        """
        gpu_ids = self.take(count)
        try:
            replica = await runtime.start(
                dataclasses.replace(launch, gpu_ids=gpu_ids),
                on_log=on_log,
                on_room=on_room,
            )
        except BaseException:
            self.give_back(gpu_ids)
            raise
        replica.closed.add_done_callback(lambda _: self.give_back(gpu_ids))
        return replica

    def take(self, count: int) -> tuple[int, ...]:
        """Return the indices of `count` different GPUs, fewer where there are fewer."""
        chosen = sorted(self._holders, key=lambda gpu: (self._holders[gpu], gpu))
        taken = tuple(sorted(chosen[:count]))
        self._holders.update(taken)
        return taken

    def give_back(self, gpus: Iterable[int]) -> None:
        """Take back what a replica that has ended was given."""
        self._holders.subtract(gpus)
