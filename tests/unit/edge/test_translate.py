"""What clients write becomes values, and values become what clients read."""

import dataclasses
import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.edge import codec, messages, translate, translate_warnings
from homeport.errors import InvalidArgumentError
from homeport.resources.endpoint import (
    DedicatedResources,
    DeployedModel,
    DeployState,
    Endpoint,
)
from homeport.resources.model import ContainerSpec, ModelVersion, VersionSpec
from homeport.resources.names import EndpointName, ModelName, Parent

T0 = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
T1 = dt.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=dt.UTC)
PARENT = Parent("p", "us-central1")
MODEL = ModelName(PARENT, "m")
ENDPOINT = EndpointName(PARENT, "e")
V1 = "type.googleapis.com/google.cloud.aiplatform.v1."
UPLOADED: dict[str, Any] = {
    "displayName": "Digits",
    "description": "of the model",
    "versionDescription": "of the version",
    "versionAliases": ["golden", "v1", "golden"],
    "labels": {"env": "prod"},
    "artifactUri": "gs://b/m",
    "containerSpec": {
        "imageUri": "image",
        "command": ["serve"],
        "args": ["--fast"],
        "env": [{"name": "B", "value": "2"}, {"name": "A"}],
        "ports": [{"containerPort": 8080}],
        "predictRoute": "/predict",
        "healthRoute": "/health",
        "grpcPorts": [{"containerPort": 9000}],
        "sharedMemorySizeMb": "16",
    },
    "metadataSchemaUri": "gs://b/schema",
    "explanationSpec": {"parameters": {"topK": 3}},
}


def _version(spec: VersionSpec) -> ModelVersion:
    return ModelVersion(
        name=MODEL.at(2),
        display_name=spec.display_name,
        description=spec.description,
        version_description=spec.version_description,
        aliases=("default", *spec.aliases),
        labels=spec.labels,
        artifact_uri=spec.artifact_uri,
        artifact=None,
        container=spec.container,
        kept=spec.kept,
        create_time=T0,
        update_time=T0,
        version_create_time=T1,
        version_update_time=T1,
        etag="tag",
    )


def _deployed(message: messages.DeployedModelMessage) -> DeployedModel:
    return DeployedModel(
        id="7",
        endpoint=ENDPOINT,
        version=MODEL.at(2),
        display_name=message.display_name,
        model_display_name="Digits",
        resources=translate.dedicated_resources(message),
        kept=message.kept_values(),
        state=DeployState.DEPLOYED,
        create_time=T1,
    )


def _deployed_json(**written: Any) -> dict[str, Any]:
    """Return how a deployed model reads that was written so."""
    message = codec.decode_object(messages.DeployedModelMessage, written)
    return codec.encode(translate.deployed_model_message(_deployed(message)))


def test_a_model_reads_as_it_was_uploaded() -> None:
    written = codec.decode_object(messages.ModelMessage, UPLOADED)

    version = _version(translate.version_spec(written))
    read = codec.encode(translate.model_message(version, versioned=False))

    assert read == {
        **UPLOADED,
        "containerSpec": UPLOADED["containerSpec"],
        "name": "projects/p/locations/us-central1/models/m",
        "versionId": "2",
        "versionAliases": ["default", "golden", "v1"],
        "versionCreateTime": "2026-01-02T03:04:05.678Z",
        "versionUpdateTime": "2026-01-02T03:04:05.678Z",
        "createTime": "2026-01-01T00:00:00Z",
        "updateTime": "2026-01-01T00:00:00Z",
        "supportedDeploymentResourcesTypes": ["DEDICATED_RESOURCES"],
        "supportedInputStorageFormats": [
            "jsonl",
            "csv",
            "tf-record",
            "tf-record-gzip",
            "file-list",
        ],
        "supportedOutputStorageFormats": ["jsonl", "csv"],
        "etag": "tag",
    }


def test_a_version_is_named_with_its_id_when_the_request_was() -> None:
    version = _version(VersionSpec("m"))

    read = codec.encode(translate.model_message(version, versioned=True))

    assert read["name"] == "projects/p/locations/us-central1/models/m@2"
    assert "containerSpec" not in read


def test_an_empty_container_is_not_no_container() -> None:
    version = _version(VersionSpec("m", container=ContainerSpec()))

    read = codec.encode(translate.model_message(version, versioned=True))

    assert read["containerSpec"] == {}


