"""The verbs on endpoints write wishes that can be granted, and refuse the others."""

import concurrent.futures
import dataclasses
import threading
from collections.abc import Callable

import pytest

from homeport.errors import (
    AbortedError,
    AlreadyExistsError,
    Code,
    FailedPreconditionError,
    HomeportError,
    InvalidArgumentError,
    NotFoundError,
    UnimplementedError,
)
from homeport.metadata import endpoint_rows
from homeport.resources.endpoint import DedicatedResources, DeployState
from homeport.resources.model import ContainerSpec, VersionSpec
from homeport.resources.names import EndpointName, ModelName
from homeport.resources.operation import Operation, OperationKind
from homeport.resources.traffic import TrafficState
from homeport.serving.endpoints import Endpoints
from homeport.serving.engines import Offer
from homeport.serving.specs import (
    DeployedModelPatch,
    DeploySpec,
    EndpointPatch,
    EndpointSpec,
)
from rooms import PARENT, Rooms, page
from wishes import Wishes, open_desk, open_wishes

MODEL = ModelName(PARENT, "m")
MISSING = EndpointName(PARENT, "missing")


@pytest.fixture
def wishes(rooms: Rooms) -> Wishes:
    return open_wishes(rooms)


def _split(wishes: Wishes, name: EndpointName) -> dict[str, int]:
    return dict(wishes.endpoints.get(name).traffic_split)


def _states(wishes: Wishes) -> dict[str, str]:
    with wishes.rooms.database.snapshot() as transaction:
        return {
            one.deployed_model.id: one.deployed_model.state.value
            for one in endpoint_rows.deployments(transaction)
        }


def test_an_endpoint_is_made_at_once_and_read_back(wishes: Wishes) -> None:
    spec = EndpointSpec(
        "shop",
        description="for the shop",
        labels={"env": "prod"},
        kept={"network": "n"},
        warnings=("network was stored and has no effect here",),
    )

    operation = wishes.endpoints.create(PARENT, spec)

    name = EndpointName.parse(operation.result["endpoint"])
    assert operation.kind is OperationKind.CREATE_ENDPOINT
    assert operation.done
    assert operation.warnings == spec.warnings
    assert operation.name.resource == f"endpoints/{name.endpoint}"
    endpoint = wishes.endpoints.get(name)
    assert (endpoint.display_name, endpoint.description) == ("shop", "for the shop")
    assert (endpoint.labels, endpoint.kept) == ({"env": "prod"}, {"network": "n"})
    assert (endpoint.deployed_models, endpoint.traffic_split) == ((), {})
    assert endpoint.etag
    assert wishes.changes == [name]


@pytest.mark.parametrize("endpoint_id", ["a", "shop-1", "0", "123456789"])
def test_an_endpoint_id_may_be_chosen_once(wishes: Wishes, endpoint_id: str) -> None:
    name = wishes.create(endpoint_id)

    assert wishes.endpoints.get(name).name == name
    with pytest.raises(AlreadyExistsError, match=endpoint_id):
        wishes.create(endpoint_id)


@pytest.mark.parametrize("endpoint_id", ["01", "1234567890", "Shop", "shop-", "1a"])
def test_an_endpoint_id_that_breaks_the_rules_is_refused(
    wishes: Wishes, endpoint_id: str
) -> None:
    with pytest.raises(InvalidArgumentError, match="endpoint id"):
        wishes.create(endpoint_id)
    assert wishes.changes == []


@pytest.mark.parametrize(
    "spec", [EndpointSpec(""), EndpointSpec("e", labels={"ENV": "x"})]
)
def test_a_wrong_endpoint_is_refused(wishes: Wishes, spec: EndpointSpec) -> None:
    with pytest.raises(InvalidArgumentError):
        wishes.endpoints.create(PARENT, spec)


def test_what_is_not_there_is_not_found(wishes: Wishes) -> None:
    patch = EndpointPatch(display_name="x")
    for verb in (
        lambda: wishes.endpoints.get(MISSING),
        lambda: wishes.endpoints.update(MISSING, patch),
        lambda: wishes.endpoints.delete(MISSING),
        lambda: wishes.deploy(MISSING, MODEL),
        lambda: wishes.deployments.undeploy(MISSING, "1", {}),
    ):
        with pytest.raises(NotFoundError, match="missing was not found"):
            verb()


