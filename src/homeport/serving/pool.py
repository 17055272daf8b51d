"""Pool: the replicas of one deployed model and the requests that wait for them.

Everything here runs on the event loop's thread. A request goes to a replica at once
where one has room, else it waits in a bounded queue; a request that has waited or
worked past its deadline fails, and a replica that works on one call past the deadline,
or past the limit that its model brings, is killed and replaced.
"""

import asyncio
import collections
import dataclasses
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Final

from homeport.errors import (
    DeadlineExceededError,
    HomeportError,
    ResourceExhaustedError,
    UnavailableError,
)
from homeport.serving.runtime import Replica
from homeport.worker.replica import LoadReport, Reply
from homeport.worker.requests import Request

_log: Final = logging.getLogger(__name__)
# Below this expected wait a further replica would only make batches smaller: one
# worker that drains sixteen tiny requests in one system call beats two that drain
# eight (measured).
_PACK_BELOW_S: Final = 0.000_5
# How much work a replica holds beyond the request in hand, so that it never idles
# between two; what it holds can no longer be given to another.
_HELD_S: Final = 0.01
_MOST_HELD: Final = 64
_FIRST_GUESS_S: Final = 0.001


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a pool.

    Attributes:
        replicas: How many replicas are wanted.
        queue_length: Requests that may wait for room, all replicas together.
        deadline_s: Seconds from accepting a request to answering it.
        sweep_s: Seconds between two looks at the deadlines.
        first_pause_s: Seconds from a replica's end to its first restart; each further
            pause is twice as long.
        longest_pause_s: Where the pauses stop growing.
        settled_s: A replica that lived this long did not die of starting: pauses begin
            again at the first.
    """

    replicas: int
    queue_length: int
    deadline_s: float
    sweep_s: float = 0.1
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    settled_s: float = 10.0


class Pool:
    """Keeps the wanted replicas alive and spreads requests over them.

    Args:
        name: For log lines and errors, the deployed model's id.
        start_replica: Starts one replica; called with the function to call when a
            replica has room again.
        limits: The bounds.
        on_end: Told how a replica ended that is to be replaced.
    """

    def __init__(
        self,
        name: str,
        start_replica: Callable[[Callable[[], None]], Awaitable[Replica]],
        limits: Limits,
        on_end: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._on_end = on_end
        self._name = name
        self._start_replica = start_replica
        self._limits = limits
        self._replicas: list[Replica] = []
        # They answer no more, and have not quite ended.
        self._ending: list[Replica] = []
        self._waiting: collections.deque[
            tuple[bytes | Request, asyncio.Future[Reply]]
        ] = collections.deque()
        # In the order of acceptance, which is the order of deadlines.
        self._accepted: collections.deque[tuple[float, asyncio.Future[Reply]]] = (
            collections.deque()
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._failure: HomeportError | None = None
        self._restarts = 0

    @property
    def ready_replicas(self) -> int:
        """Replicas that answer now."""
        return len(self._replicas)

    @property
    def is_complete(self) -> bool:
        """Whether every wanted replica answers."""
        return len(self._replicas) >= self._limits.replicas

    @property
    def restarts(self) -> int:
        """Replicas that died after they had been ready."""
        return self._restarts

    @property
    def queued(self) -> int:
        """Requests waiting for room."""
        return len(self._waiting)

    @property
    def in_work(self) -> int:
        """Requests that were accepted and not answered."""
        return sum(not reply.done() for _, reply in self._accepted)

    @property
    def failure(self) -> HomeportError | None:
        """Why a replica could not be started, None when every wanted one answers."""
        return self._failure

    def start(self) -> None:
        """Begin to start the wanted replicas; `ready` tells when they are there."""
        if self._tasks:
            raise RuntimeError("the pool was started before")
        self._tasks = [
            asyncio.create_task(self._keep(), name=f"replica of {self._name}")
            for _ in range(self._limits.replicas)
        ]
        self._tasks.append(
            asyncio.create_task(self._sweep(), name=f"deadlines of {self._name}")
        )

    async def ready(self) -> None:
        """Wait until every wanted replica answers.

        Raises:
            HomeportError: A replica could not be started.
        """
        while not self.is_complete:
            if self._failure is not None:
                raise self._failure
            self._changed.clear()
            await self._changed.wait()

    async def close(self, grace_s: float) -> None:
        """Answer what was accepted, for `grace_s` at the most, and end the replicas.

        Nothing may be submitted any more.
        """
        end = time.monotonic() + grace_s
        pending = [reply for _, reply in self._accepted if not reply.done()]
        if pending and self._replicas:
            await asyncio.wait(pending, timeout=grace_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        left = max(0.0, end - time.monotonic())
        replicas = (*self._replicas, *self._ending)
        await asyncio.gather(*(replica.stop(left) for replica in replicas))
        gone = UnavailableError("the model was undeployed or the server stopped")
        for _, reply in self._accepted:
            _fail(reply, gone)

    def submit(self, work: bytes | Request) -> asyncio.Future[Reply]:
        """Return the future answer to a request; cancel it to give up its place.

        Args:
            work: The body of a :predict request as it came, or any other request.

        Raises:
            UnavailableError: No replica answers right now.
            ResourceExhaustedError: The queue is full.
        """
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        replica = self._choose() if not self._waiting else None
        if replica is not None:
            _send(replica, work, reply)
        else:
            self._wait(work, reply)
        accepted = self._accepted
        while accepted and accepted[0][1].done():
            accepted.popleft()
        accepted.append((time.monotonic(), reply))
        return reply

    def _wait(self, work: bytes | Request, reply: asyncio.Future[Reply]) -> None:
        if not self._replicas:
            raise UnavailableError(
                f"deployed model {self._name} has no replica that answers right now: "
                "retry in a moment, and see `homeport logs` if it lasts"
            )
        if len(self._waiting) >= self._limits.queue_length:
            self._forget_cancelled()
        if len(self._waiting) >= self._limits.queue_length:
            raise ResourceExhaustedError(
                f"{self._limits.queue_length} requests wait for deployed model "
                f"{self._name} already: retry later or deploy more replicas"
            )
        self._waiting.append((work, reply))

    def _forget_cancelled(self) -> None:
        self._waiting = collections.deque(
            entry for entry in self._waiting if not entry[1].done()
        )

    def _choose(self) -> Replica | None:
        """Return the replica that will be done soonest, None if none has room."""
        best: Replica | None = None
        best_wait_s = math.inf
        for replica in self._replicas:
            wait_s = replica.outstanding * _service_time_s(replica)
            if wait_s < _PACK_BELOW_S:
                return replica
            if wait_s < best_wait_s and replica.outstanding < _room(replica):
                best, best_wait_s = replica, wait_s
        return best

    def _on_room(self) -> None:
        while self._waiting:
            replica = self._choose()
            if replica is None:
                return
            work, reply = self._waiting.popleft()
            if not reply.done():
                _send(replica, work, reply)

    async def _keep(self) -> None:
        """Keep one replica alive for ever, pausing longer after each early death."""
        limits = self._limits
        pause_s = limits.first_pause_s
        while True:
            replica = await self._try_to_start()
            if replica is not None:
                began = time.monotonic()
                await self._attend(replica)
                if time.monotonic() - began > limits.settled_s:
                    pause_s = limits.first_pause_s
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, limits.longest_pause_s)

    async def _try_to_start(self) -> Replica | None:
        try:
            return await self._start_replica(self._on_room)
        except HomeportError as error:
            self._failure = error
            _log.warning("replica of %s did not start: %s", self._name, error)
        except Exception:  # noqa: BLE001  # the edge of a start: a bug, tried again
            _log.exception("replica of %s did not start", self._name)
            self._failure = UnavailableError(
                "the replica could not be started; the server's log has the cause"
            )
        self._changed.set()
        return None

    async def _attend(self, replica: Replica) -> None:
        self._replicas.append(replica)
        # Another's success does not hide a failure.
        if self.is_complete:
            self._failure = None
        self._changed.set()
        self._on_room()
        # Shielded: cancelling this task must not cancel the replica's own futures.
        await asyncio.shield(replica.lost)
        self._withdraw(replica)
        ending = await asyncio.shield(replica.closed)
        self._ending.remove(replica)
        self._restarts += 1
        self._on_end(ending)
        _log.warning("replica of %s ended: %s; starting another", self._name, ending)

    def _withdraw(self, replica: Replica) -> None:
        """Send a replica nothing more; it has died, or is about to be killed."""
        if replica not in self._replicas:
            return
        self._replicas.remove(replica)
        self._ending.append(replica)
        if not self._replicas:
            self._fail_waiting()

    def _fail_waiting(self) -> None:
        gone = UnavailableError(
            f"the last replica of deployed model {self._name} ended: retry in a moment"
        )
        for _, reply in self._waiting:
            _fail(reply, gone)
        self._waiting.clear()

    async def _sweep(self) -> None:
        """Fail what is past its deadline; end the replicas that hang."""
        while True:
            await asyncio.sleep(self._limits.sweep_s)
            latest = time.monotonic() - self._limits.deadline_s
            late = DeadlineExceededError(
                f"no answer within {self._limits.deadline_s:g} s: the model is slow or "
                "stuck, or too many requests wait for it"
            )
            while self._accepted and (
                self._accepted[0][1].done() or self._accepted[0][0] < latest
            ):
                _fail(self._accepted.popleft()[1], late)
            # Behind one that takes long, the answers to others must not pile up.
            self._accepted = collections.deque(
                entry for entry in self._accepted if not entry[1].done()
            )
            await self._end_hanging(late)

    async def _end_hanging(self, late: DeadlineExceededError) -> None:
        now = time.monotonic()
        hanging = [
            (replica, _why_hanging(replica.report, self._limits.deadline_s) or late)
            for replica in self._replicas
            if replica.busy_since is not None
            and replica.busy_since < now - self._longest_call_s(replica.report)
        ]
        for replica, why in hanging:
            _log.warning("replica of %s hangs, %s: killing it", self._name, why)
            self._withdraw(replica)
        await asyncio.gather(*(replica.stop(0.0, why) for replica, why in hanging))

    def _longest_call_s(self, report: LoadReport) -> float:
        own_s = report.response_timeout_s
        if own_s is None:
            return self._limits.deadline_s
        # The handler does not work while its batch waits for company.
        return min(own_s + report.max_batch_delay_s, self._limits.deadline_s)


def _send(
    replica: Replica, work: bytes | Request, reply: asyncio.Future[Reply]
) -> None:
    if isinstance(work, bytes):
        replica.predict(work, reply)
    else:
        replica.call(work, reply)


def _room(replica: Replica) -> int:
    """Return how many requests a replica may hold at once."""
    by_time = math.ceil(_HELD_S / _service_time_s(replica))
    return max(2 * replica.report.batch_size, min(by_time, _MOST_HELD))


def _service_time_s(replica: Replica) -> float:
    # Zero until the first reply.
    return replica.service_time_s or _FIRST_GUESS_S


def _why_hanging(report: LoadReport, deadline_s: float) -> DeadlineExceededError | None:
    """Return the error of a call past the model's own limit, None if that is longer."""
    limit_s = report.response_timeout_s
    if limit_s is None or limit_s >= deadline_s:
        return None
    return DeadlineExceededError(
        f"the handler did not return within {limit_s:g} s, which is "
        f"{report.response_timeout_source}: make it faster, or raise that limit"
    )


def _fail(reply: asyncio.Future[Reply], error: HomeportError) -> None:
    if not reply.done():
        reply.set_exception(error)
