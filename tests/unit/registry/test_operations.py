"""An operation ends once, with what it made or with a cause that may be told."""

import asyncio
import concurrent.futures
import contextlib
import datetime as dt
import logging
import threading
from collections.abc import Callable, Mapping

import pytest

from homeport.errors import (
    Code,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
    UnimplementedError,
)
from homeport.metadata.database import Transaction
from homeport.registry.operations import Operations
from homeport.registry.paging import PageRequest
from homeport.registry.waiting import Waiting
from homeport.resources.listing import ListQuery
from homeport.resources.names import OperationName
from homeport.resources.operation import Failure, Operation, OperationKind
from rooms import DEADLINE_S, PARENT, Rooms

Write = Callable[[Transaction], Mapping[str, str]]


def _promise(rooms: Rooms, *, warnings: tuple[str, ...] = ()) -> Operation:
    with rooms.database.transaction() as transaction:
        return rooms.operations.promise(
            transaction,
            OperationKind.UPLOAD_MODEL,
            PARENT,
            "models/m",
            warnings=warnings,
        )


def test_a_promise_is_found_under_every_path_clients_poll(rooms: Rooms) -> None:
    promised = _promise(rooms, warnings=("beware",))

    for resource in ("models/m", "", "endpoints/e"):
        name = OperationName(PARENT, resource, promised.name.operation)
        assert rooms.operations.get(name) == promised
    assert promised.warnings == ("beware",)
    assert not promised.done


def test_what_comes_to_light_is_added_to_what_was_known(rooms: Rooms) -> None:
    promised = _promise(rooms, warnings=("beware",))
    failure = Failure(Code.FAILED_PRECONDITION, "the check failed")

    def write(transaction: Transaction) -> Mapping[str, str]:
        rooms.operations.warn(transaction, promised.name, ("slow",), (failure,))
        return {"model": "m"}

    rooms.operations.carry_out(promised, lambda: write)
    ended = rooms.wait(promised)

    assert ended.warnings == ("beware", "slow")
    assert ended.failures == (failure,)
    assert ended.result == {"model": "m"}


def test_operations_that_take_long_hold_up_no_others(rooms: Rooms) -> None:
    released = threading.Event()

    def work() -> Write:
        assert released.wait(DEADLINE_S)
        return lambda _: {}

    long = [_promise(rooms) for _ in range(5)]
    for one in long:
        rooms.operations.carry_out(one, work, long=True)
    short = _promise(rooms)
    rooms.operations.carry_out(short, lambda: lambda _: {})

    assert rooms.wait(short).done
    released.set()
    assert all(rooms.wait(one).done for one in long)


def test_a_promise_goes_with_the_transaction_that_made_it(rooms: Rooms) -> None:
    promised: list[Operation] = []

    def promise_and_raise() -> None:
        with rooms.database.transaction() as transaction:
            promised.append(
                rooms.operations.promise(
                    transaction, OperationKind.UPLOAD_MODEL, PARENT
                )
            )
            raise KeyError

    with pytest.raises(KeyError):
        promise_and_raise()

    with pytest.raises(NotFoundError):
        rooms.operations.get(promised[0].name)


def test_work_ends_its_operation_with_what_it_made(rooms: Rooms) -> None:
    promised = _promise(rooms)
    rooms.clock.advance(minutes=1)

    rooms.operations.carry_out(promised, lambda: lambda _: {"model": "m"})
    ended = rooms.wait(promised)

    assert ended.done
    assert ended.failure is None
    assert ended.result == {"model": "m"}
    assert ended.create_time == promised.create_time
    assert ended.update_time == rooms.clock.now()


def test_work_that_fails_says_why(rooms: Rooms) -> None:
    def work() -> Write:
        raise UnavailableError("the bucket rests: come back")

    promised = _promise(rooms)
    rooms.operations.carry_out(promised, work)

    assert rooms.wait(promised).failure == Failure(
        Code.UNAVAILABLE, "the bucket rests: come back"
    )


def test_a_bug_is_logged_and_its_message_told_to_nobody(
    rooms: Rooms, caplog: pytest.LogCaptureFixture
) -> None:
    def work() -> Write:
        raise ValueError("password=hunter2")

    promised = _promise(rooms)
    with caplog.at_level(logging.ERROR, "homeport"):
        rooms.operations.carry_out(promised, work)
        failure = rooms.wait(promised).failure

    assert failure is not None
    assert failure.code is Code.INTERNAL
    assert "hunter2" not in failure.message
    assert "hunter2" in caplog.text


