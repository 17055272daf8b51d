"""Operations read as google.longrunning has them."""

import dataclasses
import datetime as dt
from typing import Any

import pytest

from homeport.edge import messages, translate_operations
from homeport.errors import Code
from homeport.resources.names import EndpointName, OperationName, Parent
from homeport.resources.operation import Failure, Operation, OperationKind

T0 = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
T1 = dt.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=dt.UTC)
PARENT = Parent("p", "us-central1")
ENDPOINT = EndpointName(PARENT, "e")
V1 = "type.googleapis.com/google.cloud.aiplatform.v1."


def _operation(kind: OperationKind, **fields: Any) -> Operation:
    operation = Operation(
        name=OperationName(PARENT, "models/m", "1"),
        kind=kind,
        warnings=(),
        done=False,
        failure=None,
        result={},
        create_time=T0,
        update_time=T1,
    )
    return dataclasses.replace(operation, **fields)


def test_an_operation_that_goes_on_says_neither_done_nor_response() -> None:
    assert translate_operations.to_json(_operation(OperationKind.UPLOAD_MODEL)) == {
        "name": "projects/p/locations/us-central1/models/m/operations/1",
        "metadata": {
            "@type": f"{V1}UploadModelOperationMetadata",
            "genericMetadata": {
                "createTime": "2026-01-01T00:00:00Z",
                "updateTime": "2026-01-02T03:04:05.678Z",
            },
        },
    }


def test_warnings_are_partial_failures() -> None:
    operation = _operation(OperationKind.DEPLOY_MODEL, warnings=("a", "b"))

    metadata = translate_operations.to_json(operation)["metadata"]

    assert metadata["@type"] == f"{V1}DeployModelOperationMetadata"
    assert metadata["genericMetadata"]["partialFailures"] == [
        {"code": 12, "message": "a"},
        {"code": 12, "message": "b"},
    ]


def test_what_failed_without_failing_the_operation_has_its_own_code() -> None:
    failure = Failure(Code.FAILED_PRECONDITION, "the check failed")
    operation = _operation(
        OperationKind.UPLOAD_MODEL, warnings=("a",), failures=(failure,)
    )

    metadata = translate_operations.to_json(operation)["metadata"]

    assert metadata["genericMetadata"]["partialFailures"] == [
        {"code": 12, "message": "a"},
        {"code": 9, "message": "the check failed"},
    ]


def test_a_failed_operation_has_a_numeric_code_and_no_response() -> None:
    failure = Failure(Code.FAILED_PRECONDITION, "no")

    told = translate_operations.to_json(
        _operation(OperationKind.DEPLOY_MODEL, done=True, failure=failure)
    )

    assert told["done"] is True
    assert told["error"] == {"code": 9, "message": "no"}
    assert type(told["error"]["code"]) is int
    assert "response" not in told


@pytest.mark.parametrize(
    ("kind", "result", "metadata", "response"),
    [
        pytest.param(
            OperationKind.UPLOAD_MODEL,
            {"model": "projects/p", "model_version_id": "3"},
            "UploadModel",
            {
                "@type": f"{V1}UploadModelResponse",
                "model": "projects/p",
                "modelVersionId": "3",
            },
            id="upload",
        ),
        pytest.param(
            OperationKind.COPY_MODEL,
            {"model": "projects/p", "model_version_id": "3"},
            "CopyModel",
            {
                "@type": f"{V1}CopyModelResponse",
                "model": "projects/p",
                "modelVersionId": "3",
            },
            id="copy",
        ),
        pytest.param(
            OperationKind.EXPORT_MODEL,
            {"uri": "gs://b/o"},
            "ExportModel",
            {"@type": f"{V1}ExportModelResponse"},
            id="export",
        ),
        pytest.param(
            OperationKind.CREATE_ENDPOINT,
            {"endpoint": str(ENDPOINT)},
            "CreateEndpoint",
            {"@type": f"{V1}Endpoint", "name": str(ENDPOINT)},
            id="create an endpoint that is gone again",
        ),
        pytest.param(
            OperationKind.DEPLOY_MODEL,
            {"deployed_model": "7"},
            "DeployModel",
            {"@type": f"{V1}DeployModelResponse", "deployedModel": {"id": "7"}},
            id="deploy what is gone again",
        ),
        pytest.param(
            OperationKind.UNDEPLOY_MODEL,
            {},
            "UndeployModel",
            {"@type": f"{V1}UndeployModelResponse"},
            id="undeploy",
        ),
        *(
            pytest.param(
                kind,
                {},
                "Delete",
                {"@type": "type.googleapis.com/google.protobuf.Empty"},
                id=kind.value,
            )
            for kind in (
                OperationKind.DELETE_MODEL,
                OperationKind.DELETE_MODEL_VERSION,
                OperationKind.DELETE_ENDPOINT,
            )
        ),
    ],
)
def test_an_operation_that_ended_well_tells_what_it_made(
    kind: OperationKind,
    result: dict[str, str],
    metadata: str,
    response: dict[str, Any],
) -> None:
    told = translate_operations.to_json(_operation(kind, done=True, result=result))

    assert told["done"] is True
    assert told["metadata"]["@type"] == f"{V1}{metadata}OperationMetadata"
    assert told["response"] == response
    assert "error" not in told


def test_what_was_made_is_told_as_it_is_now() -> None:
    operation = _operation(
        OperationKind.CREATE_ENDPOINT, done=True, result={"endpoint": str(ENDPOINT)}
    )
    made = messages.EndpointMessage(name=str(ENDPOINT), display_name="now")

    response = translate_operations.to_json(operation, made)["response"]

    assert response["displayName"] == "now"


def test_an_export_says_where_it_lies() -> None:
    operation = _operation(
        OperationKind.EXPORT_MODEL, done=True, result={"uri": "gs://b/o"}
    )

    metadata = translate_operations.to_json(operation)["metadata"]

    assert metadata["outputInfo"] == {"artifactOutputUri": "gs://b/o"}


def test_a_client_of_v1beta1_gets_the_messages_of_v1beta1() -> None:
    result = {"model": "projects/p", "model_version_id": "3"}
    operation = _operation(OperationKind.UPLOAD_MODEL, done=True, result=result)

    told = translate_operations.to_json(operation, version="v1beta1")

    prefix = "type.googleapis.com/google.cloud.aiplatform.v1beta1."
    assert told["metadata"]["@type"] == f"{prefix}UploadModelOperationMetadata"
    assert told["response"]["@type"] == f"{prefix}UploadModelResponse"
