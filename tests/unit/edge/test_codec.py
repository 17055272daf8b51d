"""Messages are read and written as protobuf's own JSON does, where that is by intent.

The oracle is `json_format` with the message classes of the official client: what it
accepts is accepted with the same value, what it refuses is refused.
"""

# protobuf has no types, and the documents are any JSON

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any

import hypothesis
import orjson
import pytest
from google.cloud import aiplatform_v1
from hypothesis import strategies as st

from homeport.edge import codec
from homeport.errors import InvalidArgumentError
from wire_documents import assert_agreement, documents

ACCELERATORS = {
    "ACCELERATOR_TYPE_UNSPECIFIED": 0,
    "NVIDIA_TESLA_K80": 1,
    "NVIDIA_L4": 11,
}
DEPLOYMENT_TYPES = {
    "DEPLOYMENT_RESOURCES_TYPE_UNSPECIFIED": 0,
    "DEDICATED_RESOURCES": 1,
    "AUTOMATIC_RESOURCES": 2,
    "SHARED_RESOURCES": 3,
}


class Port(codec.Message):
    container_port: codec.Int32 = 0


class EnvVar(codec.Message):
    name: str = ""
    value: str = ""


class ContainerSpec(codec.Message):
    image_uri: str = ""
    command: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    ports: tuple[Port, ...] = ()
    predict_route: str = ""
    shared_memory_size_mb: codec.Int64 = 0
    deployment_timeout: codec.Duration | None = None


class Model(codec.Message):
    name: str = ""
    version_aliases: tuple[str, ...] = ()
    display_name: str = ""
    metadata: codec.Value = None
    supported_deployment_resources_types: tuple[
        Annotated[str, codec.EnumNames(DEPLOYMENT_TYPES)], ...
    ] = ()
    container_spec: ContainerSpec | None = None
    create_time: codec.Timestamp | None = None
    labels: Mapping[str, str] = {}


class UploadModelRequest(codec.Message):
    parent: str = ""
    model: Model | None = None


class UpdateModelRequest(codec.Message):
    model: Model | None = None
    update_mask: codec.FieldMask | None = None


class MachineSpec(codec.Message):
    machine_type: str = ""
    accelerator_type: Annotated[str, codec.EnumNames(ACCELERATORS)] = ""
    accelerator_count: codec.Int32 = 0


class AutomaticResources(codec.Message):
    min_replica_count: codec.Int32 = 0


class DedicatedResources(codec.Message):
    machine_spec: MachineSpec | None = None
    min_replica_count: codec.Int32 = 0
    max_replica_count: codec.Int32 = 0
    spot: codec.Bool = False


class DeployedModel(codec.Message):
    oneofs = (("dedicated_resources", "automatic_resources", "shared_resources"),)

    id: str = ""
    dedicated_resources: DedicatedResources | None = None
    automatic_resources: AutomaticResources | None = None
    shared_resources: str | None = None
    disable_container_logging: codec.Bool = False


class DeployModelRequest(codec.Message):
    endpoint: str = ""
    deployed_model: DeployedModel | None = None
    traffic_split: Mapping[str, codec.Int32] = {}


class LoggingConfig(codec.Message):
    enabled: codec.Bool = False
    sampling_rate: codec.Double = 0.0


class Endpoint(codec.Message):
    display_name: str = ""
    deployed_models: tuple[DeployedModel, ...] = ()
    traffic_split: Mapping[str, codec.Int32] = {}
    update_time: codec.Timestamp | None = None
    predict_request_response_logging_config: LoggingConfig | None = None


class GenerationConfig(codec.Message):
    temperature: codec.Float | None = None
    max_output_tokens: codec.Int32 | None = None


class Blob(codec.Message):
    mime_type: str = ""
    data: codec.Bytes = b""


class FunctionCall(codec.Message):
    name: str = ""
    args: codec.Struct | None = None


class Job(codec.Message):
    """Not Google's: the ways of a field that protobuf has no word for."""

    parent: codec.FromPath[str] = ""
    create_time: codec.OutputOnly[codec.Timestamp | None] = None
    replicas: codec.OutputOnly[codec.Int32] = 0
    explanation_spec: codec.Kept = None
    deployed_models: tuple["KeptModel", ...] = ()