def test_endpoints_are_listed_with_filter_order_and_pages(wishes: Wishes) -> None:
    for endpoint_id, env in (("a", "dev"), ("b", "prod"), ("c", "prod")):
        spec = EndpointSpec(endpoint_id, labels={"env": env})
        wishes.endpoints.create(PARENT, spec, endpoint_id)
    request = page(
        "ListEndpoints", filter_="labels.env=prod", order_by="display_name desc", size=1
    )

    first, token = wishes.endpoints.list_endpoints(PARENT, request)
    rest, end = wishes.endpoints.list_endpoints(
        PARENT, dataclasses.replace(request, token=token, size=5)
    )

    assert [one.name.endpoint for one in (*first, *rest)] == ["c", "b"]
    assert end == ""
    by_id = page("ListEndpoints", filter_="endpoint=a OR endpoint=b")
    found, _ = wishes.endpoints.list_endpoints(PARENT, by_id)
    assert [one.name.endpoint for one in found] == ["a", "b"]


def test_an_update_replaces_what_it_names(wishes: Wishes) -> None:
    name = wishes.create()
    before = wishes.endpoints.get(name)
    wishes.rooms.clock.advance(minutes=1)

    patch = EndpointPatch(display_name="f", labels={"env": "dev"}, etag=before.etag)
    after = wishes.endpoints.update(name, patch)

    assert after == wishes.endpoints.get(name)
    assert after == dataclasses.replace(
        before,
        display_name="f",
        labels={"env": "dev"},
        etag=after.etag,
        update_time=wishes.rooms.clock.now(),
    )
    assert after.etag != before.etag
    assert wishes.changes == [name, name]


def test_an_update_of_what_somebody_else_changed_is_aborted(wishes: Wishes) -> None:
    name = wishes.create()
    read = wishes.endpoints.get(name)
    wishes.endpoints.update(name, EndpointPatch(description="theirs"))

    with pytest.raises(AbortedError, match="read it again"):
        wishes.endpoints.update(name, EndpointPatch(description="x", etag=read.etag))

    wishes.endpoints.update(name, EndpointPatch(display_name="blind"))
    assert wishes.endpoints.get(name).description == "theirs"


@pytest.mark.parametrize(
    ("split", "cause"),
    [
        pytest.param({"1": 100, "9": 0}, r"\['9'\] do not exist", id="unknown id"),
        pytest.param({"0": 100}, r"\['0'\] do not exist", id="0 is for deploys"),
        pytest.param({"1": 60, "2": 50}, "adds up to 110", id="too much"),
        pytest.param({"1": 99}, "adds up to 99", id="too little"),
        pytest.param({"1": 101, "2": -1}, "0 to 100", id="under 0 and over 100"),
        pytest.param({"1": 0, "2": 0}, "adds up to 0", id="nothing at all"),
    ],
)
def test_a_split_that_cannot_be_served_is_refused(
    wishes: Wishes, split: dict[str, int], cause: str
) -> None:
    name = wishes.create()
    wishes.serve(name, "1", "2", d1=100)

    with pytest.raises(InvalidArgumentError, match=cause):
        wishes.endpoints.update(name, EndpointPatch(traffic_split=split))

    assert _split(wishes, name) == {"1": 100}


@pytest.mark.parametrize("split", [{"1": 80, "2": 20}, {"1": 0, "2": 100}, {}])
def test_a_split_is_replaced(wishes: Wishes, split: dict[str, int]) -> None:
    name = wishes.create()
    wishes.serve(name, "1", "2", d1=100)

    wishes.endpoints.update(name, EndpointPatch(traffic_split=split))

    assert _split(wishes, name) == split


def test_an_endpoint_with_a_deployed_model_is_not_deleted(wishes: Wishes) -> None:
    name = wishes.create()
    wishes.deploy(name, MODEL, {}, "7")

    with pytest.raises(FailedPreconditionError, match="deployed models 7"):
        wishes.endpoints.delete(name)
    wishes.serve(name, "8")  # without traffic it counts as well
    with pytest.raises(FailedPreconditionError, match="7, 8"):
        wishes.endpoints.delete(name)


