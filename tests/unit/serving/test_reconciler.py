"""What runs follows what the rows want: after each verb, and after a restart."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeVar

import orjson
import pytest

from fake_replicas import ANSWER, FakeRuntime, outcome, until
from homeport.archive import golden
from homeport.archive.golden import Golden
from homeport.errors import (
    Code,
    DeadlineExceededError,
    FailedPreconditionError,
    NotFoundError,
    UnavailableError,
)
from homeport.metadata import endpoint_rows, traffic_rows
from homeport.metadata.database import Database
from homeport.registry.operations import Operations
from homeport.registry.paging import PageRequest
from homeport.resources.endpoint import DedicatedResources, DeployState, Endpoint
from homeport.resources.listing import ListQuery
from homeport.resources.model import ContainerSpec, EnvironmentVariable, VersionSpec
from homeport.resources.names import EndpointName, ModelName
from homeport.resources.operation import DeployStage, Operation
from homeport.serving.deployments import Deployments
from homeport.serving.endpoints import Endpoints
from homeport.serving.machines import Host
from homeport.serving.reconciler import Reconciler
from homeport.serving.router import Router, Share
from homeport.serving.specs import DeploySpec, EndpointPatch, EndpointSpec
from homeport.serving.starting import Timing
from homeport.serving.wanted import Stores
from homeport.telemetry import Metrics
from homeport.worker.replica import ReplicaLoadError
from rooms import PARENT, URI, Rooms, archive, unreadable
from wishes import NO_ENGINES, open_desk, wishes_over

MODEL = ModelName(PARENT, "m")
NAME = EndpointName(PARENT, "e")
TIMING = Timing(
    request_deadline_s=30.0,
    queue_length=10,
    load_timeout_s=5.0,
    drain_s=5.0,
    retry_s=0.01,
)
HOST = Host(cores=2, gpus=("NVIDIA L4", "NVIDIA L4"))
_T = TypeVar("_T")


@dataclasses.dataclass
class Server:
    """Endpoints with a reconciler, on replicas that are fake."""

    rooms: Rooms
    runtime: FakeRuntime
    router: Router
    metrics: Metrics
    reconciler: Reconciler
    endpoints: Endpoints
    deployments: Deployments

    async def verb(self, verb: Callable[..., _T], *args: Any, **said: Any) -> _T:
        """Call a verb as a surface does."""
        async with asyncio.timeout(10.0):
            return await asyncio.to_thread(verb, *args, **said)

    async def create(self, endpoint_id: str = "e") -> None:
        await self.verb(
            self.endpoints.create, PARENT, EndpointSpec(endpoint_id), endpoint_id
        )

    async def deploy(
        self, deployed_id: str, split: Mapping[str, int] | None = None, **spec: Any
    ) -> Operation:
        return await self.verb(
            self.deployments.deploy,
            NAME,
            DeploySpec(
                MODEL, {"0": 100} if split is None else split, deployed_id, **spec
            ),
        )

    async def undeploy(
        self, deployed_id: str, split: Mapping[str, int] | None = None
    ) -> Operation:
        return await self.verb(
            self.deployments.undeploy, NAME, deployed_id, split or {}
        )

    async def ended(self, operation: Operation) -> Operation:
        await until(lambda: self.rooms.operations.get(operation.name).done)
        return self.rooms.operations.get(operation.name)

    async def served(self, deployed_id: str, split: Mapping[str, int]) -> None:
        """Deploy, and wait until it serves."""
        ended = await self.ended(await self.deploy(deployed_id, split))
        assert ended.failure is None
        await until(lambda: self.route_has(deployed_id))

    def endpoint(self) -> Endpoint:
        return self.endpoints.get(NAME)

    def turn(self) -> Share | None:
        route = self.router.find(str(NAME))
        assert route is not None
        return route.next()

    def route_has(self, deployed_id: str) -> bool:
        share = self.turn()
        return share is not None and _tail(share)["deployedModelId"] == deployed_id


def _tail(share: Share) -> Any:
    return orjson.loads(b'{"predictions":[]' + share.tail)


@contextlib.asynccontextmanager
async def running(
    rooms: Rooms, runtime: FakeRuntime | None = None
) -> AsyncIterator[Server]:
    """Run a server on the rows there are."""
    runtime = runtime or FakeRuntime()
    router, metrics = Router(), Metrics()
    stores = Stores(
        rooms.database,
        rooms.operations,
        rooms.artifacts,
        rooms.directory / "logs",
        rooms.clock.now,
    )
    reconciler = Reconciler(stores, runtime, router, metrics, TIMING, HOST)
    at = open_desk(rooms, reconciler.changed)
    endpoints = Endpoints(at, rooms.pager)
    deployments = Deployments(at, NO_ENGINES)
    await reconciler.start()
    try:
        yield Server(
            rooms, runtime, router, metrics, reconciler, endpoints, deployments
        )
    finally:
        await asyncio.wait_for(reconciler.stop(5.0, asyncio.Event()), 20.0)
        assert runtime.running == []


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30.0):
            await scenario()

    asyncio.run(bounded())


@pytest.fixture
def rooms(rooms: Rooms) -> Rooms:
    """A model "m" whose version has a secret."""
    rooms.put("first/model.mar", archive())
    container = ContainerSpec(env=(EnvironmentVariable("TOKEN", "hunter2"),))
    spec = VersionSpec("m", artifact_uri=URI, container=container)
    assert rooms.upload(spec, model_id="m").failure is None
    return rooms


def test_a_deploy_has_ended_when_the_replicas_answer_and_not_before(
    rooms: Rooms,
) -> None:
    async def scenario() -> None:
        runtime = FakeRuntime(held=asyncio.Event())
        async with running(rooms, runtime) as server:
            await server.create()
            resources = DedicatedResources(min_replica_count=2, max_replica_count=2)
            promised = await server.deploy("7", resources=resources)
            await until(lambda: len(runtime.launches) == 2)

            assert not rooms.operations.get(promised.name).done
            assert server.endpoint().deployed_models == ()
            assert server.turn() is None

            assert runtime.held is not None
            runtime.held.set()
            ended = await server.ended(promised)

            assert ended.failure is None
            assert ended.result == {"deployed_model": "7"}
            assert len(runtime.running) == 2
            assert [one.id for one in server.endpoint().deployed_models] == ["7"]
            assert server.endpoint().traffic_split == {"7": 100}

    run(scenario)


def test_no_more_replicas_are_started_than_the_runtime_can_have(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms, FakeRuntime(most=1)) as server:
            await server.create()
            resources = DedicatedResources(min_replica_count=2, max_replica_count=3)
            ended = await server.ended(await server.deploy("7", resources=resources))

            assert ended.failure is None
            assert len(server.runtime.launches) == 1

    run(scenario)


def test_a_deployed_model_answers_and_is_named_in_the_answer(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            await server.served("7", {"0": 100})
            share = server.turn()
            assert share is not None

            reply = share.pool.submit(b"{}")
            server.runtime.replicas[0].answer()

            assert await outcome(reply) == ANSWER
            assert _tail(share) == {
                "predictions": [],
                "deployedModelId": "7",
                "model": f"{PARENT}/models/m",
                "modelVersionId": "1",
                "modelDisplayName": "m",
            }
            (launch,) = server.runtime.launches
            assert launch.environment == {"TOKEN": "hunter2"}
            assert launch.load_timeout_s == 5.0
            assert launch.model_dir is not None
            assert (launch.model_dir / "handler.py").is_file()

    run(scenario)


def test_a_deploy_without_a_split_leaves_the_traffic_alone(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            await server.ended(await server.deploy("1", {}))

            assert server.endpoint().traffic_split == {}
            assert server.turn() is None
            assert server.reconciler.missing_replicas() == {}

    run(scenario)


def test_traffic_is_split_and_split_anew(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            await server.served("1", {"0": 100})
            # Whoever has seen the operation end finds the new split in place.
            await server.ended(await server.deploy("2", {"0": 20, "1": 80}))

            turns = [server.route_has("2") for _ in range(100)]
            await server.verb(
                server.endpoints.update, NAME, EndpointPatch(traffic_split={"1": 100})
            )

            assert turns.count(True) == 20
            # The verb returns when routing follows it.
            assert not any(server.route_has("2") for _ in range(100))

    run(scenario)


def test_what_became_of_a_deploy_is_in_the_history(rooms: Rooms) -> None:
    def told() -> list[tuple[str, str, str, object]]:
        parent = NAME.parent
        query = ListQuery("ListChanges", str(parent))
        found, _ = rooms.history.list_changes(
            parent, f"endpoints/{NAME.endpoint}", PageRequest(query)
        )
        return [
            (
                one.subject.kind.value,
                one.action.value,
                one.caller,
                (one.after or {}).get("trafficSplit"),
            )
            for one in found
        ]

    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            await server.served("1", {"0": 100})
            server.runtime.failures = [ReplicaLoadError("no", "Pack it", "")]
            await server.ended(await server.deploy("2", {"0": 50, "1": 50}))

            assert told() == [
                ("deployed_model", "deleted", "homeport", None),
                ("deployed_model", "created", "anonymous", {"0": 50, "1": 50}),
                ("endpoint", "updated", "anonymous", {"1": 100}),
                ("deployed_model", "created", "anonymous", {"0": 100}),
                ("endpoint", "created", "anonymous", {}),
            ]

    run(scenario)


def test_traffic_that_came_with_a_deployment_has_the_caller_who_asked(
    rooms: Rooms,
) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            for deployed_id, caller in (("1", "ada"), ("2", "bob")):
                spec = DeploySpec(MODEL, {"0": 100}, deployed_id)
                promised = await server.verb(
                    server.deployments.deploy, NAME, spec, caller=caller
                )
                await server.ended(promised)
            await server.ended(await server.undeploy("1"))

            _, again = await server.verb(
                server.deployments.roll_back, NAME, caller="cleo"
            )
            await server.ended(again[0])

            with rooms.database.snapshot() as transaction:
                states = traffic_rows.newest(transaction, NAME, 9)
            assert [one.caller for one in states] == ["cleo", "bob", "ada"]

    run(scenario)


def test_a_deploy_that_fails_tells_why_and_leaves_the_traffic_alone(
    rooms: Rooms,
) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            await server.served("1", {"0": 100})
            before = server.endpoint()
            server.runtime.prints = ("loading with hunter2", "half way")
            server.runtime.failures = [
                ReplicaLoadError("no module named hunter2", "Pack it", "")
            ]

            promised = await server.deploy("2", {"0": 50, "1": 50})
            failure = (await server.ended(promised)).failure

            assert failure is not None
            assert failure.code is Code.FAILED_PRECONDITION
            assert "no module named [TOKEN]. Pack it" in failure.message
            assert "loading with [TOKEN]\n" in failure.message
            assert failure.message.endswith(" half way")
            assert "hunter2" not in failure.message
            assert server.endpoint() == before
            assert server.route_has("1")
            assert set(server.reconciler.log_tail(NAME, 5)) == {"1"}

            server.runtime.prints = ()
            await server.served("2", {"0": 100})  # its id can be used again

    run(scenario)


def test_a_new_deployment_answers_its_archives_sample_first(rooms: Rooms) -> None:
    async def scenario() -> None:
        upload_with_sample(rooms, expected=1)
        async with running(rooms) as server:
            await server.create()
            promised = await server.deploy("7")
            await until(lambda: bool(server.runtime.replicas))
            replica = server.runtime.replicas[0]
            await until(lambda: bool(replica.bodies))

            assert not rooms.operations.get(promised.name).done
            assert server.turn() is None

            replica.answer()
            assert (await server.ended(promised)).failure is None
            assert replica.bodies == [b'{"instances": [0]}']

        async with running(rooms) as server:
            # Deployed before, it is not asked again.
            await until(lambda: server.route_has("7"))
            await until(lambda: not server.reconciler.missing_replicas())
            assert server.runtime.replicas[0].bodies == []

    run(scenario)


def test_a_replica_that_answers_the_sample_otherwise_fails_the_deploy(
    rooms: Rooms,
) -> None:
    async def scenario() -> None:
        upload_with_sample(rooms, expected=2)
        async with running(rooms) as server:
            await server.create()
            promised = await server.deploy("7")
            await until(lambda: bool(server.runtime.replicas))
            replica = server.runtime.replicas[0]
            await until(lambda: bool(replica.bodies))
            replica.answer()

            failure = (await server.ended(promised)).failure

            assert failure is not None
            assert failure.code is Code.FAILED_PRECONDITION
            assert "predictions[0] is 1 where 2 was expected" in failure.message
            assert server.endpoint().deployed_models == ()
            assert server.runtime.running == []

    run(scenario)


def upload_with_sample(rooms: Rooms, expected: int) -> None:
    """Make the default version of "m" one whose archive has a sample."""
    sample = golden.serialize(Golden({"instances": [0]}, (expected,)))
    rooms.put("first/model.mar", archive(files={golden.PATH: sample}))
    spec = VersionSpec("", artifact_uri=URI, aliases=("default",))
    assert rooms.upload(spec, parent_model=MODEL).failure is None


def test_the_lines_of_an_undeployed_model_go_with_it(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            server.runtime.prints = ("an earlier secret",)
            await server.served("7", {"0": 100})
            log = rooms.directory / "logs" / "7.log"
            assert "an earlier secret" in log.read_text()
            log.with_suffix(".log.1").write_text("older")

            await server.ended(await server.undeploy("7"))

            assert list(log.parent.iterdir()) == []

    run(scenario)


def test_a_failed_deploy_leaves_no_lines(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            server.runtime.prints = ("an earlier secret",)
            server.runtime.failures = [UnavailableError("no")]

            await server.ended(await server.deploy("7"))

            assert list((rooms.directory / "logs").iterdir()) == []

    run(scenario)


def test_a_first_deployment_does_not_show_the_lines_of_another(rooms: Rooms) -> None:
    log = rooms.directory / "logs" / "7.log"
    log.parent.mkdir()
    log.write_text("an earlier secret\n")

    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            server.runtime.failures = [UnavailableError("no")]

            failure = (await server.ended(await server.deploy("7"))).failure

            assert failure is not None
            assert "an earlier secret" not in failure.message

    run(scenario)


def test_an_undeploy_at_the_last_step_of_a_deploy_lets_it_end(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            deploying = await server.deploy("7", {})
            undeploying = None
            while undeploying is None:
                with contextlib.suppress(NotFoundError, FailedPreconditionError):
                    undeploying = await server.undeploy("7")

            assert (await server.ended(undeploying)).failure is None
            assert (await server.ended(deploying)).failure is None

    run(scenario)


@contextlib.contextmanager
def _locked(rooms: Rooms) -> Iterator[None]:
    """Hold the database's write lock as another process does."""
    other = Database(rooms.rows_url)
    with other.transaction():
        yield
    other.close()


