"""Copy, export and evaluations over REST, in both versions of the API."""

from typing import Any

import pytest

from servers import PARENT, Server

pytestmark = pytest.mark.service


def upload(server: Server, **model: Any) -> str:
    """Register a text file as an artifact; return the model's name."""
    server.call("POST", "/storage/v1/b?project=p", {"name": "transfers"})
    server.call(
        "POST",
        "/upload/storage/v1/b/transfers/o?uploadType=media&name=in/weights.bin",
        b"weights",
    )
    request = {
        "model": {
            "displayName": "moved",
            "artifactUri": "gs://transfers/in/",
            "containerSpec": {"imageUri": "example.com/m:1"},
            **model,
        }
    }
    status, operation = server.call("POST", f"/v1/{PARENT}/models:upload", request)
    assert status == 200, operation
    return str(server.wait(operation)["response"]["model"])


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_copy_says_where_it_comes_from(shared_server: Server, version: str) -> None:
    source = upload(shared_server)
    parent = f"projects/{version}/locations/europe-west4"

    status, operation = shared_server.call(
        "POST",
        f"/{version}/{parent}/models:copy",
        {"sourceModel": source, "modelId": "copied", "encryptionSpec": {"a": "b"}},
    )

    assert status == 200, operation
    of = f"type.googleapis.com/google.cloud.aiplatform.{version}"
    assert operation["done"] is True
    assert operation["metadata"]["@type"] == f"{of}.CopyModelOperationMetadata"
    assert operation["metadata"]["genericMetadata"]["partialFailures"] == [
        {
            "code": 12,
            "message": "encryption_spec was stored and has no effect here",
        }
    ]
    assert operation["response"] == {
        "@type": f"{of}.CopyModelResponse",
        "model": f"{parent}/models/copied",
        "modelVersionId": "1",
    }
    _, copied = shared_server.call("GET", f"/v1/{parent}/models/copied")
    assert copied["originalModelInfo"] == {"model": f"{source}@1"}
    assert copied["artifactUri"] == "gs://transfers/in/"
    assert copied["supportedExportFormats"] == [
        {"id": "custom-trained", "exportableContents": ["ARTIFACT"]}
    ]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param({}, "INVALID_ARGUMENT", id="no source"),
        pytest.param(
            {"sourceModel": "m", "modelId": "a", "parentModel": "b"},
            "INVALID_ARGUMENT",
            id="two destinations",
        ),
        pytest.param({"sourceModel": "none"}, "NOT_FOUND", id="no such source"),
    ],
)
def test_a_copy_with_a_mistake_is_refused(
    shared_server: Server, request_: dict[str, str], status: str
) -> None:
    _, answer = shared_server.call("POST", f"/v1/{PARENT}/models:copy", request_)

    assert answer["error"]["status"] == status


def test_an_export_lies_where_the_operation_says(shared_server: Server) -> None:
    source = upload(shared_server)
    output = {"artifactDestination": {"outputUriPrefix": "gs://transfers/out"}}

    status, operation = shared_server.call(
        "POST", f"/v1/{source}:export", {"outputConfig": output}
    )

    assert status == 200, operation
    ended = shared_server.wait(operation)
    uri = ended["metadata"]["outputInfo"]["artifactOutputUri"]
    assert uri.startswith("gs://transfers/out/model-export-moved-20")
    assert ended["response"]["@type"].endswith(".v1.ExportModelResponse")
    name = uri.removeprefix("gs://transfers/").replace("/", "%2F")
    found = shared_server.call(
        "GET", f"/storage/v1/b/transfers/o/{name}%2Fweights.bin?alt=media"
    )
    assert found == (200, "weights")


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(None, id="nothing"),
        pytest.param({"exportFormatId": "custom-trained"}, id="no destination"),
        pytest.param({"imageDestination": {"outputUri": "example.com/a"}}, id="image"),
        pytest.param(
            {
                "exportFormatId": "tflite",
                "artifactDestination": {"outputUriPrefix": "gs://transfers"},
            },
            id="another format",
        ),
    ],
)
def test_an_export_with_a_mistake_is_refused(
    shared_server: Server, output: dict[str, Any] | None
) -> None:
    source = upload(shared_server)

    _, answer = shared_server.call(
        "POST", f"/v1/{source}:export", {"outputConfig": output}
    )

    assert answer["error"]["status"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_an_evaluation_reads_as_it_was_imported(
    shared_server: Server, version: str
) -> None:
    model = upload(shared_server)
    evaluation = {
        "displayName": "held out",
        "metricsSchemaUri": "gs://transfers/schema.yaml",
        "metrics": {"auRoc": 0.99, "confusion": [[1, 2], [3, 4]]},
        "sliceDimensions": ["annotationSpec"],
        "metadata": {"run": "7"},
    }
    part = {
        "slice": {"dimension": "annotationSpec", "value": "cat"},
        "metricsSchemaUri": "gs://transfers/schema.yaml",
        "metrics": {"auRoc": 0.5},
    }

    status, made = shared_server.call(
        "POST",
        f"/{version}/{model}/evaluations:import",
        {"parent": model, "modelEvaluation": evaluation},
    )
    assert status == 200, made
    name = made.pop("name")
    made.pop("createTime")
    _, imported = shared_server.call(
        "POST",
        f"/{version}/{name}/slices:batchImport",
        {"modelEvaluationSlices": [part]},
    )
    (slice_name,) = imported["importedModelEvaluationSlices"]

    assert made == evaluation
    assert name.startswith(f"{model}/evaluations/")
    _, page = shared_server.call("GET", f"/{version}/{model}%401/evaluations")
    assert [one["name"] for one in page["modelEvaluations"]] == [name]
    _, read = shared_server.call("GET", f"/{version}/{slice_name}")
    assert {key: read[key] for key in part} == part
    _, parts = shared_server.call("GET", f"/{version}/{name}/slices?readMask=slice")
    assert parts == {"modelEvaluationSlices": [{"slice": part["slice"]}]}


def test_an_evaluation_without_numbers_is_refused(shared_server: Server) -> None:
    model = upload(shared_server)

    for request in ({}, {"modelEvaluation": {"displayName": "empty"}}):
        _, answer = shared_server.call(
            "POST", f"/v1/{model}/evaluations:import", request
        )
        assert answer["error"]["status"] == "INVALID_ARGUMENT"
