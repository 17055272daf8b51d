"""Crew: keeps as many replicas alive as are wanted, and lets go of the others.

Everything here runs on the event loop's thread.
"""

import asyncio
import dataclasses
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from homeport.errors import HomeportError, UnavailableError
from homeport.serving.runtime import Replica

_log: Final = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Pauses:
    """How long to wait before a replica that ended is replaced.

    Attributes:
        first_s: From a replica's early end to its first restart; each further pause is
            twice as long.
        longest_s: Where the pauses stop growing.
        settled_s: A replica that lived this long did not die of starting: the next is
            started at once, and pauses begin again at the first.
    """

    first_s: float = 0.5
    longest_s: float = 30.0
    settled_s: float = 3.0


class Owner(Protocol):
    """Who is told how a crew fares."""

    def on_joined(self) -> None:
        """A replica answers that did not before."""

    def on_failed(self) -> None:
        """A replica could not be started; `Crew.failure` says why."""

    def on_hopeless(self) -> None:
        """None answers, and none will very soon."""

    def on_end(self, ending: str) -> None:
        """A replica ended so, and is to be replaced."""


@dataclasses.dataclass(slots=True, eq=False)
class _Place:
    """One replica's place in the crew, whoever fills it."""

    keeper: asyncio.Task[None] | None = None
    replica: Replica | None = None
    hopeful: bool = False
    dismissed: bool = False


