"""Pool: the replicas of one deployed model and the requests that wait for them.

Everything here runs on the event loop's thread. A request goes to a replica at once
where one has room, else it waits in a bounded queue; a request that has waited or
worked past its deadline fails, and a replica that works on one call past the deadline,
or past the limit that its model brings, is killed and replaced: a client's own, shorter
deadline proves nothing. A timer runs only while there is work or more replicas than the
fewest: idle pools cost nothing.
"""

import asyncio
import bisect
import collections
import dataclasses
import logging
import operator
import time
from collections.abc import Awaitable, Callable
from typing import Final

from homeport.errors import (
    HomeportError,
    ResourceExhaustedError,
    UnavailableError,
)
from homeport.resources.endpoint import SHORTEST_DEADLINE_S
from homeport.serving import choice, hanging, retries, usage
from homeport.serving.autoscaler import Autoscaler, Sample, Scaling
from homeport.serving.crew import Crew, Pauses
from homeport.serving.runtime import Replica
from homeport.worker.replica import Reply
from homeport.worker.requests import Request

_log: Final = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a pool.

    Attributes:
        queue_length: Requests that may wait for room, all replicas together.
        deadline_s: The most seconds from accepting a request to answering it, and of
            one call.
        scaling: How many replicas are wanted.
        sweep_s: Seconds between two looks at the deadlines.
        sample_s: Seconds between two looks at the load.
        pauses: Between a replica's end and its restart.
    """

    queue_length: int
    deadline_s: float
    scaling: Scaling = dataclasses.field(default_factory=Scaling)
    sweep_s: float = SHORTEST_DEADLINE_S
    sample_s: float = 0.5
    pauses: Pauses = dataclasses.field(default_factory=Pauses)


class Pool:
    """Spreads requests over the replicas of one deployed model.

    Args:
        name: For log lines and errors, the deployed model's id.
        start_replica: Starts one replica; called with the function to call when a
            replica has room again.
        limits: The bounds.
        tell: Told, in one line, what becomes of the replicas.
    """

    def __init__(
        self,
        name: str,
        start_replica: Callable[[Callable[[], None]], Awaitable[Replica]],
        limits: Limits,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._tell = tell
        self._name = name
        self._limits = limits
        self._deadline_s = limits.deadline_s
        self._crew = Crew(
            name, lambda: start_replica(self._on_room), self, limits.pauses
        )
        self._waiting: collections.deque[
            tuple[bytes | Request, asyncio.Future[Reply]]
        ] = collections.deque()
        # In the order of acceptance, which is the order of deadlines.
        self._accepted: collections.deque[tuple[float, asyncio.Future[Reply]]] = (
            collections.deque()
        )
        self._changed = asyncio.Event()
        self._scaler = Autoscaler(limits.scaling)
        self._cpu = usage.CpuMeter()
        self._requests = 0
        self._sampled_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False

    @property
    def ready_replicas(self) -> int:
        """Replicas that answer now."""
        return sum(replica.is_well for replica in self._crew.replicas)

    @property
    def wanted_replicas(self) -> int:
        """Replicas that the load wants now."""
        return self._crew.wanted

    @property
    def is_complete(self) -> bool:
        """Whether the fewest replicas there should be answer."""
        return self.ready_replicas >= self._limits.scaling.low

    @property
    def lacks(self) -> str:
        """What a replica that does not answer is, where none has failed to start."""
        is_short = len(self._crew.replicas) < self._limits.scaling.low
        return "starting" if is_short else "not well"

    @property
    def restarts(self) -> int:
        """Replicas that died after they had been ready."""
        return self._crew.restarts

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
        return self._crew.failure

    def start(self) -> None:
        """Begin to start the wanted replicas; `ready` tells when they are there."""
        if self._crew.wanted:
            raise RuntimeError("the pool was started before")
        self._crew.want(self._scaler.wanted, self._limits.deadline_s)

    async def ready(self) -> None:
        """Wait until every wanted replica answers.

        Raises:
            HomeportError: A replica could not be started.
        """
        while len(self._crew.replicas) < self._limits.scaling.low:
            if self.failure is not None:
                raise self.failure
            self._changed.clear()
            await self._changed.wait()

    def rescale(self, scaling: Scaling) -> None:
        """Have other bounds from now on; those beyond them end after their work."""
        if scaling == self._limits.scaling or self._closing:
            return
        self._limits = dataclasses.replace(self._limits, scaling=scaling)
        self._scaler = Autoscaler(scaling, self._crew.wanted)
        self._want(self._scaler.wanted)

    def end_after(self, deadline_s: float) -> None:
        """Give requests so many seconds from now on, those that wait already too."""
        self._deadline_s = min(deadline_s, self._limits.deadline_s)

    async def close(self, grace_s: float) -> None:
        """Answer what was accepted, for `grace_s` at the most, and end the replicas.

        Nothing may be submitted any more.
        """
        self._closing = True
        end = time.monotonic() + grace_s
        pending = [reply for _, reply in self._accepted if not reply.done()]
        if pending and (self._crew.replicas or self._crew.is_hopeful):
            await asyncio.wait(pending, timeout=grace_s)
        await self._crew.close(max(0.0, end - time.monotonic()))
        if self._timer is not None:
            self._timer.cancel()
        gone = UnavailableError("the model was undeployed or the server stopped")
        for _, reply in self._accepted:
            _fail(reply, gone)

    def submit(
        self, work: bytes | Request, *, retriable: bool = False
    ) -> asyncio.Future[Reply]:
        """Return the future answer to a request; cancel it to give up its place.

        Args:
            work: The body of a :predict request as it came, or any other request.
            retriable: Doing it twice does no harm: if its replica dies, another does
                it.

        Raises:
            UnavailableError: No replica answers right now.
            ResourceExhaustedError: The queue is full.
        """
        accepted_at = time.monotonic()
        if retriable:
            return retries.once(lambda: self._accept(work, accepted_at))
        return self._accept(work, accepted_at)

    def _accept(self, work: bytes | Request, at: float) -> asyncio.Future[Reply]:
        """Take in a request whose deadline counts from `at`."""
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        replica = choice.choose(self._crew.replicas) if not self._waiting else None
        if replica is not None:
            _send(replica, work, reply)
        else:
            self._wait(work, reply)
        accepted = self._accepted
        while accepted and accepted[0][1].done():
            self._let_go(accepted.popleft()[1])
        if accepted and at < accepted[-1][0]:
            # Tried again: its deadline is the old one.
            bisect.insort(accepted, (at, reply), key=operator.itemgetter(0))
        else:
            accepted.append((at, reply))
        self._requests += 1
        if self._timer is None:
            self._schedule(self._limits.sweep_s)
        return reply

    def _wait(self, work: bytes | Request, reply: asyncio.Future[Reply]) -> None:
        if not self.ready_replicas and not self._crew.is_hopeful:
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

    def _on_room(self) -> None:
        while self._waiting:
            replica = choice.choose(self._crew.replicas)
            if replica is None:
                return
            work, reply = self._waiting.popleft()
            if not reply.done():
                _send(replica, work, reply)

    def on_joined(self) -> None:
        """Give a replica that is new what waits."""
        self._changed.set()
        self._on_room()

    def on_failed(self) -> None:
        """Tell those who wait for it to be ready."""
        self._changed.set()

    def on_hopeless(self) -> None:
        """Fail what waits: nobody will answer it."""
        if self._closing:
            return
        gone = UnavailableError(
            f"the last replica of deployed model {self._name} ended: retry in a moment"
        )
        for _, reply in self._waiting:
            _fail(reply, gone)
        self._waiting.clear()

    def on_end(self, ending: str) -> None:
        """Note how a replica ended."""
        self._tell(f"replica ended: {ending}; starting another")

    def _schedule(self, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(delay_s, self._look)

    def _look(self) -> None:
        """Look at the deadlines and the load, and again later if there is a reason."""
        self._timer = None
        self._end_late()
        if not self._limits.scaling.is_fixed and not self._closing:
            self._scale()
        if self._accepted or self._crew.is_at_work:
            self._schedule(self._limits.sweep_s)
        elif not self._scaler.at_rest and not self._closing:
            self._schedule(self._limits.sample_s)

    def _end_late(self) -> None:
        """Fail what is past its deadline; end the replicas that hang."""
        latest = time.monotonic() - self._deadline_s
        late = hanging.late(self._deadline_s)
        while self._accepted and (
            self._accepted[0][1].done() or self._accepted[0][0] < latest
        ):
            reply = self._accepted.popleft()[1]
            if not reply.done():
                self._leave_undone(reply)
            _fail(reply, late)
        # Behind one that takes long, the answers to others must not pile up.
        accepted, self._accepted = self._accepted, collections.deque()
        for entry in accepted:
            if entry[1].done():
                self._let_go(entry[1])
            else:
                self._accepted.append(entry)
        self._forget_cancelled()
        self._end_hanging()

    def _let_go(self, reply: asyncio.Future[Reply]) -> None:
        """Forget a request that is done; one that was given up need not be begun."""
        if reply.cancelled():
            self._leave_undone(reply)

    def _leave_undone(self, reply: asyncio.Future[Reply]) -> None:
        for replica in self._crew.replicas:
            replica.cancel(reply)

    def _end_hanging(self) -> None:
        now, longest_s = time.monotonic(), self._limits.deadline_s
        for replica in tuple(self._crew.replicas):
            why = hanging.why(replica, longest_s, now)
            if why is not None:
                _log.warning("replica of %s hangs, %s: killing it", self._name, why)
                self._crew.replace(replica, why)

    def _scale(self) -> None:
        now = time.monotonic()
        if now - self._sampled_at < self._limits.sample_s:
            return
        self._sampled_at = now
        replicas, scaling = self._crew.replicas, self._limits.scaling
        measured = scaling.cpu_percent is not None
        sample = Sample(
            now=now,
            ready=len(replicas),
            busy=sum(replica.outstanding > 0 for replica in replicas),
            queued=len(self._waiting),
            cpu_s=self._cpu.since_last(
                replica.report.pid for replica in replicas if measured
            ),
            requests=self._requests,
        )
        self._want(self._scaler.observe(sample))

    def _want(self, count: int) -> None:
        before = self._crew.wanted
        if count == before:
            return
        line = f"scaled from {before} to {count} replicas"
        _log.info("deployed model %s: %s", self._name, line)
        self._tell(line)
        self._crew.want(count, self._limits.deadline_s)


def _send(
    replica: Replica, work: bytes | Request, reply: asyncio.Future[Reply]
) -> None:
    if isinstance(work, bytes):
        replica.predict(work, reply)
    else:
        replica.call(work, reply)


def _fail(reply: asyncio.Future[Reply], error: HomeportError) -> None:
    if not reply.done():
        reply.set_exception(error)