def test_what_has_no_effect_is_named_once_each() -> None:
    request = {"model": UPLOADED, "serviceAccount": "a@b"}
    message = codec.decode_object(messages.UploadModelRequest, request)

    assert translate_warnings.no_effect(message) == (
        "model.container_spec.shared_memory_size_mb was stored and has no effect here",
        "model.explanation_spec was stored and has no effect here",
        "model.metadata_schema_uri was stored and has no effect here",
        "service_account was stored and has no effect here",
    )
    assert translate_warnings.no_effect(messages.UploadModelRequest()) == ()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("m", str(MODEL), id="a bare id"),
        pytest.param("m@golden", f"{MODEL}@golden", id="a bare id with an alias"),
        pytest.param(
            "projects/q/locations/l/models/n@1",
            "projects/q/locations/l/models/n@1",
            id="a full name",
        ),
    ],
)
def test_a_model_is_named_in_full_or_by_its_id(text: str, name: str) -> None:
    assert str(translate.model_name(text, PARENT)) == name


@pytest.mark.parametrize("text", ["", "m n", "models/m", "projects/p/models/m", "m@"])
def test_what_names_no_model_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        translate.model_name(text, PARENT)


@pytest.mark.parametrize(
    ("accelerator", "name"),
    [
        pytest.param(11, "NVIDIA_L4", id="a number"),
        pytest.param(11.0, "NVIDIA_L4", id="a number as JavaScript writes it"),
        pytest.param("NVIDIA_TESLA_T4", "NVIDIA_TESLA_T4", id="a name"),
    ],
)
def test_an_accelerator_reads_as_a_name(accelerator: object, name: str) -> None:
    machine = {"acceleratorType": accelerator, "acceleratorCount": 1}

    read = _deployed_json(dedicatedResources={"machineSpec": machine})

    assert read["dedicatedResources"]["machineSpec"] == {
        "acceleratorType": name,
        "acceleratorCount": 1,
    }


@pytest.mark.parametrize("unspecified", [0, "ACCELERATOR_TYPE_UNSPECIFIED", ""])
def test_no_accelerator_is_none(unspecified: object) -> None:
    machine = {"machineType": "n1-standard-2", "acceleratorType": unspecified}

    read = _deployed_json(dedicatedResources={"machineSpec": machine})

    assert read["dedicatedResources"]["machineSpec"] == {"machineType": "n1-standard-2"}


@pytest.mark.parametrize(
    "machine",
    [
        {"acceleratorCount": 1},
        {"acceleratorCount": 1, "acceleratorType": 0},
        {"acceleratorCount": -1, "acceleratorType": "NVIDIA_L4"},
    ],
)
def test_accelerators_of_no_kind_are_refused(machine: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="accelerator_count"):
        _deployed_json(dedicatedResources={"machineSpec": machine})


@pytest.mark.parametrize(
    ("written", "low", "high"),
    [
        pytest.param({}, 1, 1, id="nothing"),
        pytest.param({"dedicatedResources": {}}, 1, 1, id="the defaults"),
        pytest.param(
            {"dedicatedResources": {"minReplicaCount": 3}}, 3, 3, id="at least"
        ),
        pytest.param(
            {"dedicatedResources": {"maxReplicaCount": 2}}, 1, 2, id="at most"
        ),
        pytest.param(
            {"automaticResources": {"minReplicaCount": 2, "maxReplicaCount": 4}},
            2,
            4,
            id="automatic",
        ),
    ],
)
def test_replica_counts_have_the_apis_defaults(
    written: dict[str, Any], low: int, high: int
) -> None:
    read = _deployed_json(**written)["dedicatedResources"]

    assert (read["minReplicaCount"], read["maxReplicaCount"]) == (low, high)


def test_what_has_no_effect_on_a_deployed_model_is_read_back() -> None:
    dedicated = {
        "machineSpec": {
            "machineType": "n1-standard-2",
            "reservationAffinity": {"reservationAffinityType": "NO_RESERVATION"},
        },
        "minReplicaCount": 1,
        "maxReplicaCount": 1,
        "spot": True,
        "autoscalingMetricSpecs": [{"metricName": "cpu", "target": 60}],
    }

    read = _deployed_json(
        displayName="d", serviceAccount="a@b", dedicatedResources=dedicated
    )

    assert read == {
        "id": "7",
        "model": "projects/p/locations/us-central1/models/m",
        "modelVersionId": "2",
        "displayName": "d",
        "createTime": "2026-01-02T03:04:05.678Z",
        "serviceAccount": "a@b",
        "dedicatedResources": dedicated,
    }