def test_an_empty_endpoint_is_deleted(wishes: Wishes) -> None:
    name = wishes.create()

    operation = wishes.endpoints.delete(name)

    assert operation.kind is OperationKind.DELETE_ENDPOINT
    assert operation.done
    assert wishes.changes == [name, name]
    with pytest.raises(NotFoundError):
        wishes.endpoints.get(name)


def test_a_deploy_is_a_promise_that_shows_nothing_yet(wishes: Wishes) -> None:
    name = wishes.create()
    wishes.serve(name, "1", d1=100)

    operation = wishes.deploy(name, MODEL, {"0": 20, "1": 80})

    assert operation.kind is OperationKind.DEPLOY_MODEL
    assert not operation.done
    assert [one.id for one in wishes.endpoints.get(name).deployed_models] == ["1"]
    assert _split(wishes, name) == {"1": 100}
    assert wishes.changes[-1] == name


def test_a_deploy_pins_the_version_it_means_now(wishes: Wishes) -> None:
    name = wishes.create()
    wishes.rooms.register(parent_model=MODEL, aliases=("golden",))
    for deployed_id, version in (("1", ""), ("2", "golden"), ("3", "1")):
        wishes.deploy(name, MODEL.at(version), {}, deployed_id)

    wishes.rooms.catalog.merge_aliases(MODEL.at(2), ("default",))

    with wishes.rooms.database.snapshot() as transaction:
        pinned = {
            one.deployed_model.id: one.deployed_model.version.version
            for one in endpoint_rows.deployments(transaction)
        }
    assert pinned == {"1": "1", "2": "2", "3": "1"}


def test_a_deployed_model_has_the_models_name_unless_it_has_its_own(
    wishes: Wishes,
) -> None:
    name = wishes.create()
    own = DeploySpec(MODEL, {}, "2", display_name="own", kept={"service_account": "s"})
    wishes.deploy(name, MODEL, {}, "1")
    wishes.deployments.deploy(name, own)

    with wishes.rooms.database.snapshot() as transaction:
        first, second = (
            one.deployed_model for one in endpoint_rows.deployments(transaction)
        )
    assert (first.display_name, first.model_display_name) == ("m", "m")
    assert (second.display_name, second.model_display_name) == ("own", "m")
    assert second.kept == {"service_account": "s"}
    assert second.resources == DedicatedResources()


@pytest.mark.parametrize(
    ("spec", "error", "cause"),
    [
        pytest.param(
            DeploySpec(MODEL, {"9": 100}),
            InvalidArgumentError,
            "do not exist",
            id="unknown id in the split",
        ),
        pytest.param(
            DeploySpec(MODEL, {"0": 50}), InvalidArgumentError, "50", id="split short"
        ),
        pytest.param(
            DeploySpec(MODEL, {}, "01"), InvalidArgumentError, "01", id="leading zero"
        ),
        pytest.param(
            DeploySpec(MODEL, {}, "0"), InvalidArgumentError, "'0'", id="placeholder"
        ),
        pytest.param(
            DeploySpec(MODEL, {}, "1"), AlreadyExistsError, "1 is taken", id="taken"
        ),
        pytest.param(
            DeploySpec(MODEL.at(9), {}), NotFoundError, "version '9'", id="no version"
        ),
        pytest.param(
            DeploySpec(ModelName(PARENT, "x"), {}), NotFoundError, "x", id="no model"
        ),
        pytest.param(
            DeploySpec(MODEL, {}, resources=DedicatedResources(min_replica_count=0)),
            InvalidArgumentError,
            "min_replica_count is 0",
            id="no replicas",
        ),
        pytest.param(
            DeploySpec(
                MODEL,
                {},
                resources=DedicatedResources(min_replica_count=3, max_replica_count=2),
            ),
            InvalidArgumentError,
            "max_replica_count is 2",
            id="fewer at most than at least",
        ),
    ],
)
def test_a_deploy_that_cannot_be_is_refused(
    wishes: Wishes, spec: DeploySpec, error: type[HomeportError], cause: str
) -> None:
    name = wishes.create()
    wishes.serve(name, "1", d1=100)

    with pytest.raises(error, match=cause):
        wishes.deployments.deploy(name, spec)

    assert _states(wishes) == {"1": "deployed"}


