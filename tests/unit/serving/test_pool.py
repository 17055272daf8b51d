"""A pool shares requests out, bounds what waits, and keeps its replicas alive."""

import asyncio
import contextlib
import dataclasses
import itertools
import time
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fake_replicas import ANSWER, FakeReplica, outcome, until
from homeport.errors import (
    DeadlineExceededError,
    HomeportError,
    ResourceExhaustedError,
    UnavailableError,
)
from homeport.serving.autoscaler import Scaling
from homeport.serving.crew import Pauses
from homeport.serving.pool import Limits, Pool
from homeport.serving.runtime import Replica
from homeport.worker.replica import Reply

LIMITS = Limits(
    queue_length=2,
    deadline_s=30.0,
    sweep_s=0.001,
    sample_s=0.001,
    pauses=Pauses(first_s=0.001, longest_s=0.004, settled_s=10.0),
)


def _with(replicas: int = 1, deadline_s: float = 30.0, **pauses: float) -> Limits:
    return dataclasses.replace(
        LIMITS,
        scaling=Scaling(replicas, replicas),
        deadline_s=deadline_s,
        pauses=dataclasses.replace(LIMITS.pauses, **pauses),
    )


@dataclasses.dataclass
class Starter:
    """Starts fake replicas; each start may fail first.

    Attributes:
        times_s: The service time of each replica that is started.
        failures: Raised by the next starts.
    """

    times_s: list[float] = dataclasses.field(default_factory=list)
    failures: list[Exception] = dataclasses.field(default_factory=list)
    replicas: list[FakeReplica] = dataclasses.field(default_factory=list)
    starts: list[float] = dataclasses.field(default_factory=list)

    async def __call__(self, on_room: Callable[[], None]) -> Replica:
        self.starts.append(time.monotonic())
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        time_s = self.times_s[len(self.replicas)] if self.times_s else 1.0
        replica = FakeReplica(on_room, service_time_s=time_s)
        self.replicas.append(replica)
        return replica


@contextlib.asynccontextmanager
async def running(starter: Starter, limits: Limits = LIMITS) -> AsyncIterator[Pool]:
    pool = Pool("7", starter, limits)
    pool.start()
    try:
        yield pool
    finally:
        await pool.close(0.0)


def _submit(pool: Pool, body: bytes) -> asyncio.Future[Reply]:
    """Submit a request whose failure may go unread."""
    reply = pool.submit(body)
    reply.add_done_callback(lambda done: done.cancelled() or done.exception())
    return reply


async def _failure(reply: asyncio.Future[Reply]) -> HomeportError:
    failed = await outcome(reply)
    assert isinstance(failed, HomeportError)
    return failed


def test_a_pool_is_ready_when_every_wanted_replica_answers() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter, _with(replicas=3)) as pool:
            before = pool.is_complete

            await pool.ready()

            assert not before
            assert pool.is_complete
            assert pool.ready_replicas == 3
            assert pool.restarts == 0
            with pytest.raises(RuntimeError):
                pool.start()

    asyncio.run(scenario())


def test_a_request_goes_where_the_expected_wait_is_shortest() -> None:
    async def scenario() -> None:
        starter = Starter([1.0, 0.1])
        async with running(starter, _with(replicas=2)) as pool:
            await pool.ready()

            for number in b"12345":
                _submit(pool, b"%c" % number)

            slow, fast = starter.replicas
            assert slow.bodies == [b"1", b"4"]
            assert fast.bodies == [b"2", b"3"]
            assert pool.queued == 1

    asyncio.run(scenario())


def test_tiny_requests_share_a_replica_until_they_would_wait() -> None:
    async def scenario() -> None:
        starter = Starter([0.000_1, 0.000_1])
        async with running(starter, _with(replicas=2)) as pool:
            await pool.ready()

            for _ in range(6):
                _submit(pool, b"")

            assert [len(one.bodies) for one in starter.replicas] == [5, 1]

    asyncio.run(scenario())


def test_a_slow_replica_holds_no_more_than_the_next_batch() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter) as pool:
            await pool.ready()

            replies = [_submit(pool, b"%d" % number) for number in range(4)]

            (replica,) = starter.replicas
            assert replica.bodies == [b"0", b"1"]
            assert pool.queued == 2
            replica.answer()
            assert replica.bodies == [b"0", b"1", b"2"]
            replica.answer(2)
            replica.answer()
            assert [await outcome(reply) for reply in replies] == [ANSWER] * 4

    asyncio.run(scenario())


