"""`gcloud ai models`: its requests, replayed everywhere, and gcloud itself where it is.

The requests are those that gcloud 528 wrote with --log-http.
"""

import json
import os
import pathlib
import shutil
import subprocess
from typing import Any

import pytest

from servers import PARENT, Server

pytestmark = pytest.mark.service

GCLOUD = shutil.which("gcloud")
CONTAINER = {
    "args": ["a"],
    "command": ["serve"],
    "deploymentTimeout": "60s",
    "env": [{"name": "A", "value": "1"}],
    "grpcPorts": [{"containerPort": 9000}],
    "healthProbe": {
        "exec": {"command": ["true"]},
        "periodSeconds": 5,
        "timeoutSeconds": 3,
    },
    "healthRoute": "/health",
    "imageUri": "example.com/m:1",
    "ports": [{"containerPort": 8080}],
    "predictRoute": "/predict",
    "sharedMemorySizeMb": "64",
    "startupProbe": {
        "exec": {"command": ["true"]},
        "periodSeconds": 5,
        "timeoutSeconds": 3,
    },
}
UPLOAD: dict[str, Any] = {
    "model": {
        "artifactUri": "",
        "containerSpec": CONTAINER,
        "description": "d",
        "displayName": "first",
        "labels": {"team": "a"},
        "versionAliases": ["golden"],
        "versionDescription": "one",
    },
    "modelId": "first",
}


def asked(server: Server, method: str, path: str, body: object = None) -> Any:
    status, answer = server.call(method, path, body)
    assert status == 200, answer
    return answer


def polled(server: Server, operation: dict[str, Any], version: str) -> Any:
    """Return what an operation made, asked as gcloud asks."""
    server.wait(operation)
    ended = asked(server, "GET", f"/{version}/{operation['name']}?alt=json")
    return ended["response"]


def test_the_requests_of_gcloud_are_answered(server: Server) -> None:
    models = f"/v1/{PARENT}/models"

    first = asked(server, "POST", f"{models}:upload?alt=json", UPLOAD)
    assert polled(server, first, "v1")["modelVersionId"] == "1"
    second = {
        "model": {
            "containerSpec": {"imageUri": "example.com/m:2"},
            "displayName": "first",
        },
        "parentModel": "first",
    }
    under = asked(server, "POST", f"{models}:upload?alt=json", second)
    # Where its beta track polls.
    assert polled(server, under, "v1beta1")["modelVersionId"] == "2"
    listed = asked(server, "GET", f"{models}?alt=json&pageSize=100")
    described = asked(server, "GET", f"{models}/first@golden?alt=json")
    versions = asked(
        server, "GET", f"{models}/first:listVersions?alt=json&pageSize=100"
    )
    copy = {
        "modelId": "copied",
        "sourceModel": f"{PARENT}/models/first",
    }
    copied = asked(server, "POST", f"{models}:copy?alt=json", copy)
    deleted = asked(server, "DELETE", f"{models}/first@2:deleteVersion?alt=json")
    gone = asked(server, "DELETE", f"{models}/copied?alt=json")

    assert [one["versionId"] for one in listed["models"]] == ["1"]
    assert described["name"] == f"{PARENT}/models/first@1"
    assert described["containerSpec"] == CONTAINER
    # The default stays where it was: gcloud sends no alias by itself.
    assert [one.get("versionAliases") for one in versions["models"]] == [
        ["default", "golden"],
        None,
    ]
    assert copied["response"]["model"] == f"{PARENT}/models/copied"
    for operation in (deleted, gone):
        assert operation["done"] is True
        assert operation["response"]["@type"].endswith("google.protobuf.Empty")


def test_every_flag_without_effect_is_a_warning(server: Server) -> None:
    operation = asked(server, "POST", f"/v1/{PARENT}/models:upload?alt=json", UPLOAD)

    warnings = operation["metadata"]["genericMetadata"]["partialFailures"]
    assert [one["message"].partition(" ")[0] for one in warnings] == [
        "model.container_spec.grpc_ports",
    ]
    server.wait(operation)