@pytest.mark.parametrize(
    ("container", "error", "cause"),
    [
        pytest.param(
            ContainerSpec(image_uri="example.com/own:1"),
            FailedPreconditionError,
            "its own container example.com/own:1, and this server runs no containers",
            id="own image",
        ),
        pytest.param(
            ContainerSpec(image_uri="--privileged"),
            FailedPreconditionError,
            "which is no name of an image",
            id="an option as image",
        ),
        pytest.param(
            ContainerSpec(
                image_uri="us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"
            ),
            UnimplementedError,
            "prebuilt image for TensorFlow",
            id="another framework",
        ),
        pytest.param(
            ContainerSpec(
                image_uri="example.com/own:1",
                kept={"health_probe": {"grpc": {"port": 8080}}},
            ),
            UnimplementedError,
            "a gRPC probe cannot be carried out",
            id="a gRPC probe",
        ),
        pytest.param(
            ContainerSpec(
                image_uri="us-docker.pkg.dev/vertex-ai/prediction/pytorch-gpu.2-1:latest",
                args=("--workers=2",),
            ),
            UnimplementedError,
            "command or arguments",
            id="arguments",
        ),
        pytest.param(
            ContainerSpec(
                image_uri="us-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-1:latest"
            ),
            FailedPreconditionError,
            "no artifact to serve",
            id="nothing to load",
        ),
    ],
)
def test_a_version_that_our_worker_cannot_serve_is_refused(
    wishes: Wishes, container: ContainerSpec, error: type[HomeportError], cause: str
) -> None:
    name = wishes.create()
    own = wishes.rooms.insert("own", VersionSpec("own", container=container))

    with pytest.raises(error, match=cause):
        wishes.deploy(name, own)


def test_what_the_host_lacks_is_a_warning_or_a_refusal(wishes: Wishes) -> None:
    name = wishes.create()
    resources = DedicatedResources(machine_type="n1-standard-9999", max_replica_count=2)
    spec = DeploySpec(MODEL, {}, resources=resources, warnings=("first",))

    operation = wishes.deployments.deploy(name, spec)

    assert operation.warnings[0] == "first"
    assert "has 9999 cores" in operation.warnings[1]
    assert len(operation.warnings) == 2


def test_what_names_no_machine_type_is_refused_where_it_is_given(
    wishes: Wishes,
) -> None:
    name = wishes.create()
    resources = DedicatedResources(machine_type="laptop")

    with pytest.raises(InvalidArgumentError, match="machine_type is 'laptop'"):
        wishes.deployments.deploy(name, DeploySpec(MODEL, {}, resources=resources))

    wishes.serve(name, "1", d1=100)
    with pytest.raises(InvalidArgumentError, match="machine_type is 'laptop'"):
        wishes.deployments.mutate(
            name, "1", DeployedModelPatch({"machine_type": "laptop"})
        )


def test_a_machine_type_older_than_its_rule_keeps_nothing_from_being_changed(
    wishes: Wishes,
) -> None:
    name = wishes.create()
    wishes.serve(name, "1", d1=100)
    (deployed,) = wishes.endpoints.get(name).deployed_models
    older = dataclasses.replace(deployed.resources, machine_type="laptop")
    with wishes.rooms.database.transaction() as transaction:
        kept = dataclasses.replace(deployed, resources=older)
        endpoint_rows.set_resources(transaction, kept)

    wishes.deployments.mutate(name, "1", DeployedModelPatch({"max_replica_count": 2}))

    (deployed,) = wishes.endpoints.get(name).deployed_models
    assert deployed.resources.max_replica_count == 2
    assert deployed.resources.machine_type == "laptop"


def test_strict_resources_refuse_what_the_host_lacks(rooms: Rooms) -> None:
    wishes = open_wishes(rooms, offer=Offer(strict_resources=True))
    name = wishes.create()
    resources = DedicatedResources(machine_type="n1-standard-9999")

    with pytest.raises(FailedPreconditionError, match="9999 cores"):
        wishes.deployments.deploy(name, DeploySpec(MODEL, {}, resources=resources))
    assert _states(wishes) == {}