def test_a_deployed_model_reads_with_one_kind_of_resources() -> None:
    pool = "projects/p/locations/l/deploymentResourcePools/x"

    read = _deployed_json(sharedResources=pool)

    assert read["sharedResources"] == pool
    assert "dedicatedResources" not in read
    # Protobuf's JSON refuses a message that sets two of a oneof.
    codec.decode_object(messages.DeployedModelMessage, read)


@given(
    resources=st.builds(
        DedicatedResources,
        machine_type=st.sampled_from(["", "n1-standard-2"]),
        accelerator_type=st.just("NVIDIA_L4"),
        accelerator_count=st.integers(0, 8),
        min_replica_count=st.integers(1, 9),
        max_replica_count=st.integers(9, 99),
        kept=st.dictionaries(
            st.sampled_from(["spot", "tpu_topology", "gpu_partition_size"]),
            st.sampled_from(["x", True, {"a": 1}]),
        ),
    )
)
def test_resources_are_read_back_as_they_were_written(
    resources: DedicatedResources,
) -> None:
    deployed = dataclasses.replace(
        _deployed(messages.DeployedModelMessage()), resources=resources
    )

    wire = codec.encode(translate.deployed_model_message(deployed))
    read = codec.decode_object(messages.DeployedModelMessage, wire)

    assert translate.dedicated_resources(read) == resources


def test_an_endpoint_reads_with_its_deployed_models() -> None:
    endpoint = Endpoint(
        name=ENDPOINT,
        display_name="e",
        description="d",
        labels={"env": "prod"},
        deployed_models=(_deployed(messages.DeployedModelMessage()),),
        traffic_split={"7": 100},
        kept={"network": "n"},
        create_time=T0,
        update_time=T1,
        etag="tag",
    )

    read = codec.encode(translate.endpoint_message(endpoint))

    (deployed,) = read.pop("deployedModels")
    assert deployed["id"] == "7"
    assert read == {
        "name": "projects/p/locations/us-central1/endpoints/e",
        "displayName": "e",
        "description": "d",
        "labels": {"env": "prod"},
        "trafficSplit": {"7": 100},
        "network": "n",
        "createTime": "2026-01-01T00:00:00Z",
        "updateTime": "2026-01-02T03:04:05.678Z",
        "etag": "tag",
    }


def test_a_dedicated_endpoint_without_https_is_told_how_to_have_it() -> None:
    document = {"dedicatedEndpointEnabled": True, "network": "n"}
    message = codec.decode_object(messages.EndpointMessage, document)

    assert translate_warnings.of_endpoint(message, has_https=False) == (
        "network was stored and has no effect here",
        "dedicated_endpoint_enabled was stored and has no effect here without HTTPS: "
        "start the server with --tls-port",
    )
    assert translate_warnings.of_endpoint(message, has_https=True) == (
        "network was stored and has no effect here",
    )


@pytest.mark.parametrize("kind", ["dedicatedResources", "automaticResources"])
def test_a_minimum_of_no_replica_is_a_warning_where_it_was_written(kind: str) -> None:
    def warnings(counts: dict[str, int]) -> tuple[str, ...]:
        document = {"deployedModel": {"model": "m", kind: counts}}
        message = codec.decode_object(messages.DeployModelRequest, document)
        return translate_warnings.of_deployment(message)

    name = kind.replace("R", "_r")
    assert warnings({"minReplicaCount": 0, "maxReplicaCount": 2}) == (
        f"deployed_model.{name}.min_replica_count is 0, and one replica runs always: "
        "nothing is scaled to zero here, undeploy what is to cost nothing",
    )
    assert warnings({"maxReplicaCount": 2}) == ()
    assert warnings({"minReplicaCount": 1}) == ()
    assert translate_warnings.of_deployment(messages.DeployModelRequest()) == ()


@pytest.mark.parametrize(
    ("image", "fields"),
    [
        pytest.param(
            "example.com/serving:1", ["grpc_ports"], id="gRPC is served for no image"
        ),
        pytest.param(
            "", ["grpc_ports", "ports", "predict_route"], id="our worker has no ports"
        ),
    ],
)
def test_what_a_container_asks_in_vain_is_a_warning(
    image: str, fields: list[str]
) -> None:
    container = {
        "imageUri": image,
        "ports": [{"containerPort": 8080}],
        "grpcPorts": [{"containerPort": 9000}],
        "predictRoute": "/predict",
    }
    message = codec.decode_object(
        messages.UploadModelRequest,
        {"model": {"displayName": "m", "containerSpec": container}},
    )

    assert sorted(translate_warnings.of_upload(message)) == [
        f"model.container_spec.{field} was stored and has no effect here"
        for field in fields
    ]