def test_what_work_wrote_goes_when_its_operation_cannot_end_well(rooms: Rooms) -> None:
    other = _promise(rooms)

    def write(transaction: Transaction) -> Mapping[str, str]:
        rooms.operations.fulfil(transaction, other, {})
        raise UnavailableError("after all, no")

    promised = _promise(rooms)
    rooms.operations.carry_out(promised, lambda: write)

    assert rooms.wait(promised).failure == Failure(Code.UNAVAILABLE, "after all, no")
    assert not rooms.operations.get(other.name).done


def test_an_operation_that_ended_does_not_fail_afterwards(rooms: Rooms) -> None:
    promised = _promise(rooms)
    rooms.operations.carry_out(promised, lambda: lambda _: {})
    ended = rooms.wait(promised)

    rooms.operations.fail(promised.name, UnavailableError("too late"))
    rooms.operations.fail(
        OperationName(PARENT, "", "unknown"), UnavailableError("nobody cares")
    )

    assert rooms.operations.get(promised.name) == ended


def test_a_restart_ends_what_nobody_carries_on_with(rooms: Rooms) -> None:
    left, wanted = _promise(rooms), _promise(rooms)

    rooms.operations.recover(frozenset({wanted.name}))

    failure = rooms.operations.get(left.name).failure
    assert failure is not None
    assert failure.code is Code.FAILED_PRECONDITION
    assert "send the request again" in failure.message
    assert rooms.operations.get(wanted.name) == wanted


def test_what_ended_long_ago_is_forgotten_at_a_restart(rooms: Rooms) -> None:
    old, unfinished = _promise(rooms), _promise(rooms)
    rooms.operations.carry_out(old, lambda: lambda _: {})
    rooms.wait(old)
    rooms.clock.time += dt.timedelta(days=29)
    rooms.operations.recover(frozenset({unfinished.name}))
    assert rooms.operations.get(old.name).done

    rooms.clock.time += dt.timedelta(days=2)
    rooms.operations.recover(frozenset({unfinished.name}))

    with pytest.raises(NotFoundError):
        rooms.operations.get(old.name)
    assert rooms.operations.get(unfinished.name) == unfinished


def _end_by_work(rooms: Rooms, promised: Operation) -> None:
    rooms.operations.carry_out(promised, lambda: lambda _: {})


def _end_by_failing(rooms: Rooms, promised: Operation) -> None:
    rooms.operations.fail(promised.name, UnavailableError("over"))


@pytest.fixture
def never_looks(rooms: Rooms) -> None:
    """Those who wait for an operation look again only when they are woken."""
    rooms.operations.close()
    rooms.operations = Operations(
        rooms.database,
        rooms.pager,
        rooms.clock.now,
        rooms.clock.new_id,
        poll_s=1000.0,
    )


async def _begin_waiting(rooms: Rooms, name: OperationName) -> asyncio.Task[Operation]:
    """Return what waits, once it has looked and found no end."""
    looked = asyncio.Event()
    loop, get = asyncio.get_running_loop(), rooms.operations.get

    def look(name: OperationName) -> Operation:
        found = get(name)
        loop.call_soon_threadsafe(looked.set)
        return found

    rooms.operations.get = look  # type: ignore[method-assign]
    waiting = asyncio.create_task(rooms.operations.wait(name, 1000.0))
    await looked.wait()
    rooms.operations.get = get  # type: ignore[method-assign]
    return waiting


@pytest.mark.usefixtures("never_looks")
@pytest.mark.parametrize("resource", ["models/m", ""], ids=["its path", "another path"])
@pytest.mark.parametrize("end", [_end_by_work, _end_by_failing])
def test_who_waits_is_woken_by_the_end_of_the_operation(
    rooms: Rooms, resource: str, end: Callable[[Rooms, Operation], None]
) -> None:
    promised = _promise(rooms)
    name = OperationName(PARENT, resource, promised.name.operation)

    async def scenario() -> Operation:
        waiting = await _begin_waiting(rooms, name)
        await asyncio.to_thread(end, rooms, promised)
        async with asyncio.timeout(DEADLINE_S):
            return await waiting

    assert asyncio.run(scenario()).done