def test_masks_of_gcloud_are_in_snake_case(server: Server) -> None:
    operation = asked(server, "POST", f"/v1/{PARENT}/models:upload?alt=json", UPLOAD)
    server.wait(operation)

    changed = asked(
        server,
        "PATCH",
        f"/v1beta1/{PARENT}/models/first@1?alt=json&updateMask=version_description,labels",
        {"versionDescription": "new", "labels": {"b": "c"}},
    )

    assert changed["name"] == f"{PARENT}/models/first@1"
    assert changed["versionDescription"] == "new"
    assert changed["labels"] == {"b": "c"}


# gcloud itself


@pytest.fixture
def gcloud(server: Server, tmp_path: pathlib.Path) -> Any:
    """Return a function that runs gcloud on the server, configured for itself."""
    if GCLOUD is None:
        pytest.skip("gcloud is not on PATH: it comes with Google's own installer alone")
    environment = {
        **os.environ,
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": f"{server.url}/",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_PROJECT": "p",
        "CLOUDSDK_AI_REGION": "us-central1",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
    }

    def run(*words: str) -> Any:
        ended = subprocess.run(  # noqa: S603
            [str(GCLOUD), *words, "--format=json"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=environment,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout or "null")

    return run


@pytest.mark.clients
@pytest.mark.timeout(600)
def test_gcloud_drives_models_from_upload_to_delete(gcloud: Any) -> None:
    gcloud(
        "ai", "models", "upload", "--container-image-uri=example.com/m:1",
        "--display-name=first", "--model-id=first", "--description=d",
        "--labels=team=a", "--version-aliases=golden", "--version-description=one",
        "--container-args=a", "--container-command=serve",
        "--container-env-vars=A=1", "--container-ports=8080",
        "--container-grpc-ports=9000", "--container-predict-route=/predict",
        "--container-health-route=/health",
        "--container-deployment-timeout-seconds=60",
        "--container-shared-memory-size-mb=64",
        "--container-startup-probe-exec=true",
        "--container-startup-probe-period-seconds=5",
        "--container-startup-probe-timeout-seconds=3",
        "--container-health-probe-exec=true",
        "--container-health-probe-period-seconds=5",
        "--container-health-probe-timeout-seconds=3",
    )  # fmt: skip
    gcloud(
        "ai", "models", "upload", "--container-image-uri=example.com/m:2",
        "--display-name=first", "--parent-model=first",
    )  # fmt: skip
    described = gcloud("ai", "models", "describe", "first@1")
    versions = gcloud("ai", "models", "list-version", "first")
    # gcloud filters what it got, by its own grammar.
    filtered = gcloud("ai", "models", "list", "--filter=displayName=other")
    gcloud(
        "ai", "models", "copy", f"--source-model={PARENT}/models/first",
        "--destination-model-id=copied",
    )  # fmt: skip
    gcloud("ai", "models", "delete-version", "first@2")
    gcloud("ai", "models", "delete", "first")

    assert described["containerSpec"] == CONTAINER
    assert described["labels"] == {"team": "a"}
    assert described["versionAliases"] == ["default", "golden"]
    assert [one["versionId"] for one in versions] == ["1", "2"]
    assert filtered == []
    left = gcloud("ai", "models", "list")
    assert [one["name"] for one in left] == [f"{PARENT}/models/copied"]


@pytest.mark.clients
@pytest.mark.timeout(600)
def test_gcloud_beta_speaks_v1beta1(gcloud: Any) -> None:
    words = ("--container-image-uri=example.com/m:1", "--display-name=m")
    source = f"{PARENT}/models/first"

    gcloud("beta", "ai", "models", "upload", "--model-id=first", *words)
    gcloud(
        "beta", "ai", "models", "copy", f"--source-model={source}",
        f"--destination-parent-model={source}",
    )  # fmt: skip
    versions = gcloud("beta", "ai", "models", "list-version", "first")

    assert [one["versionId"] for one in versions] == ["1", "2"]
    assert versions[1]["originalModelInfo"] == {"model": f"{source}@1"}


def test_the_requests_of_gclouds_endpoints_are_answered(
    server: Server, mlp_archive: pathlib.Path
) -> None:
    registered = server.register(mlp_archive)["response"]["model"]
    endpoints = f"/v1/{PARENT}/endpoints"
    created = asked(server, "POST", f"{endpoints}?alt=json", {"displayName": "e"})
    name = polled(server, created, "v1beta1")["name"]
    deployed = {
        "deployedModel": {
            "automaticResources": {"maxReplicaCount": 1, "minReplicaCount": 1},
            "displayName": "d",
            "model": registered,
        },
        "trafficSplit": {"0": 100},
    }
    begun = asked(server, "POST", f"/v1/{name}:deployModel?alt=json", deployed)
    deployed_id = polled(server, begun, "v1beta1")["deployedModel"]["id"]

    rows = {"instances": [[1, 2, 3, 4]]}
    predicted = asked(server, "POST", f"/v1/{name}:predict?alt=json", rows)
    raw = asked(server, "POST", f"/v1/{name}:rawPredict?alt=json", rows)
    masks = "display_name,traffic_split"
    changed = {"displayName": "e2", "trafficSplit": {deployed_id: 100}}
    patched = asked(server, "PATCH", f"/v1/{name}?alt=json&updateMask={masks}", changed)
    leaving = {"deployedModelId": deployed_id}
    undeployed = asked(server, "POST", f"/v1/{name}:undeployModel?alt=json", leaving)
    polled(server, undeployed, "v1beta1")
    gone = asked(server, "DELETE", f"/v1/{name}?alt=json")

    assert predicted["deployedModelId"] == deployed_id
    assert raw["predictions"] == predicted["predictions"]
    assert patched["displayName"] == "e2"
    assert gone["done"] is True


@pytest.mark.clients
@pytest.mark.timeout(600)
def test_gcloud_drives_endpoints_from_create_to_delete(
    server: Server, mlp_archive: pathlib.Path, gcloud: Any, tmp_path: pathlib.Path
) -> None:
    model = server.register(mlp_archive)["response"]["model"].rpartition("/")[2]
    rows = tmp_path / "rows.json"
    rows.write_text('{"instances": [[1, 2, 3, 4]]}')

    gcloud("ai", "endpoints", "create", "--display-name=e", "--endpoint-id=77",
           "--labels=team=a")  # fmt: skip
    deploying = ("ai", "endpoints", "deploy-model", "77", f"--model={model}")
    gcloud(*deploying, "--display-name=one", "--deployed-model-id=11",
           "--machine-type=n1-standard-2", "--min-replica-count=1",
           "--max-replica-count=2", "--traffic-split=0=100")  # fmt: skip
    gcloud(*deploying, "--display-name=two", "--deployed-model-id=12",
           "--traffic-split=0=20,11=80")  # fmt: skip
    described = gcloud("ai", "endpoints", "describe", "77")
    listed = gcloud("ai", "endpoints", "list", "--filter=displayName=e")
    gcloud("ai", "endpoints", "update", "77", "--display-name=renamed",
           "--traffic-split=11=0,12=100", "--update-labels=team=b")  # fmt: skip
    updated = gcloud("ai", "endpoints", "describe", "77")
    predicted = gcloud("ai", "endpoints", "predict", "77", f"--json-request={rows}")
    raw = gcloud("ai", "endpoints", "raw-predict", "77", f"--request=@{rows}",
                 "--http-headers=Content-Type=application/json")  # fmt: skip
    for deployed in ("11", "12"):
        gcloud("ai", "endpoints", "undeploy-model", "77",
               f"--deployed-model-id={deployed}")  # fmt: skip
    gcloud("ai", "endpoints", "delete", "77")

    assert described["trafficSplit"] == {"11": 80, "12": 20}
    assert [one["displayName"] for one in described["deployedModels"]] == ["one", "two"]
    assert [one["name"] for one in listed] == [f"{PARENT}/endpoints/77"]
    assert updated["displayName"] == "renamed"
    assert updated["labels"] == {"team": "b"}
    assert updated["trafficSplit"] == {"11": 0, "12": 100}
    assert raw["predictions"] == predicted["predictions"]
    assert predicted["deployedModelId"] == "12"
    assert gcloud("ai", "endpoints", "list") == []