class KeptModel(codec.Message):
    id: str = ""
    private_endpoints: codec.Kept = None


PAIRS = [
    pytest.param(
        ours, getattr(aiplatform_v1.types, ours.__name__).pb(), id=ours.__name__
    )
    for ours in (
        UploadModelRequest,
        UpdateModelRequest,
        DeployModelRequest,
        Endpoint,
        GenerationConfig,
        Blob,
        FunctionCall,
    )
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@hypothesis.given(data=st.data())
@hypothesis.settings(max_examples=40, deadline=None)
def test_agrees_with_protobuf(
    ours: type[codec.Message], theirs: Any, data: st.DataObject
) -> None:
    assert_agreement(ours, theirs, data.draw(documents(ours, theirs.DESCRIPTOR)))


# --- single rules ---------------------------------------------------------------------


def read(message_type: Any, **fields: Any) -> Any:
    return codec.decode(message_type, orjson.dumps(fields))


def refusal(message_type: Any, **fields: Any) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        read(message_type, **fields)
    return caught.value.message


@pytest.mark.parametrize(
    ("message_type", "fields"),
    [
        pytest.param(
            MachineSpec, {"acceleratorType": True}, id="true is no enum value"
        ),
        pytest.param(MachineSpec, {"acceleratorType": 11.5}, id="nor is a fraction"),
        pytest.param(MachineSpec, {"acceleratorType": " 11"}, id="nor a padded number"),
        pytest.param(LoggingConfig, {"samplingRate": True}, id="true is no number"),
        pytest.param(LoggingConfig, {"samplingRate": "inf"}, id="inf is Infinity"),
        pytest.param(LoggingConfig, {"samplingRate": " 1"}, id="no spaces in numbers"),
        pytest.param(
            AutomaticResources, {"minReplicaCount": "1_0"}, id="no underscore"
        ),
        pytest.param(
            AutomaticResources, {"minReplicaCount": "٣"}, id="no other digits"
        ),
        pytest.param(ContainerSpec, {"deploymentTimeout": " 3s"}, id="no padded span"),
        pytest.param(
            Model, {"createTime": "2024-1-2T3:4:5Z"}, id="two digits in times"
        ),
        pytest.param(Blob, {"data": "aG k="}, id="no space in base64"),
        pytest.param(
            DeployModelRequest, {"deployedModel": []}, id="a list is no object"
        ),
        pytest.param(
            AutomaticResources,
            {"minReplicaCount": 1, "min_replica_count": 2},
            id="one field under two names",
        ),
    ],
)
def test_accidents_of_json_format_are_refused(
    message_type: Any, fields: dict[str, Any]
) -> None:
    assert refusal(message_type, **fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param(
            {"deployedModel": {"dedicated_resources": {"minReplicas": 1}}},
            "deployedModel.dedicatedResources.minReplicas is not a known field: "
            "did you mean minReplicaCount?",
            id="unknown field with a near one",
        ),
        pytest.param(
            {"deployed_model": {"zzz": 1}},
            "deployedModel.zzz is not a known field",
            id="unknown field like no other",
        ),
        pytest.param(
            {"traffic_split": {"a_b": "many"}},
            'trafficSplit.a_b is "many": expected a whole number from -2147483648 '
            "to 2147483647",
            id="the key of a map stays as the caller wrote it",
        ),
        pytest.param(
            {"deployedModel": {"sharedResources": "x", "automaticResources": {}}},
            "deployedModel.sharedResources cannot be given together with "
            "automaticResources",
            id="two of a oneof",
        ),
        pytest.param(
            {"endpoint": 7, "deployedModel": {"id": 8}},
            "endpoint is 7: expected a string",
            id="only the first problem",
        ),
        pytest.param(
            {"deployedModel": "m" * 200},
            'deployedModel is "' + "m" * 76 + "...: expected an object",
            id="a long value is cut",
        ),
        pytest.param(
            {
                "deployedModel": {
                    "dedicatedResources": {"machineSpec": {"acceleratorType": "L4"}}
                }
            },
            'deployedModel.dedicatedResources.machineSpec.acceleratorType is "L4": '
            "expected one of ACCELERATOR_TYPE_UNSPECIFIED, NVIDIA_TESLA_K80, NVIDIA_L4",
            id="unknown enum name",
        ),
    ],
)
def test_refusal_is_one_sentence_with_the_path(
    fields: dict[str, Any], message: str
) -> None:
    assert refusal(DeployModelRequest, **fields) == message


