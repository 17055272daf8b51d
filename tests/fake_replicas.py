"""Replicas without processes, and a runtime that starts them as a test says."""

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import final

from homeport.errors import HomeportError, UnavailableError
from homeport.serving.runtime import Launch
from homeport.worker.replica import LoadReport, Reply
from homeport.worker.requests import Request

ANSWER = Reply(0, b"[1]")
DEADLINE_S = 60.0


@final
class FakeReplica:
    """Answers when a test says so, in the order of the requests.

    Attributes:
        bodies: All requests it was ever sent.
        requests: Those of them that are more than a body to predict.
        cancelled: The replies whose requests it was asked to leave undone.
        grace_s: What `stop` was called with, None until then.
    """

    def __init__(
        self,
        on_room: Callable[[], None] = lambda: None,
        *,
        service_time_s: float = 1.0,
        batch_size: int = 1,
        response_timeout_s: float | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[str] = loop.create_future()
        self.bodies: list[bytes] = []
        self.requests: list[Request] = []
        self.cancelled: list[asyncio.Future[Reply]] = []
        self.grace_s: float | None = None
        self.is_well = True
        self._on_room = on_room
        self._service_time_s = service_time_s
        self._report = LoadReport(
            1, batch_size, 0.0, response_timeout_s, "handler.py", "set by a test"
        )
        self._pending: list[asyncio.Future[Reply]] = []
        self._busy_since: float | None = None

    @property
    def report(self) -> LoadReport:
        return self._report

    @property
    def outstanding(self) -> int:
        return len(self._pending)

    @property
    def service_time_s(self) -> float:
        return self._service_time_s

    @property
    def busy_since(self) -> float | None:
        return self._busy_since

    def predict(
        self, body: bytes, reply: asyncio.Future[Reply]
    ) -> asyncio.Future[Reply]:
        if not self._pending:
            self._busy_since = time.monotonic()
        self.bodies.append(body)
        self._pending.append(reply)
        return reply

    def call(
        self, request: Request, reply: asyncio.Future[Reply]
    ) -> asyncio.Future[Reply]:
        self.requests.append(request)
        return self.predict(request.body, reply)

    def cancel(self, reply: asyncio.Future[Reply]) -> None:
        self.cancelled.append(reply)

    def answer(self, requests: int = 1, reply: Reply = ANSWER) -> None:
        """Answer the oldest requests, then say that there is room."""
        answered, self._pending = self._pending[:requests], self._pending[requests:]
        assert len(answered) == requests, "it has not as many requests"
        for future in answered:
            if not future.done():
                future.set_result(reply)
        self._busy_since = time.monotonic() if self._pending else None
        self._on_room()

    def lose(self) -> None:
        """Answer no more, and not have ended yet."""
        if not self.lost.done():
            self.lost.set_result(None)

    def die(self, reason: str = "killed by SIGKILL") -> None:
        """End as a process that is killed."""
        self.lose()
        for future in self._pending:
            if not future.done():
                future.set_exception(UnavailableError(f"the replica ended ({reason})"))
        self._pending.clear()
        self._busy_since = None
        if not self.closed.done():
            self.closed.set_result(reason)

    async def stop(self, grace_s: float, why: HomeportError | None = None) -> None:
        self.grace_s = grace_s
        for future in self._pending[: self._report.batch_size]:
            if why is not None and not future.done():
                future.set_exception(why)
        self.die("stopped")


@dataclasses.dataclass
class FakeRuntime:
    """Starts fake replicas.

    Attributes:
        failures: Raised by the next starts, one each; after them starts succeed.
        held: Starts wait while this event is not set, None to wait for nothing.
        prints: What each replica prints while it loads.
        service_time_s: Of each replica.
        replicas: Those that were started.
        launches: How.
        most: How many there may be at once.
        missing: Whether there is anything to get before a replica is started.
    """

    failures: list[Exception] = dataclasses.field(default_factory=list)
    held: asyncio.Event | None = None
    prints: tuple[str, ...] = ()
    service_time_s: float = 1.0
    replicas: list[FakeReplica] = dataclasses.field(default_factory=list)
    launches: list[Launch] = dataclasses.field(default_factory=list)
    most: int | None = None
    missing: bool = False

    async def most_replicas(self, launch: Launch) -> int | None:
        del launch
        return self.most

    async def fetch(
        self,
        launch: Launch,
        *,
        on_log: Callable[[Sequence[str]], None],
        on_missing: Callable[[], Awaitable[None]],
    ) -> None:
        del launch
        if self.missing:
            await on_missing()
            on_log(["getting it"])

    async def start(
        self,
        launch: Launch,
        *,
        on_log: Callable[[Sequence[str]], None],
        on_room: Callable[[], None],
    ) -> FakeReplica:
        self.launches.append(launch)
        if self.prints:
            on_log(self.prints)
        if self.held is not None:
            await self.held.wait()
        if self.failures:
            raise self.failures.pop(0)
        replica = FakeReplica(on_room, service_time_s=self.service_time_s)
        self.replicas.append(replica)
        return replica

    @property
    def running(self) -> list[FakeReplica]:
        return [one for one in self.replicas if not one.closed.done()]


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; fail at the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition was never met"
        await asyncio.sleep(0.001)


async def outcome(reply: asyncio.Future[Reply]) -> Reply | HomeportError:
    """Return the answer or the failure, whichever comes."""
    try:
        return await asyncio.wait_for(reply, DEADLINE_S)
    except HomeportError as error:
        return error
