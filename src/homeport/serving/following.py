"""Following what other servers on the same database change, and those that died.

Each server serves every endpoint. It looks at the rows once a second, renews its lease,
and takes over what servers have left whose lease has run out.
"""

import asyncio
import contextlib
import logging
from typing import Final, final

from homeport.metadata.database import DatabaseUnavailableError
from homeport.registry.leases import LEASE, RENEW_S, Lease
from homeport.serving.reconciler import Reconciler

_log: Final = logging.getLogger(__name__)
_LOOK_S: Final = 1.0
# After the database was away nobody's lease is renewed: others get the time to do so.
_STEADY: Final = LEASE.total_seconds() / RENEW_S


@final
class Following:
    """Keeps one server in step with the others.

    Args:
        reconciler: Makes it so; it was started.
        lease: This server's, renewed once already; None where there can be no others.
    """

    def __init__(self, reconciler: Reconciler, lease: Lease | None) -> None:
        self._reconciler = reconciler
        self._lease = lease
        self._tasks: list[asyncio.Task[None]] = []
        self._renewals = 0
        self._rests = False

    def start(self) -> None:
        """Begin to look."""
        if self._lease is not None:
            self._tasks = [
                asyncio.create_task(self._look(), name="follow other servers"),
                asyncio.create_task(self._renew(self._lease), name="renew the lease"),
            ]

    async def rest(self) -> None:
        """Look no more and take nothing over; the lease lasts."""
        self._rests = True
        await _ended(self._tasks[:1])

    async def stop(self) -> None:
        """End it, and the lease, which others see at once."""
        await _ended(self._tasks)
        if self._lease is not None:
            with contextlib.suppress(DatabaseUnavailableError):
                await asyncio.to_thread(self._lease.end)

    async def _renew(self, lease: Lease) -> None:
        while True:
            try:
                await asyncio.to_thread(lease.renew)
                self._renewals += 1
                if self._renewals > _STEADY and not self._rests:
                    await self._reconciler.take_over()
            except DatabaseUnavailableError as error:
                self._renewals = 0
                _log.warning("the lease was not renewed: %s", error)
            except Exception:  # noqa: BLE001  # the edge of a reconciler tick
                _log.exception("nothing was taken over")
            await asyncio.sleep(RENEW_S)

    async def _look(self) -> None:
        while True:
            try:
                await self._reconciler.follow()
            except DatabaseUnavailableError as error:
                _log.warning("other servers are not followed: %s", error)
            except Exception:  # noqa: BLE001  # the edge of a reconciler tick
                _log.exception("other servers are not followed")
            await asyncio.sleep(_LOOK_S)


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