@pytest.mark.usefixtures("never_looks")
def test_an_end_while_somebody_looks_for_it_is_not_missed(rooms: Rooms) -> None:
    promised = _promise(rooms)
    get = rooms.operations.get

    def look_and_then_end(name: OperationName) -> Operation:
        found = get(name)
        rooms.operations.get = get  # type: ignore[method-assign]
        _end_by_failing(rooms, promised)
        return found

    rooms.operations.get = look_and_then_end  # type: ignore[method-assign]

    async def scenario() -> Operation:
        async with asyncio.timeout(DEADLINE_S):
            return await rooms.operations.wait(promised.name, 1000.0)

    assert asyncio.run(scenario()).done


@pytest.mark.usefixtures("never_looks")
def test_who_waits_is_not_woken_by_an_end_that_is_not_committed(rooms: Rooms) -> None:
    promised = _promise(rooms)

    async def scenario() -> Operation:
        waiting = await _begin_waiting(rooms, promised.name)
        with contextlib.suppress(UnavailableError), rooms.database.transaction() as one:
            rooms.operations.fulfil(one, promised, {})
            raise UnavailableError("over")
        looked = threading.Event()
        get = rooms.operations.get

        def look(name: OperationName) -> Operation:
            looked.set()
            return get(name)

        rooms.operations.get = look  # type: ignore[method-assign]
        # With one thread, what was to look before now has looked.
        threads = concurrent.futures.ThreadPoolExecutor(1)
        asyncio.get_running_loop().set_default_executor(threads)
        with rooms.database.transaction() as transaction:
            rooms.operations.fulfil(transaction, promised, {"model": "m"})
            # Whoever was woken now would ask for a look, and find no end.
            for _ in range(10):
                await asyncio.sleep(0)
            await asyncio.to_thread(lambda: None)
            assert not looked.is_set()
        async with asyncio.timeout(DEADLINE_S):
            return await waiting

    assert asyncio.run(scenario()).result == {"model": "m"}


def test_who_waited_on_a_loop_that_is_closed_keeps_nothing_from_ending() -> None:
    name, waiting = OperationName(PARENT, "", "1"), Waiting()
    loop = asyncio.new_event_loop()

    async def begin(stack: contextlib.ExitStack) -> asyncio.Event:
        return stack.enter_context(waiting.for_end(name))

    with contextlib.ExitStack() as stack:
        ended = loop.run_until_complete(begin(stack))
        loop.close()

        waiting.wake(name)

    assert not ended.is_set()


def test_an_end_by_another_server_is_found(rooms: Rooms) -> None:
    promised = _promise(rooms)
    other = Rooms(rooms.directory, rooms.rows_url, rooms.clock)

    async def scenario() -> Operation:
        waiting = await _begin_waiting(rooms, promised.name)
        await asyncio.to_thread(_end_by_failing, other, promised)
        async with asyncio.timeout(DEADLINE_S):
            return await waiting

    try:
        assert asyncio.run(scenario()).done
    finally:
        other.close()


def test_waiting_ends_at_the_timeout(rooms: Rooms) -> None:
    promised = _promise(rooms)

    assert asyncio.run(rooms.operations.wait(promised.name, 0.0)) == promised
    with pytest.raises(NotFoundError):
        asyncio.run(rooms.operations.wait(OperationName(PARENT, "", "x"), 0.0))


def test_those_who_wait_leave_the_threads_to_others(rooms: Rooms) -> None:
    promised = _promise(rooms)

    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(rooms.operations.wait(promised.name, 30.0))
            await asyncio.sleep(0.01)
            async with asyncio.timeout(10.0):
                await asyncio.to_thread(
                    rooms.operations.fail, promised.name, UnavailableError("over")
                )

    asyncio.run(scenario())

    assert rooms.operations.get(promised.name).done


def _operations(rooms: Rooms, resource: str = "", **query: str) -> list[str]:
    asked = PageRequest(
        ListQuery("ListOperations", str(PARENT), order_by="create_time desc", **query)
    )
    found, _ = rooms.operations.list_operations(PARENT, resource, asked)
    return [one.name.operation for one in found]