@pytest.mark.parametrize(
    ("split", "left"),
    [
        pytest.param({"2": 100}, {"2": 100}, id="to the other"),
        pytest.param(
            {"1": 0, "2": 70, "3": 30}, {"2": 70, "3": 30}, id="to the others"
        ),
    ],
)
def test_an_undeploy_may_share_the_traffic_out_anew(
    wishes: Wishes, split: dict[str, int], left: dict[str, int]
) -> None:
    name = wishes.create()
    wishes.serve(name, "1", "2", "3", d1=60, d2=40)

    operation = wishes.deployments.undeploy(name, "1", split)

    assert operation.kind is OperationKind.UNDEPLOY_MODEL
    assert not operation.done
    assert _split(wishes, name) == left
    assert _states(wishes)["1"] == "undeploying"
    assert wishes.changes[-1] == name


def test_a_model_without_traffic_leaves_the_split_alone(wishes: Wishes) -> None:
    name = wishes.create()
    wishes.serve(name, "1", "2", "3", d1=0, d2=40, d3=60)

    wishes.deployments.undeploy(name, "1", {})

    assert _split(wishes, name) == {"2": 40, "3": 60}


def test_the_last_undeploy_empties_the_split(wishes: Wishes) -> None:
    name = wishes.create()
    wishes.serve(name, "1", d1=100)

    wishes.deployments.undeploy(name, "1", {})

    assert _split(wishes, name) == {}


@pytest.mark.parametrize(
    ("deployed_id", "split", "code", "cause"),
    [
        pytest.param(
            "1", {}, Code.FAILED_PRECONDITION, "still has traffic", id="has traffic"
        ),
        pytest.param(
            "1",
            {"1": 50, "2": 50},
            Code.INVALID_ARGUMENT,
            "still gives 50 percent",
            id="keeps traffic",
        ),
        pytest.param(
            "1",
            {"0": 100},
            Code.INVALID_ARGUMENT,
            r"The following DeployedModel ID\(s\) \['0'\] do not exist",
            id="0 is for deploys",
        ),
        pytest.param(
            "1", {"2": 90}, Code.INVALID_ARGUMENT, "adds up to 90", id="too little"
        ),
        pytest.param(
            "1", {"1": 0}, Code.INVALID_ARGUMENT, "adds up to 0", id="nothing at all"
        ),
        pytest.param("9", {}, Code.NOT_FOUND, "no deployed model '9'", id="unknown"),
        pytest.param(
            "4", {}, Code.FAILED_PRECONDITION, "4 is deploying", id="not yet there"
        ),
        pytest.param("5", {}, Code.NOT_FOUND, "'5'", id="of another endpoint"),
    ],
)
def test_an_undeploy_that_would_lose_traffic_is_refused(
    wishes: Wishes, deployed_id: str, split: dict[str, int], code: Code, cause: str
) -> None:
    name = wishes.create()
    wishes.serve(name, "1", "2", d1=60, d2=40)
    wishes.deploy(name, MODEL, {}, "4")
    wishes.serve(wishes.create("other"), "5", d5=100)

    with pytest.raises(HomeportError, match=cause) as raised:
        wishes.deployments.undeploy(name, deployed_id, split)

    assert raised.value.code is code
    assert _split(wishes, name) == {"1": 60, "2": 40}
    assert DeployState.UNDEPLOYING.value not in _states(wishes).values()


def test_a_model_is_undeployed_once(wishes: Wishes) -> None:
    name = wishes.create()
    wishes.serve(name, "1", d1=100)
    wishes.deployments.undeploy(name, "1", {})

    with pytest.raises(FailedPreconditionError, match="1 is undeploying"):
        wishes.deployments.undeploy(name, "1", {})
    with pytest.raises(InvalidArgumentError, match="do not exist"):
        wishes.endpoints.update(name, EndpointPatch(traffic_split={"1": 100}))