def test_a_full_queue_refuses_and_a_freed_one_takes_in_again() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter) as pool:
            await pool.ready()
            for _ in range(4):
                _submit(pool, b"")

            with pytest.raises(ResourceExhaustedError, match="2 requests wait"):
                _submit(pool, b"")
            starter.replicas[0].answer()

            _submit(pool, b"")
            assert pool.queued == 2

    asyncio.run(scenario())


def test_a_cancelled_request_gives_its_place_up_and_is_never_sent() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter) as pool:
            await pool.ready()
            for body in (b"a", b"b"):
                _submit(pool, body)
            given_up = _submit(pool, b"c")
            _submit(pool, b"d")

            given_up.cancel()
            last = _submit(pool, b"e")

            starter.replicas[0].answer(2)
            starter.replicas[0].answer(2)
            assert starter.replicas[0].bodies == [b"a", b"b", b"d", b"e"]
            assert await outcome(last) == ANSWER

    asyncio.run(scenario())


def test_without_a_replica_nothing_waits() -> None:
    async def scenario() -> None:
        async with running(Starter(failures=[UnavailableError("no")] * 99)) as pool:
            with pytest.raises(UnavailableError, match="no replica that answers"):
                _submit(pool, b"")
            assert pool.queued == 0

    asyncio.run(scenario())


def test_a_request_fails_at_its_deadline_wherever_it_is() -> None:
    async def scenario() -> None:
        limits = _with(deadline_s=0.02)
        async with running(Starter(), limits) as pool:
            await pool.ready()

            replies = [_submit(pool, b"") for _ in range(3)]
            # The one between is told to retry where its replica is killed meanwhile.
            in_work, _, queued = [await _failure(reply) for reply in replies]

            assert {type(in_work), type(queued)} == {DeadlineExceededError}
            assert "within 0.02 s" in in_work.message

    asyncio.run(scenario())


def test_a_replica_that_hangs_is_replaced_and_others_go_on() -> None:
    async def scenario() -> None:
        starter = Starter([5.0, 1.0, 1.0])
        limits = _with(replicas=2, deadline_s=0.05)
        async with running(starter, limits) as pool:
            await pool.ready()
            stuck = _submit(pool, b"stuck")
            hanging, other = starter.replicas
            assert hanging.bodies == [b"stuck"]

            while not stuck.done():
                answered = _submit(pool, b"")
                other.answer()
                assert await outcome(answered) == ANSWER
                await asyncio.sleep(0.001)

            assert isinstance(await _failure(stuck), DeadlineExceededError)
            await until(lambda: len(starter.replicas) == 3)
            assert hanging.grace_s == 0
            assert not other.closed.done()
            assert pool.restarts == 1

    asyncio.run(scenario())


def test_a_deadline_of_the_clients_ends_requests_and_no_replica() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter) as pool:
            await pool.ready()
            pool.end_after(0.02)

            in_work, behind, queued = [_submit(pool, b"") for _ in range(3)]
            failures = [await _failure(one) for one in (in_work, behind, queued)]

            (replica,) = starter.replicas
            assert {one.message.split(":")[0] for one in failures} == {
                "no answer within 0.02 s"
            }
            assert replica.cancelled == [in_work, behind, queued]
            assert replica.grace_s is None
            assert pool.ready_replicas == 1
            replica.answer(2)
            answered = _submit(pool, b"")
            replica.answer()
            assert await outcome(answered) == ANSWER

    asyncio.run(scenario())


def test_a_replica_that_hangs_is_ended_when_nobody_waits_for_it_any_more() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter, _with(deadline_s=0.1)) as pool:
            await pool.ready()
            pool.end_after(0.01)

            stuck = _submit(pool, b"stuck")
            late = await _failure(stuck)
            await until(lambda: len(starter.replicas) == 2)

            assert "within 0.01 s" in late.message
            assert starter.replicas[0].grace_s == 0

    asyncio.run(scenario())


def test_a_call_past_the_models_own_limit_fails_and_ends_its_replica() -> None:
    async def scenario() -> None:
        replicas: list[FakeReplica] = []

        async def start(on_room: Callable[[], None]) -> Replica:
            replicas.append(
                FakeReplica(on_room, service_time_s=0.001, response_timeout_s=0.02)
            )
            return replicas[-1]

        pool = Pool("7", start, LIMITS)
        pool.start()
        await pool.ready()

        in_work, behind = _submit(pool, b"stuck"), _submit(pool, b"behind")
        late, retry = await _failure(in_work), await _failure(behind)

        assert isinstance(late, DeadlineExceededError)
        assert late.message == (
            "the handler did not return within 0.02 s, which is set by a test: make it "
            "faster, or raise that limit"
        )
        assert isinstance(retry, UnavailableError)
        await until(lambda: len(replicas) == 2)
        await pool.close(0.0)

    asyncio.run(scenario())