def test_operations_are_listed_newest_first_and_by_resource(rooms: Rooms) -> None:
    first = _promise(rooms)
    rooms.clock.advance(minutes=1)
    second = _promise(rooms)
    with rooms.database.transaction() as transaction:
        rooms.operations.fulfil(transaction, first, {"model": "m"})

    ids = [second.name.operation, first.name.operation]
    assert _operations(rooms) == ids
    assert _operations(rooms, "models/m") == ids
    assert _operations(rooms, "models/other") == []
    assert _operations(rooms, filter="done=true") == ids[1:]


def test_operations_have_no_labels_to_filter_by(rooms: Rooms) -> None:
    with pytest.raises(InvalidArgumentError, match="create_time, done, update_time"):
        _operations(rooms, filter="labels.a=b")


def test_a_cancelled_operation_writes_nothing(rooms: Rooms) -> None:
    working, cancelled = threading.Event(), threading.Event()
    written: list[str] = []

    def work() -> Write:
        working.set()
        assert cancelled.wait(DEADLINE_S)

        def write(transaction: Transaction) -> Mapping[str, str]:
            del transaction
            written.append("all of it")
            return {}

        return write

    promised = _promise(rooms)
    rooms.operations.carry_out(promised, work)
    assert working.wait(DEADLINE_S)

    rooms.operations.cancel(promised.name)
    cancelled.set()
    rooms.operations.close()

    ended = rooms.operations.get(promised.name)
    assert ended.failure == Failure(Code.CANCELLED, "the operation was cancelled")
    assert written == []


def test_cancelling_ends_the_work(rooms: Rooms) -> None:
    working, ended = threading.Event(), threading.Event()

    def work() -> Write:
        working.set()
        assert ended.wait(DEADLINE_S)
        return lambda _: {}

    promised = _promise(rooms)
    rooms.operations.carry_out(promised, work, end=ended.set)
    assert working.wait(DEADLINE_S)

    rooms.operations.cancel(promised.name)

    assert ended.is_set()
    assert rooms.operations.get(promised.name).failure == Failure(
        Code.CANCELLED, "the operation was cancelled"
    )


def test_work_that_was_cancelled_before_its_turn_never_begins(rooms: Rooms) -> None:
    released, begun = threading.Event(), list[str]()

    def wait() -> Write:
        assert released.wait(DEADLINE_S)
        return lambda _: {}

    def work() -> Write:
        begun.append("work")
        return lambda _: {}

    before = [_promise(rooms) for _ in range(2)]
    for one in before:
        rooms.operations.carry_out(one, wait, long=True)
    promised = _promise(rooms)
    rooms.operations.carry_out(promised, work, long=True)

    rooms.operations.cancel(promised.name)
    last = _promise(rooms)
    rooms.operations.carry_out(last, lambda: lambda _: {}, long=True)
    released.set()

    assert rooms.wait(last).failure is None
    rooms.operations.close()
    assert begun == []


def test_cancelling_what_has_ended_changes_nothing(rooms: Rooms) -> None:
    promised = _promise(rooms)
    with rooms.database.transaction() as transaction:
        ended = rooms.operations.fulfil(transaction, promised, {"model": "m"})

    rooms.operations.cancel(promised.name)

    assert rooms.operations.get(promised.name) == ended


def test_a_deployment_under_way_cannot_be_cancelled(rooms: Rooms) -> None:
    with rooms.database.transaction() as transaction:
        promised = rooms.operations.promise(
            transaction, OperationKind.DEPLOY_MODEL, PARENT, "endpoints/e"
        )

    with pytest.raises(UnimplementedError, match="undeploy"):
        rooms.operations.cancel(promised.name)

    assert not rooms.operations.get(promised.name).done


def test_an_operation_is_forgotten_once_it_has_ended(rooms: Rooms) -> None:
    promised = _promise(rooms)
    with pytest.raises(FailedPreconditionError, match="has not ended"):
        rooms.operations.forget(promised.name)
    rooms.operations.cancel(promised.name)

    rooms.operations.forget(promised.name)

    for verb in (
        rooms.operations.get,
        rooms.operations.cancel,
        rooms.operations.forget,
    ):
        with pytest.raises(NotFoundError, match="homeport operations list --project p"):
            verb(promised.name)
