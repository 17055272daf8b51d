"""Calls the methods of the SDK's Endpoint that work over REST, on a TLS server.

Run by the interpreter of whichever environment has the SDK, with the server's URL and
an archive; imports nothing of ours. Prints what it saw as one JSON object.
"""

import json
import sys
import warnings
from typing import Any

warnings.simplefilter("ignore")

from google.api_core import exceptions  # noqa: E402  # warnings come first
from google.auth.credentials import AnonymousCredentials  # noqa: E402
from google.cloud import aiplatform, storage  # noqa: E402
from google.protobuf import field_mask_pb2  # noqa: E402

IMAGE = "us-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-1:latest"
ROWS = [[2.0, 3.0, 5.0]]
TENSOR = {"dtype": "DOUBLE", "shape": [3], "double_val": ROWS[0]}


def upload(archive: str) -> Any:
    client = storage.Client(project="p", credentials=AnonymousCredentials())
    bucket = client.create_bucket("endpoint-calls")
    bucket.blob("m/model.mar").upload_from_filename(archive)
    return aiplatform.Model.upload(
        display_name="m",
        artifact_uri="gs://endpoint-calls/m/",
        serving_container_image_uri=IMAGE,
    )


def refused(call: Any) -> str:
    """Return how a call is refused."""
    try:
        call()
    except exceptions.GoogleAPICallError as error:
        return f"{type(error).__name__}: {error.message}"
    return "not at all"


def resources(model: Any) -> dict[str, Any]:
    """Make, find, change and delete endpoints; deploy, share and undeploy."""
    endpoint = aiplatform.Endpoint.create(
        display_name="e", endpoint_id="77", labels={"a": "b"}, description="first"
    )
    endpoint.deploy(model, deployed_model_display_name="one")
    endpoint.deploy(model, traffic_percentage=25, min_replica_count=1)
    ids = [one.id for one in endpoint.list_models()]
    split = [endpoint.traffic_split[one] for one in ids]
    endpoint.update(
        display_name="renamed",
        labels={"a": "c"},
        traffic_split={ids[0]: 0, ids[1]: 100},
    )
    listed = aiplatform.Endpoint.list(filter='display_name="renamed" AND labels.a="c"')
    wrong = refused(lambda: endpoint.update(traffic_split={ids[0]: 50, "9": 50}))
    endpoint.undeploy(deployed_model_id=ids[0])
    low_level = endpoint.api_client
    lro = low_level.mutate_deployed_model(
        endpoint=endpoint.resource_name,
        deployed_model={
            "id": ids[1],
            "dedicated_resources": {"min_replica_count": 1, "max_replica_count": 2},
        },
        update_mask=field_mask_pb2.FieldMask(
            paths=["dedicated_resources.max_replica_count"]
        ),
    )
    mutated = lro.result().deployed_model.dedicated_resources
    seen = {
        "id": endpoint.name,
        "split": split,
        "listed": [one.name for one in listed],
        "renamed": aiplatform.Endpoint("77").display_name,
        "wrong": wrong,
        "mutated": [mutated.min_replica_count, mutated.max_replica_count],
        "in_use": refused(endpoint.delete),
    }
    endpoint.undeploy_all()
    endpoint.delete()
    return {
        **seen,
        "gone": refused(lambda: aiplatform.Endpoint("77").list_models())[:8],
    }


def shared(model: Any) -> dict[str, Any]:
    """Predict and explain on a shared endpoint, through the generated client."""
    endpoint = aiplatform.Endpoint.create(display_name="shared")
    endpoint.deploy(model)
    predicted = endpoint.predict(ROWS)
    explained = endpoint.explain(ROWS)
    direct = endpoint.direct_predict(inputs=[TENSOR])
    raw = endpoint.direct_raw_predict(method_name="/m", request=b"abc")
    features = explained.explanations[0].attributions[0].feature_attributions
    return {
        "predicted": [predicted.predictions, predicted.model_version_id],
        "explained": {name: round(features[name], 6) for name in "abc"},
        "direct": [one["doubleVal"] for one in direct.predictions],
        "direct_raw": raw.predictions.decode(),
    }


def dedicated(model: Any) -> dict[str, Any]:
    """Predict on a dedicated endpoint: over HTTPS, with the server's own CA."""
    endpoint = aiplatform.Endpoint.create(
        display_name="dedicated", dedicated_endpoint_enabled=True
    )
    endpoint.deploy(model)
    json_headers = {"Content-Type": "application/json"}
    body = json.dumps({"instances": ROWS}).encode()
    raw = endpoint.raw_predict(body=body, headers=json_headers)
    through_raw = endpoint.predict(ROWS, use_raw_predict=True)
    stream = endpoint.stream_raw_predict(
        body=b"one two", headers={"Content-Type": "text/plain"}
    )
    seen = {
        "raw": raw.json(),
        "named": raw.headers["X-Vertex-AI-Model-Version-Id"],
        "through_raw": [through_raw.predictions, through_raw.model_version_id],
        "predicted": endpoint.predict(ROWS).predictions,
        "stream": [line.decode() for line in stream if line],
    }
    if hasattr(endpoint, "invoke"):
        answered = endpoint.invoke("/any/where", b'{"a": 1}', json_headers)
        seen["invoked"] = answered.json()["headers"]["url_path"]
    return seen


def main(url: str, archive: str) -> None:
    """Call everything and print it."""
    aiplatform.init(
        project="p",
        location="us-central1",
        api_endpoint=url,
        api_transport="rest",
        credentials=AnonymousCredentials(),
        staging_bucket="gs://staging",
    )
    model = upload(archive)
    told = {part.__name__: part(model) for part in (resources, shared, dedicated)}
    print(json.dumps(told))  # noqa: T201  # read by the test


main(*sys.argv[1:])
