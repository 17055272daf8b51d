"""Which of this host's GPUs each replica is given."""

import collections
from collections.abc import Iterable


class Accelerators:
    """Hands GPUs out, those that fewest replicas have first.

    More replicas than GPUs share them: what the host lacks was a warning, or refused,
    when the model was deployed.

    Args:
        count: GPUs of this host.
    """

    def __init__(self, count: int) -> None:
        self._holders = collections.Counter(dict.fromkeys(range(count), 0))

    def take(self, count: int) -> tuple[int, ...]:
        """Return the indices of `count` different GPUs, fewer where there are fewer."""
        chosen = sorted(self._holders, key=lambda gpu: (self._holders[gpu], gpu))
        taken = tuple(sorted(chosen[:count]))
        self._holders.update(taken)
        return taken

    def give_back(self, gpus: Iterable[int]) -> None:
        """Take back what a replica that has ended was given."""
        self._holders.subtract(gpus)
