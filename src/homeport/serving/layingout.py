"""Laying versions out for replicas, and locking those that came without a lock."""

import asyncio
import concurrent.futures
import dataclasses
from collections.abc import Callable
from typing import Final, final

from homeport.checking.ending import Ending
from homeport.resources.endpoint import DedicatedResources, DeployedModel
from homeport.resources.names import ModelName
from homeport.serving.runtime import Launch
from homeport.serving.wanted import Wanted

_LOCKS_AT_ONCE: Final = 2


@final
class LayingOut:
    """Lays versions out; of those that lack a lock, a few get it at a time.

    Args:
        wanted: What they are made from.
        load_timeout_s: How long a replica may take to load one.
    """

    def __init__(self, wanted: Wanted, load_timeout_s: float) -> None:
        self._wanted = wanted
        self._load_timeout_s = load_timeout_s
        # Its own: a lock takes as long as a check may, and the loop's threads carry the
        # lease and every verb.
        self._threads = concurrent.futures.ThreadPoolExecutor(
            _LOCKS_AT_ONCE, thread_name_prefix="locking"
        )

    async def lay_out(
        self, name: ModelName, asked_by: DeployedModel | DedicatedResources
    ) -> Launch:
        """Return what replicas of a version are started from.

        Whoever is cancelled meanwhile ends the check that is made for them.

        Args:
            name: The version.
            asked_by: Where it is deployed, or what a job asks of the machine.

        Raises:
            HomeportError: As `Wanted.lay_out`, or it cannot be locked.
        """
        laid_out = await asyncio.to_thread(
            self._wanted.lay_out, name, self._load_timeout_s, asked_by
        )
        if laid_out.make_lock is None:
            return laid_out.launch
        lock = await self._locked(laid_out.make_lock)
        return dataclasses.replace(laid_out.launch, lock=lock)

    def stop(self) -> None:
        """Make no further lock; those in work end with whoever waits for them."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _locked(self, make_lock: Callable[[Ending], str]) -> str:
        ending = Ending()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, make_lock, ending)
        except asyncio.CancelledError:
            await asyncio.to_thread(ending.end)
            raise