class Crew:
    """Keeps the wanted replicas alive.

    Args:
        name: For log lines and errors, the deployed model's id.
        start_replica: Starts one replica.
        owner: Told of what happens.
        pauses: Between a replica's end and its restart.

    Attributes:
        replicas: Those that answer.
        restarts: Replicas that died after they had been ready.
        failure: Why a replica could not be started, None when every wanted one answers.
    """

    def __init__(
        self,
        name: str,
        start_replica: Callable[[], Awaitable[Replica]],
        owner: Owner,
        pauses: Pauses,
    ) -> None:
        self._name = name
        self._start_replica = start_replica
        self._owner = owner
        self._pauses = pauses
        self._places: list[_Place] = []
        # They answer no more, and have not quite ended.
        self._ending: list[Replica] = []
        self._stopping: set[asyncio.Task[None]] = set()
        self.replicas: list[Replica] = []
        self.restarts = 0
        self.failure: HomeportError | None = None

    @property
    def wanted(self) -> int:
        """How many replicas there should be."""
        return len(self._places)

    @property
    def is_hopeful(self) -> bool:
        """Whether a replica that died is being replaced right now."""
        return any(place.hopeful for place in self._places)

    @property
    def is_at_work(self) -> bool:
        """Whether a replica works, be it for somebody who waits no longer."""
        return any(replica.busy_since is not None for replica in self.replicas)

    def want(self, count: int, grace_s: float) -> None:
        """Have so many replicas from now on.

        Args:
            count: At least 0.
            grace_s: What each that is too many gets to answer what it was sent.
        """
        while len(self._places) < count:
            place = _Place()
            self._places.append(place)
            place.keeper = asyncio.create_task(
                self._keep(place), name=f"replica of {self._name}"
            )
        while len(self._places) > count:
            self._dismiss(self._least_busy(), grace_s)

    def replace(self, replica: Replica, why: HomeportError) -> None:
        """Kill a replica; the requests of its call in hand fail with `why`."""
        for place in self._places:
            # Another comes soon: what waits may go on waiting.
            place.hopeful = place.hopeful or place.replica is replica
        self._withdraw(replica)
        self._stop_apart(replica, 0.0, why)

    async def close(self, grace_s: float) -> None:
        """End every replica, after what it was sent or the grace."""
        keepers = [one.keeper for one in self._places if one.keeper is not None]
        self._places.clear()
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        replicas = (*self.replicas, *self._ending)
        await asyncio.gather(*(replica.stop(grace_s) for replica in replicas))
        await asyncio.gather(*self._stopping, return_exceptions=True)

    def _least_busy(self) -> _Place:
        # One that does not answer yet goes first, and of equals the youngest.
        return min(
            reversed(self._places),
            key=lambda place: place.replica.outstanding if place.replica else -1,
        )

    def _dismiss(self, place: _Place, grace_s: float) -> None:
        self._places.remove(place)
        place.dismissed = True
        if place.replica is None:
            if place.keeper is not None:
                self._own(place.keeper)
                place.keeper.cancel()
            return
        self._withdraw(place.replica)
        if place.keeper is not None:
            self._own(place.keeper)
        self._stop_apart(place.replica, grace_s, None)

    def _stop_apart(
        self, replica: Replica, grace_s: float, why: HomeportError | None
    ) -> None:
        stopping = replica.stop(grace_s, why)
        self._own(asyncio.create_task(stopping, name=f"stop replica of {self._name}"))

    def _own(self, task: asyncio.Task[None]) -> None:
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    async def _keep(self, place: _Place) -> None:
        """Keep one replica alive, pausing longer after each early death."""
        pauses = self._pauses
        pause_s = pauses.first_s
        while not place.dismissed:
            replica = await self._try_to_start()
            if replica is None:
                self._give_up_hope(place)
            elif await self._attend(place, replica, pause_s) > pauses.settled_s:
                pause_s = pauses.first_s
                continue
            if not place.dismissed:
                await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, pauses.longest_s)

    async def _try_to_start(self) -> Replica | None:
        try:
            return await self._start_replica()
        except HomeportError as error:
            self.failure = error
            _log.warning("replica of %s did not start: %s", self._name, error)
        except Exception:  # noqa: BLE001  # the edge of a start: a bug, tried again
            _log.exception("replica of %s did not start", self._name)
            self.failure = UnavailableError(
                "the replica could not be started; the server's log has the cause"
            )
        return None

    async def _attend(self, place: _Place, replica: Replica, pause_s: float) -> float:
        """Return how many seconds a replica lived, when nothing is left of it.

        Args:
            place: The one it fills.
            replica: It answers.
            pause_s: Before the next is started, if this one does not live long.
        """
        began = time.monotonic()
        place.replica, place.hopeful = replica, False
        self.replicas.append(replica)
        # Another's success does not hide a failure.
        if len(self.replicas) >= self.wanted:
            self.failure = None
        # At once: what the dead one had may be tried again before this task wakes.
        replica.lost.add_done_callback(
            lambda _: self._lose(place, replica, began, pause_s)
        )
        self._owner.on_joined()
        # Shielded: cancelling this task must not cancel the replica's own futures.
        await asyncio.shield(replica.lost)
        lived_s = time.monotonic() - began
        ending = await asyncio.shield(replica.closed)
        self._ending.remove(replica)
        if not place.dismissed:
            self.restarts += 1
            self._owner.on_end(ending)
            _log.warning(
                "replica of %s ended: %s; starting another", self._name, ending
            )
        return lived_s

    def _lose(
        self, place: _Place, replica: Replica, began: float, pause_s: float
    ) -> None:
        place.replica = None
        lived_s = time.monotonic() - began
        # After one early death the next start is near; after several it is not.
        place.hopeful = (
            lived_s > self._pauses.settled_s or pause_s <= self._pauses.first_s
        )
        self._withdraw(replica)

    def _withdraw(self, replica: Replica) -> None:
        """Send a replica nothing more; it has died, or is about to be ended."""
        if replica not in self.replicas:
            return
        self.replicas.remove(replica)
        self._ending.append(replica)
        self._tell_if_hopeless()

    def _give_up_hope(self, place: _Place) -> None:
        place.hopeful = False
        self._owner.on_failed()
        self._tell_if_hopeless()

    def _tell_if_hopeless(self) -> None:
        if not self.replicas and not self.is_hopeful:
            self._owner.on_hopeless()