def test_element_of_a_list_is_named_by_its_index() -> None:
    message = refusal(ContainerSpec, env=[{"name": "A"}, None])

    assert message == "env[1] is null: expected an object"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"", "the request body is empty: send a JSON object", id="empty"),
        pytest.param(
            b" \n", "the request body is empty: send a JSON object", id="blank"
        ),
        pytest.param(
            b"[1]", "the request body is [1]: expected a JSON object", id="a list"
        ),
        pytest.param(
            b'{\n "a": }',
            "the request body is not JSON: unexpected character, expected a JSON value "
            "at line 2 column 7",
            id="malformed",
        ),
        pytest.param(
            b'{"samplingRate": NaN}',
            "the request body is not JSON: unexpected character, expected a JSON value "
            "at line 1 column 18",
            id="NaN without quotes",
        ),
    ],
)
def test_body_that_is_no_json_object_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        codec.decode(LoggingConfig, body)

    assert caught.value.message == message


@hypothesis.given(body=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_body_raises_anything_else(body: bytes) -> None:
    try:
        codec.decode(Endpoint, body)
    except InvalidArgumentError as error:
        assert error.message  # noqa: PT017  # either outcome is right


@pytest.mark.parametrize("depth", [150, 900, 100_000])
def test_free_json_too_deep_to_be_written_is_refused(depth: int) -> None:
    body = b'{"metadata": ' + b"[" * depth + b"]" * depth + b"}"

    with pytest.raises(InvalidArgumentError):
        codec.decode(Model, body)


def test_free_json_as_deep_as_is_allowed_is_written_again() -> None:
    body = b'{"metadata":' + b"[" * 100 + b"]" * 100 + b"}"

    assert orjson.dumps(codec.encode(codec.decode(Model, body))) == body


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        pytest.param(
            "displayName,trafficSplit", ("display_name", "traffic_split"), id="SDK"
        ),
        pytest.param("display_name", ("display_name",), id="gcloud"),
        pytest.param(
            "labels.myKey,deployedModel.id",
            ("labels.myKey", "deployed_model.id"),
            id="a label keeps its case",
        ),
        pytest.param("labels.`a,b.C`", ("labels.`a,b.C`",), id="quoted key"),
        pytest.param(" a , ,b,", ("a", "b"), id="blanks"),
        pytest.param("*", ("*",), id="everything"),
        pytest.param("", (), id="nothing"),
    ],
)
def test_field_mask_is_read_in_both_cases(text: str, paths: tuple[str, ...]) -> None:
    assert codec.parse_field_mask(text) == paths
    assert read(UpdateModelRequest, updateMask={"paths": [text]}).update_mask == paths


def test_field_mask_is_written_in_camel_case_but_for_labels() -> None:
    request = UpdateModelRequest(update_mask=("display_name", "labels.my_key"))

    assert codec.encode(request) == {"updateMask": "displayName,labels.my_key"}


def test_values_arrive_as_python_types() -> None:
    spec = read(ContainerSpec, sharedMemorySizeMb="64", deploymentTimeout="-1.5s")
    model = read(Model, createTime="2024-01-02T03:04:05.123456789+01:00")

    assert spec.shared_memory_size_mb == 64
    assert spec.deployment_timeout == dt.timedelta(seconds=-1.5)
    assert model.create_time == dt.datetime(2024, 1, 2, 2, 4, 5, 123456, tzinfo=dt.UTC)
    assert read(Blob, data="_-8").data == b"\xff\xef"


def test_enum_is_kept_by_name_and_its_zero_as_absence() -> None:
    names = [
        read(MachineSpec, acceleratorType=value).accelerator_type
        for value in (11, "11", "NVIDIA_L4", 0, "ACCELERATOR_TYPE_UNSPECIFIED", 999)
    ]

    assert names == ["NVIDIA_L4", "NVIDIA_L4", "NVIDIA_L4", "", "", "999"]