@pytest.mark.parametrize("fails", [False, True])
def test_a_deploy_is_recorded_as_soon_as_the_database_takes_it(
    rooms: Rooms, caplog: pytest.LogCaptureFixture, *, fails: bool
) -> None:
    impatient = Database(rooms.rows_url, busy_timeout_s=0.01)
    operations = Operations(impatient, rooms.pager, rooms.clock.now, rooms.clock.new_id)

    async def scenario() -> None:
        runtime = FakeRuntime(held=asyncio.Event())
        async with running(rooms, runtime) as server:
            await server.create()
            if fails:
                runtime.failures = [UnavailableError("no memory left")]
            promised = await server.deploy("7")
            await until(lambda: len(runtime.launches) == 1)
            assert runtime.held is not None
            with _locked(rooms):
                runtime.held.set()
                await until(lambda: "not recorded yet" in caplog.text)
            assert ((await server.ended(promised)).failure is not None) is fails

    rooms.close()
    # The rooms' own from here on, and closed with them.
    rooms.database, rooms.operations = impatient, operations
    run(scenario)


def test_a_deploy_ends_when_the_database_can_be_read_again(
    rooms: Rooms, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with running(rooms, FakeRuntime(held=asyncio.Event())) as server:
            await server.create()
            promised = await server.deploy("7")
            await until(lambda: len(server.runtime.launches) == 1)

            with unreadable(rooms.database):
                assert server.runtime.held is not None
                server.runtime.held.set()
                await until(lambda: "endpoints/e is not followed yet" in caplog.text)

            assert (await server.ended(promised)).failure is None
            assert server.route_has("7")

    run(scenario)


def test_one_of_several_replicas_that_fails_fails_the_deploy(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            server.runtime.failures = [UnavailableError("no memory left")]
            resources = DedicatedResources(min_replica_count=3, max_replica_count=3)

            promised = await server.deploy("1", resources=resources)
            failure = (await server.ended(promised)).failure

            assert failure is not None
            assert failure.code is Code.UNAVAILABLE
            assert failure.message == (
                "the deployment failed at STARTING_MODEL_SERVER: no memory left"
            )
            assert server.runtime.running == []

    run(scenario)


def test_a_bug_in_a_deploy_is_told_without_its_message(
    rooms: Rooms, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            server.runtime.failures = [ValueError("/secret/path")]

            failure = (await server.ended(await server.deploy("1"))).failure

            assert failure is not None
            assert "/secret/path" not in failure.message

    run(scenario)

    assert "/secret/path" in caplog.text


def test_damaged_bytes_fail_the_deploy(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            for blob in (rooms.directory / "blobs" / "sha256").glob("*/*"):
                blob.unlink()

            failure = (await server.ended(await server.deploy("1"))).failure

            assert failure is not None
            assert failure.code is Code.DATA_LOSS
            assert server.runtime.launches == []

    run(scenario)


def test_a_split_that_is_wrong_by_then_fails_the_deploy(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            await server.served("1", {"0": 100})
            server.runtime.held = asyncio.Event()
            promised = await server.deploy("2", {"0": 50, "1": 50})
            await server.ended(await server.undeploy("1"))

            server.runtime.held.set()
            ended = await server.ended(promised)

            assert ended.failure is not None
            assert ended.failure.code is Code.ABORTED
            assert (
                'from {"1": 100} to {} during the deployment' in ended.failure.message
            )
            assert [one.stage for one in ended.stages[-2:]] == [
                DeployStage.FINISHING_UP,
                DeployStage.FAILED_TO_DEPLOY,
            ]
            assert server.endpoint().deployed_models == ()
            assert server.runtime.running == []

    run(scenario)


def test_of_two_deployments_that_want_other_splits_the_second_loses_nothing(
    rooms: Rooms,
) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            await server.served("1", {"0": 100})
            server.runtime.held = asyncio.Event()
            first = await server.deploy("2", {"0": 50, "1": 50})
            second = await server.deploy("3", {"0": 10, "1": 90})
            beside = await server.deploy("4", {})

            server.runtime.held.set()
            ended = [await server.ended(one) for one in (first, second, beside)]

            codes = [one.failure.code if one.failure else 0 for one in ended[:2]]
            assert sorted(codes) == [0, Code.ABORTED]
            assert ended[2].failure is None
            won = "2" if codes[0] == 0 else "3"
            assert set(server.endpoint().traffic_split) == {"1", won}
            ids = {one.id for one in server.endpoint().deployed_models}
            assert ids == {"1", won, "4"}

    run(scenario)


def test_an_operation_tells_the_stages_of_its_deployment(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            good = await server.ended(await server.deploy("1"))
            server.runtime.failures = [UnavailableError("no")]
            bad = await server.ended(await server.deploy("2", {}))

            begun = ["STARTING_DEPLOYMENT", "PREPARING_MODEL", "STARTING_MODEL_SERVER"]
            assert [one.stage for one in good.stages] == [
                *begun,
                "FINISHING_UP",
                "SUCCESSFULLY_DEPLOYED",
            ]
            assert [one.stage for one in bad.stages] == [*begun, "FAILED_TO_DEPLOY"]
            times = [one.time for one in good.stages]
            assert times == sorted(times)

    run(scenario)


def test_the_stages_name_the_image_or_environment_that_had_to_be_got(
    rooms: Rooms,
) -> None:
    async def scenario() -> None:
        async with running(rooms, FakeRuntime(missing=True)) as server:
            await server.create()
            ended = await server.ended(await server.deploy("1"))

            assert [one.stage for one in ended.stages][1:4] == [
                "PREPARING_MODEL",
                "GETTING_CONTAINER_IMAGE",
                "STARTING_MODEL_SERVER",
            ]
            assert server.reconciler.log_tail(NAME, 1)["1"][0].endswith("getting it")

    run(scenario)


def test_an_endpoints_own_timeout_ends_its_predictions(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            await server.served("7", {"0": 100})
            settings = {"client_connection_config": {"inferenceTimeout": "0.05s"}}
            spec = EndpointSpec(NAME.endpoint, kept=settings)
            await server.verb(server.endpoints.update_connection, NAME, spec)
            share = server.turn()
            assert share is not None

            failure = await outcome(share.pool.submit(b"{}"))

            assert isinstance(failure, DeadlineExceededError)
            assert "no answer within 0.05 s" in failure.message

    run(scenario)


def test_a_rollback_brings_back_several_models_that_were_undeployed(
    rooms: Rooms,
) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            await server.served("1", {"0": 100})
            await server.served("2", {"0": 50, "1": 50})
            await server.served("3", {"0": 100})
            for gone in ("1", "2"):
                await server.ended(await server.undeploy(gone))

            _, promised = await server.verb(server.deployments.roll_back, NAME, 2)
            ended = [await server.ended(one) for one in promised]

            assert [one.failure for one in ended] == [None, None]
            assert server.endpoint().traffic_split == {"1": 50, "2": 50}

    run(scenario)


def test_changes_during_a_failure_do_not_begin_the_deploy_again(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            server.runtime.held = asyncio.Event()
            server.runtime.failures = [UnavailableError("no")]
            promised = await server.deploy("1")
            await until(lambda: len(server.runtime.launches) == 1)

            async def change_on_and_on() -> None:
                while not rooms.operations.get(promised.name).done:
                    patch = EndpointPatch(description="changed")
                    await server.verb(server.endpoints.update, NAME, patch)

            changing = [asyncio.create_task(change_on_and_on()) for _ in range(3)]
            server.runtime.held.set()
            await asyncio.gather(*changing)

            assert server.reconciler.log_tail(NAME, 1) == {}
            assert len(server.runtime.launches) == 1

    run(scenario)


def test_an_undeploy_answers_what_was_accepted_first(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            await server.served("7", {"0": 100})
            share = server.turn()
            assert share is not None
            reply = share.pool.submit(b"{}")
            server.reconciler.update_gauges()
            assert b'replicas_ready{deployed_model="7"' in server.metrics.text()

            promised = await server.undeploy("7")
            assert server.turn() is None
            assert not rooms.operations.get(promised.name).done
            assert not reply.done()
            server.runtime.replicas[0].answer()

            assert await outcome(reply) == ANSWER
            assert (await server.ended(promised)).failure is None
            assert server.endpoint().deployed_models == ()
            assert server.runtime.running == []
            await until(
                lambda: (
                    b'replicas_ready{deployed_model="7"' not in server.metrics.text()
                )
            )
            await server.verb(server.endpoints.delete, NAME)
            assert server.router.find(str(NAME)) is None

    run(scenario)


def test_many_verbs_at_once_do_not_wait_for_each_others_threads(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms) as server, asyncio.TaskGroup() as group:
            for number in range(60):
                group.create_task(server.create(f"e{number}"))

    run(scenario)


def test_a_change_before_the_start_is_a_bug(rooms: Rooms) -> None:
    async def scenario() -> None:
        stores = Stores(
            rooms.database,
            rooms.operations,
            rooms.artifacts,
            rooms.directory,
            rooms.clock.now,
        )
        reconciler = Reconciler(
            stores, FakeRuntime(), Router(), Metrics(), TIMING, HOST
        )
        with pytest.raises(RuntimeError, match="not started"):
            reconciler.changed(NAME)
        await reconciler.stop(0.0, asyncio.Event())

    run(scenario)


def test_stopping_answers_what_was_accepted_and_keeps_the_rows(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            await server.served("7", {"0": 100})
            share = server.turn()
            assert share is not None
            reply = share.pool.submit(b"{}")

            stopping = asyncio.create_task(server.reconciler.stop(5.0, asyncio.Event()))
            await asyncio.sleep(0.005)
            server.runtime.replicas[0].answer()
            await stopping

            assert await outcome(reply) == ANSWER
            assert server.endpoint().traffic_split == {"7": 100}

    run(scenario)


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("undeployed", [False, True])
def test_stopping_waits_no_longer_than_it_may(
    rooms: Rooms, *, told: bool, undeployed: bool
) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            await server.served("7", {"0": 100})
            share = server.turn()
            assert share is not None
            reply = share.pool.submit(b"{}")
            if undeployed:
                await server.undeploy("7")
            assert server.reconciler.predictions_in_work() == 1
            at_once = asyncio.Event()
            if told:
                at_once.set()

            async with asyncio.timeout(2.0):
                await server.reconciler.stop(20.0 if told else 0.01, at_once)

            assert isinstance(await outcome(reply), UnavailableError)
            assert server.runtime.running == []

    run(scenario)


def _leave(rooms: Rooms, **states: DeployState) -> dict[str, Operation]:
    """Leave rows as a server does that dies; return the operations by `d` and id."""
    wishes = wishes_over(rooms)
    wishes.create()
    left = {}
    for key, state in states.items():
        deployed_id = key.removeprefix("d")
        left[key] = wishes.deploy(NAME, MODEL, {"0": 100}, deployed_id)
        if state is DeployState.DEPLOYING:
            continue
        wishes.share(NAME, **{key: 100})
        if state is DeployState.UNDEPLOYING:
            left[key] = wishes.deployments.undeploy(NAME, deployed_id, {})
    return left


def test_after_a_restart_what_was_deployed_serves_again(rooms: Rooms) -> None:
    _leave(rooms, d7=DeployState.DEPLOYED)

    async def scenario() -> None:
        runtime = FakeRuntime(held=asyncio.Event())
        async with running(rooms, runtime) as server:
            assert server.reconciler.missing_replicas() == {"7": "starting"}
            assert runtime.held is not None
            runtime.held.set()

            await until(lambda: server.reconciler.missing_replicas() == {})

            await until(lambda: server.route_has("7"))
            assert server.endpoint().traffic_split == {"7": 100}

    run(scenario)


def test_after_a_restart_no_model_waits_for_another(rooms: Rooms) -> None:
    _leave(rooms, d7=DeployState.DEPLOYED, d8=DeployState.DEPLOYED)
    patch = EndpointPatch(traffic_split={"7": 50, "8": 50})
    wishes_over(rooms).endpoints.update(NAME, patch)

    async def scenario() -> None:
        runtime = FakeRuntime(held=asyncio.Event())
        async with running(rooms, runtime) as server:
            seen = set[str]()

            def both_have_turns() -> bool:
                share = server.turn()
                seen.update([] if share is None else [share.deployed_id])
                return seen == {"7", "8"}

            await until(both_have_turns)

            assert server.reconciler.missing_replicas().keys() == {"7", "8"}

    run(scenario)


def test_after_a_restart_a_deploy_goes_on(rooms: Rooms) -> None:
    left = _leave(rooms, d7=DeployState.DEPLOYING)

    async def scenario() -> None:
        async with running(rooms) as server:
            assert (await server.ended(left["d7"])).result == {"deployed_model": "7"}
            await until(lambda: server.route_has("7"))

    run(scenario)


def test_after_a_restart_a_recorded_deploy_has_ended(rooms: Rooms) -> None:
    # The server died between recording the deployment and ending its operation.
    left = _leave(rooms, d7=DeployState.DEPLOYED)

    async def scenario() -> None:
        async with running(rooms):
            ended = rooms.operations.get(left["d7"].name)
            assert ended.result == {"deployed_model": "7"}

    run(scenario)


def test_a_deployment_outlives_the_memory_of_its_operation(rooms: Rooms) -> None:
    left = _leave(rooms, d7=DeployState.DEPLOYED)

    async def first() -> None:
        async with running(rooms):
            pass

    async def much_later() -> None:
        rooms.clock.advance(days=31)
        async with running(rooms) as server:
            with pytest.raises(NotFoundError):
                rooms.operations.get(left["d7"].name)
            await until(lambda: server.route_has("7"))

    run(first)
    run(much_later)


def test_after_a_restart_an_undeploy_is_finished(rooms: Rooms) -> None:
    left = _leave(rooms, d7=DeployState.UNDEPLOYING)

    async def scenario() -> None:
        async with running(rooms) as server:
            assert (await server.ended(left["d7"])).failure is None
            assert server.endpoint().deployed_models == ()
            assert server.runtime.launches == []

    run(scenario)


def test_after_a_restart_what_does_not_load_is_missing_with_the_reason(
    rooms: Rooms,
) -> None:
    _leave(rooms, d7=DeployState.DEPLOYED)

    async def scenario() -> None:
        runtime = FakeRuntime(failures=[UnavailableError("no memory left")])
        async with running(rooms, runtime) as server:
            await until(
                lambda: (
                    "no memory left"
                    in server.reconciler.missing_replicas().get("7", "")
                )
            )
            await until(lambda: server.turn() is not None)
            share = server.turn()
            assert share is not None
            with pytest.raises(UnavailableError):
                share.pool.submit(b"{}")

            await until(lambda: server.reconciler.missing_replicas() == {})

            assert share.pool.is_complete

    run(scenario)


def test_after_a_restart_lost_bytes_are_looked_for_again(rooms: Rooms) -> None:
    _leave(rooms, d7=DeployState.DEPLOYED)
    (blob,) = (rooms.directory / "blobs" / "sha256").glob("*/*")
    aside = blob.rename(rooms.directory / "aside")

    async def scenario() -> None:
        async with running(rooms) as server:
            await until(
                lambda: (
                    "restore it from a backup"
                    in server.reconciler.missing_replicas().get("7", "")
                )
            )
            await asyncio.to_thread(aside.rename, blob)
            await until(lambda: server.reconciler.missing_replicas() == {})
            assert len(server.runtime.running) == 1

    run(scenario)


def test_what_never_comes_up_can_be_undeployed(rooms: Rooms) -> None:
    _leave(rooms, d7=DeployState.DEPLOYED)
    for blob in (rooms.directory / "blobs" / "sha256").glob("*/*"):
        blob.unlink()

    async def scenario() -> None:
        async with running(rooms) as server:
            await until(lambda: "backup" in server.reconciler.missing_replicas()["7"])

            assert (await server.ended(await server.undeploy("7"))).failure is None

            await until(lambda: server.reconciler.missing_replicas() == {})

    run(scenario)


def test_a_replica_that_dies_is_missing_until_another_answers(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            await server.served("7", {"0": 100})
            server.runtime.held = asyncio.Event()

            server.runtime.replicas[0].die()
            await until(lambda: server.reconciler.missing_replicas() != {})

            assert server.reconciler.missing_replicas() == {"7": "starting"}
            await until(lambda: server.reconciler.log_tail(NAME, 1)["7"] != [])
            (line,) = server.reconciler.log_tail(NAME, 1)["7"]
            assert line.endswith("replica ended: killed by SIGKILL; starting another")
            server.reconciler.update_gauges()
            assert b'replicas_ready{deployed_model="7",endpoint="e"} 0.0' in (
                server.metrics.text()
            )

    run(scenario)


def test_an_operation_that_nobody_carries_on_with_is_ended(rooms: Rooms) -> None:
    left = _leave(rooms, d7=DeployState.DEPLOYING)
    with rooms.database.transaction() as transaction:
        endpoint_rows.delete_deployment(transaction, "7")

    async def scenario() -> None:
        async with running(rooms):
            failure = rooms.operations.get(left["d7"].name).failure
            assert failure is not None
            assert "send the request again" in failure.message

    run(scenario)


def test_each_replica_is_given_a_gpu_of_its_own_and_gives_it_back(rooms: Rooms) -> None:
    async def scenario() -> None:
        resources = DedicatedResources(
            accelerator_type="NVIDIA_L4",
            accelerator_count=1,
            min_replica_count=2,
            max_replica_count=2,
        )
        async with running(rooms) as server:
            await server.create()
            await server.ended(await server.deploy("1", resources=resources))

            server.runtime.replicas[0].die()
            await until(lambda: len(server.runtime.launches) == 3)

            given = [launch.gpu_ids for launch in server.runtime.launches]
            assert sorted(given[:2]) == [(0,), (1,)]
            assert given[2] == given[0]

    run(scenario)


def test_a_model_without_accelerators_is_given_none(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with running(rooms) as server:
            await server.create()
            await server.served("1", {"0": 100})

            assert server.runtime.launches[0].gpu_ids == ()

    run(scenario)