def test_replica_counts_of_what_serves_are_changed_at_once(wishes: Wishes) -> None:
    name = wishes.create()
    wishes.serve(name, "1", d1=100)
    patch = DeployedModelPatch(
        {"min_replica_count": 2, "max_replica_count": 3},
        kept={"disable_container_logging": True},
    )

    operation = wishes.deployments.mutate(name, "1", patch)

    assert operation.done
    assert operation.kind is OperationKind.MUTATE_DEPLOYED_MODEL
    assert operation.result == {"deployed_model": "1"}
    (deployed,) = wishes.endpoints.get(name).deployed_models
    assert deployed.resources.min_replica_count == 2
    assert deployed.resources.max_replica_count == 3
    assert deployed.kept == {"disable_container_logging": True}
    assert wishes.changes[-1] == name


def test_a_minimum_above_the_maximum_changes_nothing(wishes: Wishes) -> None:
    name = wishes.create()
    wishes.serve(name, "1", d1=100)

    with pytest.raises(InvalidArgumentError, match="max_replica_count is 1"):
        wishes.deployments.mutate(
            name, "1", DeployedModelPatch({"min_replica_count": 2})
        )

    (deployed,) = wishes.endpoints.get(name).deployed_models
    assert deployed.resources.min_replica_count == 1


def test_what_is_not_deployed_is_not_changed(wishes: Wishes) -> None:
    name = wishes.create()
    wishes.deploy(name, MODEL, deployed_id="1")

    with pytest.raises(FailedPreconditionError, match="is deploying"):
        wishes.deployments.mutate(name, "1", DeployedModelPatch())
    with pytest.raises(NotFoundError, match="no deployed model '9'"):
        wishes.deployments.mutate(name, "9", DeployedModelPatch())


def _traffic(
    wishes: Wishes, name: EndpointName, filter_text: str = ""
) -> list[TrafficState]:
    asked = page("ListTrafficStates", filter_=filter_text)
    return wishes.endpoints.traffic_states(name, asked)[0]


def _numbers(wishes: Wishes, name: EndpointName) -> list[tuple[int, dict[str, int]]]:
    return [(one.number, dict(one.split)) for one in _traffic(wishes, name)]


def test_each_change_of_traffic_is_a_state_that_one_call_brings_back(
    wishes: Wishes,
) -> None:
    name = wishes.create()
    wishes.serve(name, "1", "2", d1=100)
    for split in ({"1": 80, "2": 20}, {"1": 0, "2": 100}):
        wishes.endpoints.update(name, EndpointPatch(traffic_split=split))
    wishes.endpoints.update(name, EndpointPatch(display_name="renamed"))

    state, promised = wishes.deployments.roll_back(name)

    assert (state.number, promised) == (1, [])
    assert _split(wishes, name) == {"1": 80, "2": 20}
    assert _numbers(wishes, name) == [
        (3, {"1": 80, "2": 20}),
        (2, {"2": 100}),
        (1, {"1": 80, "2": 20}),
    ]
    placed = _traffic(wishes, name)[2].models
    assert {id_: str(one.version) for id_, one in placed.items()} == {
        "1": f"{MODEL}@1",
        "2": f"{MODEL}@1",
    }


def test_a_state_whose_models_are_gone_is_deployed_again_under_the_old_ids(
    wishes: Wishes,
) -> None:
    name = wishes.create()
    wishes.serve(name, "1", "2", d1=100)
    for split in ({"1": 60, "2": 40}, {"2": 100}):
        wishes.endpoints.update(name, EndpointPatch(traffic_split=split))
    with wishes.rooms.database.transaction() as transaction:
        endpoint_rows.delete_deployment(transaction, "1")

    state, promised = wishes.deployments.roll_back(name, 1)

    assert [one.kind for one in promised] == [OperationKind.DEPLOY_MODEL]
    assert _states(wishes) == {"1": "deploying", "2": "deployed"}
    # The old traffic stays until the model answers.
    assert _split(wishes, name) == {"2": 100}
    assert state.split == {"1": 60, "2": 40}


