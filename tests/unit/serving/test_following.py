"""Servers on one database serve the same endpoints; a dead one's work is finished."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import itertools
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import orjson
import pytest

from fake_replicas import ANSWER, FakeRuntime, outcome, until
from homeport.errors import Code, DeadlineExceededError, UnavailableError
from homeport.metadata import endpoint_rows, operation_rows, server_rows
from homeport.metadata.database import (
    Database,
    DatabaseUnavailableError,
    Transaction,
)
from homeport.registry.leases import LEASE, Lease, identify
from homeport.resources.endpoint import DeployState
from homeport.resources.model import VersionSpec
from homeport.resources.names import EndpointName, ModelName
from homeport.resources.operation import Operation, OperationKind
from homeport.serving.deployments import Deployments
from homeport.serving.endpoints import Endpoints
from homeport.serving.following import Following
from homeport.serving.machines import Host
from homeport.serving.reconciler import Reconciler
from homeport.serving.router import Router, Share
from homeport.serving.specs import DeploySpec, EndpointSpec
from homeport.serving.starting import Timing
from homeport.serving.wanted import Stores
from homeport.telemetry import Metrics
from homeport.worker.replica import Reply
from rooms import PARENT, URI, Rooms, archive, unreadable
from wishes import NO_ENGINES, open_desk

HOST = Host(cores=2, gpus=())
MODEL = ModelName(PARENT, "m")
NAME = EndpointName(PARENT, "e")
CALM = contextlib.nullcontext()
TIMING = Timing(
    request_deadline_s=60.0,
    queue_length=10,
    load_timeout_s=5.0,
    drain_s=60.0,
    retry_s=0.01,
)


@dataclasses.dataclass
class Server:
    """One of several: its rooms, replicas that are fake, what it routes to."""

    rooms: Rooms
    lease: Lease
    runtime: FakeRuntime
    router: Router
    reconciler: Reconciler
    endpoints: Endpoints
    deployments: Deployments

    async def create(self) -> None:
        await asyncio.to_thread(self.endpoints.create, PARENT, EndpointSpec("e"), "e")

    async def deploy(self, deployed_id: str) -> Operation:
        spec = DeploySpec(MODEL, {"0": 100}, deployed_id)
        return await asyncio.to_thread(self.deployments.deploy, NAME, spec)

    async def served(self, deployed_id: str) -> None:
        promised = await self.deploy(deployed_id)
        await until(lambda: self.rooms.operations.get(promised.name).done)

    async def routes_to(self, deployed_id: str) -> None:
        await until(lambda: self.turn() == deployed_id)

    async def undeployed(self, deployed_id: str) -> None:
        promised = await asyncio.to_thread(
            self.deployments.undeploy, NAME, deployed_id, {}
        )
        await until(lambda: self.rooms.operations.get(promised.name).done)

    def share(self) -> Share | None:
        route = self.router.find(str(NAME))
        return None if route is None else route.next()

    def turn(self) -> str:
        share = self.share()
        if share is None:
            return ""
        return str(orjson.loads(b'{"predictions":[]' + share.tail)["deployedModelId"])


@contextlib.asynccontextmanager
async def serving(
    rooms: Rooms, owner: str, *, held: bool = False
) -> AsyncIterator[Server]:
    """Run one server of that id, beside others on the same rows."""
    own = Rooms(rooms.directory, rooms.rows_url, rooms.clock)
    own.operations.owner = owner
    lease = Lease(own.database, owner)
    await asyncio.to_thread(lease.renew)
    runtime = FakeRuntime(held=asyncio.Event() if held else None)
    router = Router()
    stores = Stores(
        own.database,
        own.operations,
        own.artifacts,
        own.directory / f"logs-{owner}",
        own.clock.now,
    )
    reconciler = Reconciler(stores, runtime, router, Metrics(), TIMING, HOST)
    at = open_desk(own, reconciler.changed)
    endpoints = Endpoints(at, own.pager)
    deployments = Deployments(at, NO_ENGINES)
    await reconciler.start()
    try:
        yield Server(own, lease, runtime, router, reconciler, endpoints, deployments)
    finally:
        await asyncio.wait_for(reconciler.stop(5.0, asyncio.Event()), 20.0)
        own.close()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60.0):
            await scenario()

    asyncio.run(bounded())


@pytest.fixture
def rooms(rooms: Rooms) -> Rooms:
    """A model "m"."""
    rooms.put("first/model.mar", archive())
    spec = VersionSpec("m", artifact_uri=URI)
    assert rooms.upload(spec, model_id="m").failure is None
    return rooms


def test_what_one_server_deploys_others_serve_and_undeploy(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with serving(rooms, "a") as first, serving(rooms, "b") as second:
            await first.create()
            await first.served("7")

            await second.reconciler.follow()
            await second.routes_to("7")

            await asyncio.to_thread(second.deployments.undeploy, NAME, "7", {})
            await first.reconciler.follow()
            await until(lambda: first.runtime.running == [])
            await until(lambda: second.runtime.running == [])
            await until(lambda: first.endpoints.get(NAME).deployed_models == ())

    run(scenario)


def test_a_first_deployment_is_proven_by_the_server_that_was_asked(
    rooms: Rooms,
) -> None:
    async def scenario() -> None:
        async with serving(rooms, "a", held=True) as first, serving(rooms, "b") as b:
            await first.create()
            promised = await first.deploy("7")
            await until(lambda: len(first.runtime.launches) == 1)

            await b.reconciler.follow()

            assert b.runtime.launches == []
            assert not b.rooms.operations.get(promised.name).done
            assert first.runtime.held is not None
            first.runtime.held.set()
            await until(lambda: b.rooms.operations.get(promised.name).done)
            await b.reconciler.follow()
            await b.routes_to("7")

    run(scenario)


def test_requests_go_where_they_went_until_what_others_deployed_answers(
    rooms: Rooms,
) -> None:
    async def scenario() -> None:
        async with serving(rooms, "a") as first, serving(rooms, "b") as second:
            await first.create()
            await first.served("7")
            await second.reconciler.follow()
            await until(lambda: second.turn() == "7")
            (old,) = second.runtime.running
            second.runtime.held = asyncio.Event()

            await first.served("8")
            await asyncio.to_thread(first.deployments.undeploy, NAME, "7", {})
            await until(lambda: first.turn() == "8")
            await second.reconciler.follow()
            await until(lambda: len(second.runtime.launches) == 2)

            assert second.turn() == "7"
            assert not old.closed.done()
            second.runtime.held.set()
            await second.routes_to("8")
            await until(old.closed.done)

    run(scenario)


def test_what_does_not_start_here_is_waited_for_once(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with serving(rooms, "a") as first, serving(rooms, "b") as second:
            await first.create()
            await first.served("7")
            await second.reconciler.follow()
            await until(lambda: second.turn() == "7")
            # It never answers.
            second.runtime.failures = [UnavailableError("no room")] * 1000

            await first.served("8")
            await second.reconciler.follow()

            await second.routes_to("8")

    run(scenario)


def test_what_comes_up_while_the_database_is_away_takes_over_when_it_is_back(
    rooms: Rooms, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with serving(rooms, "a") as first, serving(rooms, "b") as second:
            await first.create()
            await first.served("7")
            await second.reconciler.follow()
            await second.routes_to("7")
            second.runtime.held = asyncio.Event()
            await first.served("8")
            await second.reconciler.follow()
            await until(lambda: len(second.runtime.launches) == 2)
            # That it has begun to start is followed by then.
            await asyncio.to_thread(second.reconciler.changed, NAME)

            with unreadable(second.rooms.database):
                second.runtime.held.set()
                await until(lambda: "endpoints/e is not followed yet" in caplog.text)

            await second.routes_to("8")

    run(scenario)


async def replaced(first: Server, second: Server) -> asyncio.Future[Reply]:
    """Replace "7" by "8", whose last request the second server still answers."""
    await first.create()
    await first.served("7")
    await second.reconciler.follow()
    await second.routes_to("7")
    share = second.share()
    assert share is not None
    pool = share.pool
    await until(lambda: pool.is_complete)
    reply = pool.submit(b"{}")
    await first.served("8")
    await first.undeployed("7")
    await second.reconciler.follow()
    await second.routes_to("8")
    return reply


@pytest.mark.parametrize("away", [False, True])
def test_what_is_deployed_again_begins_when_what_it_was_has_ended(
    rooms: Rooms, caplog: pytest.LogCaptureFixture, *, away: bool
) -> None:
    async def scenario() -> None:
        async with serving(rooms, "a") as first, serving(rooms, "b") as second:
            reply = await replaced(first, second)
            (old, _) = second.runtime.running
            second.runtime.held = asyncio.Event()

            await first.served("7")
            await first.undeployed("8")
            await second.reconciler.follow()

            assert second.turn() == "8"
            assert not reply.done()
            with unreadable(second.rooms.database) if away else CALM:
                old.answer()
                assert await outcome(reply) == ANSWER
                if away:
                    await until(lambda: "is not followed yet" in caplog.text)
            await until(lambda: len(second.runtime.launches) == 3)
            assert second.turn() == "8"
            second.runtime.held.set()
            await second.routes_to("7")
            await until(lambda: len(second.runtime.running) == 1)

    run(scenario)


def test_a_timeout_counts_for_requests_that_go_where_they_went(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with serving(rooms, "a") as first, serving(rooms, "b") as second:
            await first.create()
            await first.served("7")
            await second.reconciler.follow()
            await second.routes_to("7")
            second.runtime.held = asyncio.Event()
            await first.served("8")
            settings = {"client_connection_config": {"inferenceTimeout": "0.05s"}}
            spec = EndpointSpec(NAME.endpoint, kept=settings)
            await asyncio.to_thread(first.endpoints.update_connection, NAME, spec)
            await second.reconciler.follow()
            assert second.turn() == "7"
            share = second.share()
            assert share is not None

            failure = await outcome(share.pool.submit(b"{}"))

            assert isinstance(failure, DeadlineExceededError)
            assert "no answer within 0.05 s" in failure.message

    run(scenario)


def test_an_undeployment_waits_for_what_takes_over_here(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with serving(rooms, "a") as first, serving(rooms, "b") as second:
            await first.create()
            await first.served("7")
            await second.reconciler.follow()
            await until(lambda: second.turn() == "7")
            (old,) = second.runtime.running
            second.runtime.held = asyncio.Event()
            await first.served("8")

            undeployed = await asyncio.to_thread(
                second.deployments.undeploy, NAME, "7", {}
            )

            assert second.turn() == "7"
            assert not old.closed.done()
            second.runtime.held.set()
            await until(lambda: rooms.operations.get(undeployed.name).done)
            assert second.turn() == "8"
            assert old.closed.done()

    run(scenario)


def test_an_endpoint_that_another_server_deletes_is_gone(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with serving(rooms, "a") as first, serving(rooms, "b") as second:
            await first.create()
            await second.reconciler.follow()
            assert second.router.find(str(NAME)) is not None

            await asyncio.to_thread(first.endpoints.delete, NAME)
            await second.reconciler.follow()

            assert second.router.find(str(NAME)) is None

    run(scenario)


def test_a_dead_servers_deployment_is_taken_over_when_its_lease_has_run_out(
    rooms: Rooms,
) -> None:
    async def scenario() -> None:
        async with serving(rooms, "b") as second:
            async with serving(rooms, "a", held=True) as first:
                await first.create()
                promised = await first.deploy("7")
                await until(lambda: len(first.runtime.launches) == 1)
            await second.reconciler.take_over()
            await second.reconciler.follow()
            assert second.runtime.launches == []

            await asyncio.to_thread(first_lease_ends, rooms)
            await second.reconciler.take_over()
            await second.reconciler.follow()

            await until(lambda: rooms.operations.get(promised.name).done)
            assert rooms.operations.get(promised.name).failure is None
            await second.routes_to("7")

    run(scenario)


def after_look(database: Database, number: int, then: Callable[[], None]) -> None:
    """Call a function on the thread that has read the rows for so many times."""
    read, numbers = database.snapshot, itertools.count(1)

    @contextlib.contextmanager
    def look() -> Iterator[Transaction]:
        now = next(numbers)
        with read() as transaction:
            yield transaction
        if now == number:
            then()

    database.snapshot = look  # type: ignore[method-assign]


def test_what_is_taken_over_while_others_are_followed_is_carried_on_with(
    rooms: Rooms,
) -> None:
    async def scenario() -> None:
        async with serving(rooms, "b") as second:
            async with serving(rooms, "a", held=True) as first:
                await first.create()
                promised = await first.deploy("7")
                await until(lambda: len(first.runtime.launches) == 1)
            await asyncio.to_thread(first_lease_ends, rooms)
            loop = asyncio.get_running_loop()

            def take_over() -> None:
                taken = second.reconciler.take_over()
                asyncio.run_coroutine_threadsafe(taken, loop).result(60.0)

            # It has seen what changed, and has read that.
            after_look(second.rooms.database, 2, take_over)
            await second.reconciler.follow()
            assert second.runtime.launches == []

            await second.reconciler.follow()

            await until(lambda: rooms.operations.get(promised.name).done)
            await second.routes_to("7")

    run(scenario)


@pytest.mark.parametrize("follows", [False, True])
def test_what_a_dead_server_had_deployed_and_not_told_is_told_by_another(
    rooms: Rooms, *, follows: bool
) -> None:
    async def scenario() -> None:
        async with serving(rooms, "b") as second:
            async with serving(rooms, "a") as first:
                await first.create()
                promised = await first.deploy("7")
                await until(lambda: rooms.operations.get(promised.name).done)
            # It died before the last of what it wrote.
            with rooms.database.transaction() as transaction:
                operation_rows.update(transaction, promised)
            if follows:
                await second.reconciler.follow()
            await asyncio.to_thread(first_lease_ends, rooms)

            await second.reconciler.take_over()

            ended = rooms.operations.get(promised.name)
            assert ended.result == {"deployed_model": "7"}
            await second.reconciler.follow()
            await second.routes_to("7")

    run(scenario)


async def deployed_by_both(first: Server, second: Server) -> Operation:
    """Have a server that only seemed dead deploy what another has taken over."""
    await first.create()
    await first.served("6")
    await second.reconciler.follow()
    await second.routes_to("6")
    for server in (first, second):
        server.runtime.held = asyncio.Event()
    promised = await first.deploy("7")
    await until(lambda: len(first.runtime.launches) == 2)
    await asyncio.to_thread(first_lease_ends, first.rooms)
    await second.reconciler.take_over()
    await second.reconciler.follow()
    await until(lambda: len(second.runtime.launches) == 2)
    return promised


def release(server: Server) -> None:
    assert server.runtime.held is not None
    server.runtime.held.set()


def test_what_two_servers_deploy_is_deployed_once_and_served_by_both(
    rooms: Rooms,
) -> None:
    async def scenario() -> None:
        async with serving(rooms, "a") as first, serving(rooms, "b") as second:
            promised = await deployed_by_both(first, second)

            release(first)
            await first.routes_to("7")
            release(second)

            await second.routes_to("7")
            await until(lambda: rooms.operations.get(promised.name).done)
            assert rooms.operations.get(promised.name).failure is None
            endpoint = second.endpoints.get(NAME)
            assert endpoint.traffic_split == {"7": 100}
            assert {one.id for one in endpoint.deployed_models} == {"6", "7"}
            await first.reconciler.follow()
            assert first.turn() == "7"

    run(scenario)


@pytest.mark.parametrize("is_late", [False, True])
def test_what_one_of_two_servers_cannot_start_is_deployed_by_the_other(
    rooms: Rooms, *, is_late: bool
) -> None:
    async def scenario() -> None:
        async with serving(rooms, "a") as first, serving(rooms, "b") as second:
            promised = await deployed_by_both(first, second)
            owner, other = (first, second) if is_late else (second, first)
            other.runtime.failures = [UnavailableError("no room")]

            async def fails() -> None:
                release(other)
                await until(lambda: not other.runtime.failures)

            async def deploys() -> None:
                release(owner)
                await owner.routes_to("7")

            await (deploys() if is_late else fails())
            await (fails() if is_late else deploys())

            await until(lambda: rooms.operations.get(promised.name).done)
            assert rooms.operations.get(promised.name).failure is None
            await other.reconciler.follow()
            await other.routes_to("7")
            assert owner.endpoints.get(NAME).traffic_split == {"7": 100}

    run(scenario)


def test_what_cannot_start_where_it_was_taken_over_is_ended_for_a_dead_server(
    rooms: Rooms, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with serving(rooms, "a") as first, serving(rooms, "b") as second:
            promised = await deployed_by_both(first, second)
            release(first)
            await until(lambda: rooms.operations.get(promised.name).done)
            # It died before the last of what it wrote.
            with rooms.database.transaction() as transaction:
                operation_rows.update(transaction, promised)

            second.runtime.failures = [UnavailableError("no room")]
            release(second)

            await until(lambda: rooms.operations.get(promised.name).done)
            ended = rooms.operations.get(promised.name)
            assert ended.result == {"deployed_model": "7"}
            assert "deployed model 7: no room" in caplog.text

    run(scenario)


def test_what_is_recorded_while_it_is_taken_over_is_ended(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with serving(rooms, "b") as second:
            async with serving(rooms, "a", held=True) as first:
                await first.create()
                promised = await first.deploy("7")
                await until(lambda: len(first.runtime.launches) == 1)
            await asyncio.to_thread(first_lease_ends, rooms)

            def record() -> None:
                with rooms.database.transaction() as transaction:
                    endpoint_rows.set_state(transaction, "7", DeployState.DEPLOYED)

            after_look(second.rooms.database, 1, record)
            await second.reconciler.take_over()

            assert rooms.operations.get(promised.name).result == {"deployed_model": "7"}

    run(scenario)


def test_what_was_taken_over_as_the_database_went_away_is_ended_later(
    rooms: Rooms,
) -> None:
    async def scenario() -> None:
        async with serving(rooms, "b") as second:
            async with serving(rooms, "a") as first:
                await first.create()
                promised = await first.deploy("7")
                await until(lambda: rooms.operations.get(promised.name).done)
            with rooms.database.transaction() as transaction:
                operation_rows.update(transaction, promised)
            await asyncio.to_thread(first_lease_ends, rooms)

            def go_away() -> None:
                assert owner_of(rooms, promised) == "b"
                raise DatabaseUnavailableError("away")

            # By the third it is this server's.
            after_look(second.rooms.database, 3, go_away)
            with pytest.raises(DatabaseUnavailableError):
                await second.reconciler.take_over()
            assert not rooms.operations.get(promised.name).done
            await second.reconciler.take_over()

            assert rooms.operations.get(promised.name).result == {"deployed_model": "7"}

    run(scenario)


def test_a_late_server_leaves_what_was_deployed_again_since_it_was_undeployed(
    rooms: Rooms,
) -> None:
    async def scenario() -> None:
        async with serving(rooms, "a") as first, serving(rooms, "b") as second:
            await first.create()
            await first.served("7")
            await second.reconciler.follow()
            await second.routes_to("7")
            share = first.share()
            assert share is not None
            (old,) = first.runtime.running
            reply = share.pool.submit(b"{}")
            await asyncio.to_thread(first.deployments.undeploy, NAME, "7", {})
            await asyncio.to_thread(first_lease_ends, rooms)
            await second.reconciler.take_over()
            await second.reconciler.follow()
            await until(lambda: second.endpoints.get(NAME).deployed_models == ())
            await second.served("7")

            old.answer()
            assert await outcome(reply) == ANSWER

            await first.routes_to("7")
            assert [one.id for one in first.endpoints.get(NAME).deployed_models] == [
                "7"
            ]

    run(scenario)


def test_a_late_server_leaves_another_deployment_of_the_same_id(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with serving(rooms, "a") as first, serving(rooms, "b") as second:
            promised = await deployed_by_both(first, second)
            second.runtime.failures = [UnavailableError("no room")]
            release(second)
            await until(lambda: rooms.operations.get(promised.name).done)
            second.runtime.held = asyncio.Event()
            again = await second.deploy("7")

            release(first)
            await until(lambda: len(first.runtime.replicas) == 2)
            (_, late) = first.runtime.replicas
            await until(late.closed.done)

            assert not rooms.operations.get(again.name).done
            assert second.endpoints.get(NAME).traffic_split == {"6": 100}
            release(second)
            await until(lambda: rooms.operations.get(again.name).done)
            assert second.endpoints.get(NAME).traffic_split == {"7": 100}
            await first.reconciler.follow()
            await first.routes_to("7")

    run(scenario)


def first_lease_ends(rooms: Rooms) -> None:
    Lease(rooms.database, "a").end()


def _promised_by(rooms: Rooms, owner: str) -> Operation:
    rooms.operations.owner = owner
    with rooms.database.transaction() as transaction:
        return rooms.operations.promise(
            transaction, OperationKind.UPLOAD_MODEL, PARENT, "models/m"
        )


def test_an_upload_of_a_dead_server_fails_once_its_lease_has_run_out(
    rooms: Rooms,
) -> None:
    Lease(rooms.database, "a").renew()
    Lease(rooms.database, "b").renew()
    of_a, of_b = _promised_by(rooms, "a"), _promised_by(rooms, "b")

    rooms.operations.recover(frozenset())
    assert not rooms.operations.get(of_a.name).done
    failed = rooms.operations.get(of_b.name).failure
    assert failed is not None
    assert failed.code is Code.FAILED_PRECONDITION
    rooms.operations.take_over(frozenset())
    assert not rooms.operations.get(of_a.name).done
    first_lease_ends(rooms)
    rooms.operations.take_over(frozenset())

    assert rooms.operations.get(of_a.name).failure is not None


def test_a_lease_lasts_as_long_as_it_says(rooms: Rooms) -> None:
    with rooms.database.transaction() as transaction:
        server_rows.renew(transaction, "a", LEASE)
        server_rows.renew(transaction, "b", -dt.timedelta(seconds=1))
        server_rows.renew(transaction, "a", LEASE)

    with rooms.database.snapshot() as transaction:
        assert server_rows.alive(transaction) == {"a"}


def test_a_secret_is_what_the_first_server_said(rooms: Rooms) -> None:
    with rooms.database.transaction() as transaction:
        assert server_rows.share_secret(transaction, "tokens", "00") == "00"
        assert server_rows.share_secret(transaction, "tokens", "11") == "00"


def test_a_server_is_the_same_after_a_restart(tmp_path: pathlib.Path) -> None:
    assert identify(tmp_path) == identify(tmp_path)


def test_servers_follow_each_other_by_themselves(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with serving(rooms, "a") as first, serving(rooms, "b") as second:
            following = Following(second.reconciler, second.lease)
            following.start()
            try:
                await first.create()
                await first.served("7")

                await second.routes_to("7")
            finally:
                await following.stop()
            with rooms.database.snapshot() as transaction:
                assert server_rows.alive(transaction) == {"a"}

    run(scenario)


def test_a_server_that_rests_keeps_its_lease_and_takes_nothing_over(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homeport.serving.following.RENEW_S", 0.001)
    monkeypatch.setattr("homeport.serving.following._STEADY", 0)

    async def scenario() -> None:
        async with serving(rooms, "b") as second:
            async with serving(rooms, "a", held=True) as first:
                await first.create()
                promised = await first.deploy("7")
                await until(lambda: len(first.runtime.launches) == 1)
            following = Following(second.reconciler, second.lease)
            following.start()
            try:
                await following.rest()
                await asyncio.to_thread(first_lease_ends, rooms)

                # Once it is renewed again, what comes after a renewal has ended too.
                for _ in range(3):
                    await until_renewed(rooms, "b")

                assert owner_of(rooms, promised) == "a"
            finally:
                await following.stop()

    run(scenario)


async def until_renewed(rooms: Rooms, server: str) -> None:
    with rooms.database.transaction() as transaction:
        server_rows.end(transaction, server)

    def is_alive() -> bool:
        with rooms.database.snapshot() as transaction:
            return server in server_rows.alive(transaction)

    await until(is_alive)


def owner_of(rooms: Rooms, operation: Operation) -> str | None:
    with rooms.database.snapshot() as transaction:
        return operation_rows.owner(transaction, operation.name)
