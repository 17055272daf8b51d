"""Servers on one database serve the same endpoints; a dead one's work is finished."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable

import orjson
import pytest

from fake_replicas import FakeRuntime, until
from homeport.errors import Code, UnavailableError
from homeport.metadata import server_rows
from homeport.registry.leases import LEASE, Lease, identify
from homeport.resources.model import VersionSpec
from homeport.resources.names import EndpointName, ModelName
from homeport.resources.operation import Operation, OperationKind
from homeport.serving.deployments import Deployments
from homeport.serving.endpoints import Endpoints
from homeport.serving.following import Following
from homeport.serving.machines import Host
from homeport.serving.reconciler import Reconciler
from homeport.serving.router import Router
from homeport.serving.specs import DeploySpec, EndpointSpec
from homeport.serving.starting import Timing
from homeport.serving.wanted import Stores
from homeport.telemetry import Metrics
from rooms import PARENT, URI, Rooms, archive
from wishes import NO_ENGINES, open_desk

HOST = Host(cores=2, gpus=())
MODEL = ModelName(PARENT, "m")
NAME = EndpointName(PARENT, "e")
TIMING = Timing(
    request_deadline_s=30.0,
    queue_length=10,
    load_timeout_s=5.0,
    drain_s=5.0,
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

    def turn(self) -> str:
        route = self.router.find(str(NAME))
        share = None if route is None else route.next()
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
            second.runtime.failures = [UnavailableError("no room")]

            await first.served("8")
            await second.reconciler.follow()

            await second.routes_to("8")

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