def test_a_dead_replica_fails_what_it_had_and_nothing_else() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter, _with(replicas=2)) as pool:
            await pool.ready()
            doomed, other, queued = (_submit(pool, b"") for _ in "123")
            queued = [queued, _submit(pool, b""), _submit(pool, b"")][-1]

            starter.replicas[0].die()

            assert isinstance(await _failure(doomed), UnavailableError)
            await until(lambda: pool.ready_replicas == 2)
            assert len(starter.replicas) == 3
            assert starter.replicas[2].outstanding == 1
            starter.replicas[1].answer(2)
            starter.replicas[2].answer()
            assert await outcome(other) == ANSWER
            assert await outcome(queued) == ANSWER

    asyncio.run(scenario())


def test_a_replica_that_is_lost_gets_nothing_more_while_it_ends() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter, _with(replicas=2)) as pool:
            await pool.ready()
            ending, other = starter.replicas

            ending.lose()
            await until(lambda: pool.ready_replicas == 1)
            for _ in range(3):
                _submit(pool, b"")

            assert (ending.outstanding, other.outstanding, pool.queued) == (0, 2, 1)
            assert len(starter.replicas) == 2

    asyncio.run(scenario())


def test_what_waits_goes_to_the_next_replica_when_the_last_one_dies() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter) as pool:
            await pool.ready()
            inside, behind, *waiting = [_submit(pool, b"") for _ in range(4)]

            starter.replicas[0].die()
            failures = [await _failure(reply) for reply in (inside, behind)]
            await until(lambda: len(starter.replicas) == 2)
            await until(lambda: starter.replicas[1].outstanding == 2)
            starter.replicas[1].answer(2)

            assert {type(one) for one in failures} == {UnavailableError}
            assert [await outcome(reply) for reply in waiting] == [ANSWER] * 2

    asyncio.run(scenario())


def test_what_waits_fails_when_replicas_keep_dying() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter, _with(longest_s=60.0)) as pool:
            await pool.ready()
            starter.replicas[0].die()
            await until(lambda: len(starter.replicas) == 2 and pool.is_complete)
            replies = [_submit(pool, b"") for _ in range(4)]

            starter.replicas[1].die()
            failures = [await _failure(reply) for reply in replies]

            assert {type(one) for one in failures} == {UnavailableError}
            assert "last replica" in failures[3].message

    asyncio.run(scenario())


def test_a_queue_that_stands_adds_a_replica_and_idle_time_takes_it_away() -> None:
    async def scenario() -> None:
        starter = Starter()
        told: list[str] = []
        scaling = Scaling(1, 2, stands_s=0.01, idle_s=0.02, half_life_s=0.001)
        limits = dataclasses.replace(LIMITS, scaling=scaling)
        pool = Pool("7", starter, limits, told.append)
        pool.start()
        await pool.ready()
        replies = [_submit(pool, b"") for _ in range(4)]

        await until(lambda: pool.ready_replicas == 2)
        await until(lambda: pool.queued == 0)
        for replica in starter.replicas:
            replica.answer(replica.outstanding)
        assert [await outcome(reply) for reply in replies] == [ANSWER] * 4
        await until(lambda: pool.ready_replicas == 1)

        assert pool.wanted_replicas == 1
        assert told == ["scaled from 1 to 2 replicas", "scaled from 2 to 1 replicas"]
        assert pool.restarts == 0
        await pool.close(0.0)

    asyncio.run(scenario())


def test_other_bounds_act_at_once_and_what_was_sent_is_answered() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter, _with(replicas=3)) as pool:
            await pool.ready()
            busy = _submit(pool, b"")

            pool.rescale(Scaling(1, 1))
            await until(lambda: pool.ready_replicas == 1)

            stopped = starter.replicas[1:]
            await until(lambda: all(one.closed.done() for one in stopped))
            assert [one.grace_s for one in starter.replicas] == [None, 30.0, 30.0]
            starter.replicas[0].answer()
            assert await outcome(busy) == ANSWER
            pool.rescale(Scaling(2, 2))
            await until(lambda: pool.ready_replicas == 2)
            assert pool.restarts == 0

    asyncio.run(scenario())