def test_traffic_states_come_in_pages_and_are_filtered(wishes: Wishes) -> None:
    name = wishes.create()
    wishes.serve(name, "1", "2", d1=100)
    for split in ({"2": 100}, {"1": 100}, {"1": 50, "2": 50}):
        wishes.endpoints.update(
            name, EndpointPatch(traffic_split=split), caller=f"caller {len(split)}"
        )
    method = "ListTrafficStates"

    first, token = wishes.endpoints.traffic_states(name, page(method, size=2))
    rest, end = wishes.endpoints.traffic_states(name, page(method, token=token))

    assert [one.number for one in (*first, *rest)] == [3, 2, 1]
    assert end == ""
    filtered = _traffic(wishes, name, 'caller="caller 1" AND state<2')
    assert [one.number for one in filtered] == [1]


@pytest.mark.parametrize(
    ("number", "words"), [(0, "no earlier traffic state"), (7, "no traffic state 7")]
)
def test_a_state_that_there_is_not_cannot_come_back(
    wishes: Wishes, number: int, words: str
) -> None:
    name = wishes.create()

    with pytest.raises(NotFoundError, match=words):
        wishes.deployments.roll_back(name, number)


def test_a_long_update_changes_the_connection_alone(wishes: Wishes) -> None:
    name = wishes.create()
    etag = wishes.endpoints.get(name).etag
    settings = {"inferenceTimeout": "90s"}
    spec = EndpointSpec("e", kept={"client_connection_config": settings})

    operation = wishes.endpoints.update_connection(name, spec, etag)

    assert operation.done
    assert operation.kind is OperationKind.UPDATE_ENDPOINT
    assert wishes.endpoints.get(name).kept == {"client_connection_config": settings}
    with pytest.raises(AbortedError, match="etag"):
        wishes.endpoints.update_connection(name, spec, etag)
    with pytest.raises(InvalidArgumentError, match="would change display_name"):
        wishes.endpoints.update_connection(name, EndpointSpec("other"))


@pytest.mark.parametrize(
    ("timeout", "warned"),
    [
        pytest.param("60s", [], id="the server's"),
        pytest.param(
            "90s",
            [
                "client_connection_config.inference_timeout is 90 s, and predictions "
                "have 60 s here: the server's --request-deadline holds, start it with "
                "a longer one"
            ],
            id="longer",
        ),
        pytest.param("0.1s", [], id="the shortest"),
        pytest.param(
            "0.01s",
            [
                "client_connection_config.inference_timeout is 0.01 s, and the server "
                "looks at deadlines every 0.1 s: a prediction may take that long"
            ],
            id="shorter",
        ),
    ],
)
def test_a_timeout_that_the_server_does_not_keep_is_warned_of(
    wishes: Wishes, rooms: Rooms, timeout: str, warned: list[str]
) -> None:
    desk = open_desk(rooms, lambda _: None)
    endpoints = Endpoints(desk, rooms.pager, deadline_s=60.0)
    kept = {"client_connection_config": {"inferenceTimeout": timeout}}
    name = wishes.create()

    created = endpoints.create(PARENT, EndpointSpec("e", kept=kept))
    updated = endpoints.update_connection(name, EndpointSpec("e", kept=kept))

    assert [list(one.warnings) for one in (created, updated)] == [warned, warned]


def test_a_version_that_was_deleted_is_not_deployed(wishes: Wishes) -> None:
    name = wishes.create()

    with pytest.raises(NotFoundError, match="no version '2'"):
        wishes.deploy(name, ModelName(PARENT, "m", "2"))

    assert _states(wishes) == {}


def test_a_version_is_deleted_or_deployed_at_once_and_never_both(
    wishes: Wishes,
) -> None:
    name = wishes.create()
    together = threading.Barrier(2)

    def refusal(verb: Callable[[], Operation]) -> type[HomeportError] | None:
        together.wait(timeout=60)
        try:
            verb()
        except HomeportError as error:
            return type(error)
        return None

    verbs = (
        lambda: wishes.deploy(name, MODEL),
        lambda: wishes.rooms.catalog.delete_model(MODEL),
    )
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        deployed, deleted = threads.map(refusal, verbs)

    if deployed is None:
        assert deleted is FailedPreconditionError
        assert list(_states(wishes).values()) == ["deploying"]
    else:
        assert (deployed, deleted) == (NotFoundError, None)
        assert _states(wishes) == {}