def test_fields_of_the_server_and_of_the_url_are_dropped_from_a_request() -> None:
    job = read(Job, parent="projects/other", create_time="not a time", replicas=[])

    assert job == Job()


def test_fields_of_the_server_are_written_in_a_response() -> None:
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=dt.UTC)

    assert codec.encode(Job(create_time=moment, replicas=2)) == {
        "createTime": "2026-01-02T03:04:05.678Z",
        "replicas": 2,
    }


def test_fields_without_effect_are_kept_returned_and_listed() -> None:
    fields = {
        "explanationSpec": {"parameters": {"top_k": 3}},
        "deployedModels": [{"privateEndpoints": {"a": 1}}, {"privateEndpoints": [2]}],
    }

    job = read(Job, **fields)

    assert codec.encode(job) == fields
    assert job.kept_paths() == ("deployed_models.private_endpoints", "explanation_spec")
    assert job.kept_values() == {"explanation_spec": {"parameters": {"top_k": 3}}}
    assert Job(**job.kept_values()).explanation_spec == {"parameters": {"top_k": 3}}


@pytest.mark.parametrize("zero", [None, False, 0, 0.0, "", [], {}])
def test_zero_value_of_a_field_without_effect_is_no_warning(zero: Any) -> None:
    assert read(Job, explanationSpec=zero).kept_paths() == ()


def test_presence_decides_what_is_written() -> None:
    assert codec.encode(DeployedModel(shared_resources="")) == {"sharedResources": ""}
    assert codec.encode(DeployedModel(id="")) == {}
    assert codec.encode(Model(container_spec=ContainerSpec())) == {"containerSpec": {}}


@pytest.mark.parametrize("lax", [int, bool, float, bytes, dt.datetime, dt.timedelta])
def test_field_with_a_lax_type_cannot_be_declared(lax: type) -> None:
    fields = {"__annotations__": {"ports": tuple[lax, ...]}, "ports": ()}  # type: ignore[valid-type]  # made at run time

    with pytest.raises(TypeError, match=r"Lax\.ports"):
        type("Lax", (codec.Message,), {**fields, "__module__": __name__})


def test_message_made_of_checked_values_equals_the_checked_one() -> None:
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)

    made = Model.made(name="m", create_time=moment, labels={"a": "b"})

    assert made == Model(name="m", create_time=moment, labels={"a": "b"})
    assert made.model_copy(update={"labels": {}}).model_dump_json() == (
        Model(name="m", create_time=moment).model_dump_json()
    )
    assert codec.encode(made) == {
        "name": "m",
        "createTime": "2026-01-02T03:04:05Z",
        "labels": {"a": "b"},
    }


def test_message_is_not_made_of_a_field_that_it_lacks() -> None:
    with pytest.raises(TypeError, match="Port has no field container_prot"):
        Port.made(container_prot=1)


@pytest.mark.parametrize(
    ("microsecond", "text"),
    [
        pytest.param(0, "2026-01-02T03:04:05Z", id="none"),
        pytest.param(120_000, "2026-01-02T03:04:05.120Z", id="milliseconds"),
        pytest.param(120, "2026-01-02T03:04:05.000120Z", id="microseconds"),
    ],
)
def test_time_has_0_3_or_6_digits_of_a_second(microsecond: int, text: str) -> None:
    east = dt.timezone(dt.timedelta(hours=1))
    moment = dt.datetime(2026, 1, 2, 4, 4, 5, microsecond, tzinfo=east)

    assert codec.encode(Job(create_time=moment)) == {"createTime": text}
    assert codec.encode(Job.made(create_time=moment)) == {"createTime": text}


class Choice(codec.Message):
    """Not Google's: a type that no field of theirs has."""

    of: str | tuple[str, ...] = ""


def test_message_with_a_field_of_two_types_is_not_written() -> None:
    with pytest.raises(TypeError, match="is the type of no field of a message"):
        codec.encode(Choice(of="a"))
