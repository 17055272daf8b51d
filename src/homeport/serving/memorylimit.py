"""The memory that a worker may take, where the server's owner limits it.

It is looked at once a second, of the worker and of all that come of it: what a handler
leaks is told and ends with its replica, before the machine is short of memory and the
kernel chooses whom to end.
"""

import asyncio
from typing import Final, final

from homeport.errors import ResourceExhaustedError
from homeport.serving import usage
from homeport.worker.replica import Replica

_PERIOD_S: Final = 1.0


@final
class MemoryLimit:
    """Watches replicas.

    Args:
        limit_bytes: What each may take, but for files that it maps, such as libraries.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._watches: set[asyncio.Task[None]] = set()

    async def admit(self, replica: Replica) -> None:
        """Begin to watch a replica that has loaded, until it ends.

        Raises:
            ResourceExhaustedError: It takes too much already; nothing is left of it.
        """
        told = self._too_much(replica)
        if told:
            replica.kill(f"killed: it took {told}")
            await asyncio.wait({replica.closed})
            raise ResourceExhaustedError(
                f"the model takes {told} when it is loaded: start the server with a "
                "larger --worker-memory-bytes, or make the model smaller"
            )
        watch = asyncio.create_task(self._watch(replica), name="memory of a worker")
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    def close(self) -> None:
        """Watch nothing any more."""
        for watch in self._watches:
            watch.cancel()

    async def _watch(self, replica: Replica) -> None:
        while not replica.closed.done():
            await asyncio.wait({replica.closed}, timeout=_PERIOD_S)
            told = self._too_much(replica)
            if told:
                replica.kill(f"killed: it took {told}")

    def _too_much(self, replica: Replica) -> str:
        """Return what a replica takes if that is too much, for people; "" if not."""
        taken_bytes = usage.memory_bytes(replica.report.pid)
        if taken_bytes <= self._limit_bytes:
            return ""
        return (
            f"{taken_bytes >> 20} MiB of memory, and --worker-memory-bytes allows "
            f"{self._limit_bytes >> 20} MiB"
        )
