"""Which replica takes the next request: the one that will be done soonest."""

import math
from collections.abc import Iterable
from typing import Final

from homeport.serving.runtime import Replica

# Below this expected wait a further replica would only make batches smaller: one
# worker that drains sixteen tiny requests in one system call beats two that drain
# eight (measured).
_PACK_BELOW_S: Final = 0.000_5
# How much work a replica holds beyond the request in hand, so that it never idles
# between two; what it holds can no longer be given to another.
_HELD_S: Final = 0.01
_MOST_HELD: Final = 64
_FIRST_GUESS_S: Final = 0.001


def choose(replicas: Iterable[Replica]) -> Replica | None:
    """Return the replica that will be done soonest, None if none has room.

    One that is not well has none.
    """
    best: Replica | None = None
    best_wait_s = math.inf
    for replica in replicas:
        if not replica.is_well:
            continue
        wait_s = replica.outstanding * _service_time_s(replica)
        if wait_s < _PACK_BELOW_S:
            return replica
        if wait_s < best_wait_s and replica.outstanding < _room(replica):
            best, best_wait_s = replica, wait_s
    return best


def _room(replica: Replica) -> int:
    """Return how many requests a replica may hold at once."""
    by_time = math.ceil(_HELD_S / _service_time_s(replica))
    return max(2 * replica.report.batch_size, min(by_time, _MOST_HELD))


def _service_time_s(replica: Replica) -> float:
    # Zero until the first reply.
    return replica.service_time_s or _FIRST_GUESS_S