def test_a_replica_that_is_not_wanted_any_more_is_not_waited_for() -> None:
    async def scenario() -> None:
        starter = Starter(failures=[UnavailableError("no")] * 99)
        async with running(starter, _with(replicas=2, first_s=60.0)) as pool:
            await until(lambda: len(starter.starts) == 2)

            pool.rescale(Scaling(1, 1))

            assert pool.wanted_replicas == 1
        assert len(starter.starts) == 2

    asyncio.run(scenario())


class TimedLoop(asyncio.SelectorEventLoop):
    """Knows the timers it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: list[asyncio.TimerHandle] = []

    def call_at(  # type: ignore[override]  # all that there is is handed on
        self, when: float, *args: Any, **options: Any
    ) -> asyncio.TimerHandle:
        self.timers.append(super().call_at(when, *args, **options))
        return self.timers[-1]

    def pending(self) -> int:
        now = self.time()
        return sum(not one.cancelled() and one.when() > now for one in self.timers)


def test_a_pool_without_work_has_no_timer() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter) as pool:
            await pool.ready()
            reply = _submit(pool, b"")
            during = loop.pending()
            starter.replicas[0].answer()
            assert (await reply, during) == (ANSWER, 1)

            await until(lambda: loop.pending() == 0)

    loop = TimedLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(scenario())


def test_pauses_between_restarts_grow() -> None:
    async def scenario() -> None:
        starter = Starter(failures=[UnavailableError("no")] * 4)
        limits = _with(first_s=0.004, longest_s=1.0)
        async with running(starter, limits) as pool:
            await until(lambda: pool.is_complete)

        pauses_s = [
            after - before for before, after in itertools.pairwise(starter.starts)
        ]
        least = (0.004, 0.008, 0.016, 0.032)
        for pause_s, least_s in zip(pauses_s, least, strict=True):
            assert pause_s >= least_s

    asyncio.run(scenario())


async def _nth_answers(pool: Pool, starter: Starter, replicas: int) -> None:
    await until(lambda: len(starter.replicas) == replicas and pool.is_complete)


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(_with(longest_s=0.002), id="to a limit"),
        pytest.param(
            _with(longest_s=1e9, settled_s=-1.0),
            id="and begin again after a long life",
        ),
    ],
)
def test_pauses_grow(limits: Limits) -> None:
    # Without the limit the pauses would add up to a quarter of an hour.
    async def scenario() -> None:
        starter = Starter()
        async with running(starter, limits) as pool:
            for replicas in range(1, 21):
                await _nth_answers(pool, starter, replicas)
                starter.replicas[-1].die()

            await until(lambda: pool.restarts == 20)

    asyncio.run(scenario())


def test_ready_raises_what_kept_a_replica_from_starting() -> None:
    async def scenario() -> None:
        refusal = UnavailableError("the model did not load")
        starter = Starter(failures=[refusal])
        async with running(starter) as pool:
            with pytest.raises(UnavailableError) as raised:
                await pool.ready()
            assert raised.value is refusal

            await until(lambda: pool.is_complete)

            assert pool.failure is None
            await pool.ready()

    asyncio.run(scenario())


def test_a_replica_that_starts_does_not_hide_one_that_does_not() -> None:
    async def scenario() -> None:
        starter = Starter(failures=[UnavailableError("no memory left")])
        limits = _with(replicas=3, first_s=0.02)
        async with running(starter, limits) as pool:
            await until(lambda: pool.ready_replicas == 2)

            with pytest.raises(UnavailableError, match="no memory left"):
                await pool.ready()

    asyncio.run(scenario())


def test_a_bug_in_a_start_is_told_without_its_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with running(Starter(failures=[ValueError("hunter2")])) as pool:
            with pytest.raises(UnavailableError) as raised:
                await pool.ready()
            assert "hunter2" not in raised.value.message

    asyncio.run(scenario())

    assert "hunter2" in caplog.text


def test_closing_answers_what_was_accepted_then_stops_the_replicas() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter) as pool:
            await pool.ready()
            replies = [_submit(pool, b"") for _ in range(3)]

            closing = asyncio.create_task(pool.close(30.0))
            await asyncio.sleep(0.005)
            (replica,) = starter.replicas
            before = replica.grace_s
            replica.answer(2)
            replica.answer()
            await asyncio.wait_for(closing, 10.0)

            assert [await outcome(reply) for reply in replies] == [ANSWER] * 3
            assert before is None
            assert replica.grace_s is not None
            assert 0 < replica.grace_s <= 30.0
            assert len(starter.replicas) == 1

    asyncio.run(scenario())


def test_closing_waits_no_longer_than_the_grace() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter) as pool:
            await pool.ready()
            replies = [_submit(pool, b"") for _ in range(4)]

            await asyncio.wait_for(pool.close(0.01), 10.0)

            assert starter.replicas[0].grace_s == 0.0
            failures = [await _failure(reply) for reply in replies]
            assert {type(one) for one in failures} == {UnavailableError}
            assert "undeployed" in failures[3].message

    asyncio.run(scenario())


def test_closing_ends_a_start_that_is_under_way() -> None:
    async def scenario() -> None:
        ended = asyncio.Event()

        async def start(on_room: Callable[[], None]) -> Replica:
            del on_room
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            raise AssertionError

        pool = Pool("7", start, LIMITS)
        pool.start()
        await asyncio.sleep(0)
        await asyncio.wait_for(pool.close(30.0), 10.0)

        assert ended.is_set()

    asyncio.run(scenario())


def test_answers_behind_a_slow_one_are_not_kept() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter, _with(replicas=2)) as pool:
            await pool.ready()
            slow = _submit(pool, b"")
            quick = _submit(pool, b"")
            starter.replicas[1].answer()
            kept = weakref.ref(quick)

            del quick
            await until(lambda: kept() is None)

            assert not slow.done()

    asyncio.run(scenario())


def test_work_that_nobody_waits_for_any_more_is_not_begun() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter) as pool:
            await pool.ready()
            pool.end_after(0.02)
            _submit(pool, b"in work")
            given_up = _submit(pool, b"given up")
            late = _submit(pool, b"late")

            given_up.cancel()
            await _failure(late)

            (replica,) = starter.replicas
            await until(lambda: given_up in replica.cancelled)

    asyncio.run(scenario())


def test_a_request_that_may_be_done_twice_goes_elsewhere_when_its_replica_dies() -> (
    None
):
    async def scenario() -> None:
        starter = Starter()
        async with running(starter, _with(replicas=2)) as pool:
            await pool.ready()
            reply = pool.submit(b"1", retriable=True)

            starter.replicas[0].die()
            await until(lambda: starter.replicas[1].bodies == [b"1"])
            starter.replicas[1].answer()

            assert await outcome(reply) == ANSWER

    asyncio.run(scenario())


def test_a_replica_that_is_not_well_is_sent_nothing_until_it_is() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter, _with(replicas=2)) as pool:
            await pool.ready()
            first, second = starter.replicas

            first.is_well = False
            _submit(pool, b"1")
            assert (first.bodies, second.bodies) == ([], [b"1"])
            assert pool.ready_replicas == 1
            assert not pool.is_complete
            assert pool.lacks == "not well"

            second.is_well = False
            with pytest.raises(UnavailableError, match="retry in a moment"):
                pool.submit(b"2")

            first.is_well = True
            _submit(pool, b"3")
            assert first.bodies == [b"3"]

    asyncio.run(scenario())


def test_a_request_is_done_twice_at_most() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter, _with(replicas=2)) as pool:
            await pool.ready()
            reply = pool.submit(b"1", retriable=True)

            starter.replicas[0].die()
            await until(lambda: starter.replicas[1].bodies == [b"1"])
            starter.replicas[1].die()

            assert isinstance(await _failure(reply), UnavailableError)

    asyncio.run(scenario())


def test_a_request_that_is_done_again_keeps_its_deadline() -> None:
    async def scenario() -> None:
        starter, ended = Starter(), list[asyncio.Future[Reply]]()
        async with running(starter, _with(replicas=2, deadline_s=0.2)) as pool:
            await pool.ready()
            replies = [pool.submit(body, retriable=True) for body in (b"1", b"2", b"3")]
            for reply in replies:
                reply.add_done_callback(ended.append)

            starter.replicas[0].die()
            failed = [await _failure(reply) for reply in replies]

            assert {type(one) for one in failed} == {DeadlineExceededError}
            assert ended == replies

    asyncio.run(scenario())


def test_giving_up_a_request_that_may_be_done_twice_gives_its_place_up() -> None:
    async def scenario() -> None:
        starter = Starter()
        async with running(starter) as pool:
            await pool.ready()
            for body in (b"1", b"2"):
                _submit(pool, body)
            waiting = pool.submit(b"3", retriable=True)

            waiting.cancel()
            await until(lambda: pool.in_work == 2)
            starter.replicas[0].answer(2)

            assert starter.replicas[0].bodies == [b"1", b"2"]

    asyncio.run(scenario())
