"""Model and ModelRegistry of the official SDK, every method that touches the registry.

Each SDK in a process of its own: this environment's, and an older one in an environment
that is made once and kept in the user's cache.
"""

import json
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from sdk_processes import OLD, old_interpreter, run
from servers import Server, running

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]

SCRIPT = pathlib.Path(__file__).with_name("registry_calls.py")
IMAGE = "us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest"
PROBE = {"exec": {"command": ["true"]}, "periodSeconds": 5, "timeoutSeconds": 3}
CALLS = (
    "upload_with_every_argument",
    "versions",
    "update_and_list",
    "copies",
    "export",
    "evaluations",
    "files_of_frameworks",
    "placeholder",
    "not_waiting",
    "beta",
    "lineage_of_labels",
)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("", id="sdk of this environment"),
        pytest.param(OLD, id=f"sdk {OLD}", marks=pytest.mark.clients),
    ],
)
def python(request: pytest.FixtureRequest) -> str:
    return old_interpreter() if request.param else sys.executable


@pytest.fixture(scope="module")
def own_server(
    python: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server for that SDK alone."""
    del python
    folder = tmp_path_factory.mktemp("server")
    with running(Server(folder / "data", ("--no-access-log",))) as started:
        yield started


@pytest.fixture(scope="module")
def seen(
    python: str, own_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What all calls in one process of that SDK saw."""
    own_server.call("POST", "/storage/v1/b?project=p", {"name": "staging"})
    return called(python, own_server, tmp_path_factory.mktemp("files"), *CALLS)


def called(
    python: str,
    server: Server,
    folder: pathlib.Path,
    *names: str,
    **environment: str,
) -> dict[str, Any]:
    printed = run(
        [python, str(SCRIPT), server.url, str(folder), *names],
        STORAGE_EMULATOR_HOST=server.url,
        **environment,
    )
    return dict(json.loads(printed.rpartition("\n")[2]))


def test_upload_keeps_every_argument(seen: dict[str, Any]) -> None:
    assert seen["upload_with_every_argument"] == {
        "resource": {
            "name": "projects/p/locations/us-central1/models/whole@1",
            "displayName": "Whole",
            "description": "all of it",
            "predictSchemata": {
                "instanceSchemaUri": "gs://staging/instance.yaml",
                "parametersSchemaUri": "gs://staging/parameters.yaml",
                "predictionSchemaUri": "gs://staging/prediction.yaml",
            },
            "containerSpec": {
                "imageUri": IMAGE,
                "command": ["serve"],
                "args": ["--fast"],
                "env": [{"name": "A", "value": "1"}],
                "ports": [{"containerPort": 8081}],
                "predictRoute": "/predict",
                "healthRoute": "/health",
                "grpcPorts": [{"containerPort": 9001}],
                "deploymentTimeout": "60s",
                "sharedMemorySizeMb": "64",
                "startupProbe": PROBE,
                "healthProbe": PROBE,
                "invokeRoutePrefix": "/*",
            },
            "supportedDeploymentResourcesTypes": ["DEDICATED_RESOURCES"],
            "supportedInputStorageFormats": [
                "jsonl",
                "csv",
                "tf-record",
                "tf-record-gzip",
                "file-list",
            ],
            "supportedOutputStorageFormats": ["jsonl", "csv"],
            "labels": {"team": "a"},
            "supportedExportFormats": [
                {"id": "custom-trained", "exportableContents": ["ARTIFACT"]}
            ],
            "explanationSpec": {
                "parameters": {"sampledShapleyAttribution": {"pathCount": 3}},
                "metadata": {"inputs": {"x": {}}, "outputs": {"y": {}}},
            },
            "encryptionSpec": {
                "kmsKeyName": "projects/p/locations/l/keyRings/r/cryptoKeys/k"
            },
            "versionId": "1",
            "versionAliases": ["golden", "default"],
            "versionDescription": "first",
        },
        "display_name": "Whole",
        "uri": True,
        "version_id": "1",
        "aliases": ["default", "golden"],
        "formats": ["custom-trained"],
        "instance_schema": "gs://staging/instance.yaml",
        "key": "projects/p/locations/l/keyRings/r/cryptoKeys/k",
    }


def test_all_seven_methods_of_the_registry_work(seen: dict[str, Any]) -> None:
    assert seen["versions"] == {
        "listed": [["1", []], ["2", ["golden"]], ["3", ["default"]]],
        "info": ["2", "new", "Versions"],
        "labels": {"a": "b"},
        "left": ["2", "3"],
        "default": "3",
        "refused": "BadRequest",
        "untouchable": "BadRequest",
    }


def test_a_model_is_updated_after_its_aliases_moved_and_found(
    seen: dict[str, Any],
) -> None:
    assert seen["update_and_list"] == {
        "words": ["After", "changed"],
        "labels": {"level": "version", "level2": "model"},
        "found": [True, True, True, True],
        "newest": True,
        "by_id": True,
    }


def test_a_model_is_copied_everywhere(seen: dict[str, Any]) -> None:
    assert seen["copies"] == {
        "new": ["copied", "1", ["default"]],
        "version": ["copied", "2", []],
        "away": ["europe-west4", "Source"],
        "source": True,
    }


def test_an_export_is_what_was_uploaded(seen: dict[str, Any]) -> None:
    assert seen["export"] == {"folder": True, "bytes": "pickle"}


def test_evaluations_are_listed_and_found(seen: dict[str, Any]) -> None:
    assert seen["evaluations"] == {
        "before": 0,
        "metrics": {"auRoc": 0.5},
        "same": True,
        "first": True,
    }


def test_files_of_scikit_learn_and_xgboost_are_registered(seen: dict[str, Any]) -> None:
    assert seen["files_of_frameworks"] == {
        "sklearn": ["sklearn", "1", True],
        "xgboost": ["xgboost", "1", True],
    }


def test_what_lies_elsewhere_is_registered(seen: dict[str, Any]) -> None:
    assert seen["placeholder"] == {
        "source": ["publishers/google/models/x", "1"],
        "container": True,
    }


def test_the_sdk_need_not_wait(seen: dict[str, Any]) -> None:
    assert seen["not_waiting"] == {"taken": "Conflict", "gone": "NotFound"}


def test_the_client_of_v1beta1_gets_its_own_messages(seen: dict[str, Any]) -> None:
    copied = "projects/p/locations/us-central1/models/beta"
    assert seen["beta"] == {
        "uploaded": "1",
        "copied": copied,
        "updated": "new",
        "listed": [copied],
    }


def test_lineage_is_said_in_labels_that_come_back(seen: dict[str, Any]) -> None:
    assert seen["lineage_of_labels"] == {
        "models": 2,
        "found": [{"lineage_run": "r2", "lineage_uploaded_by": "ada"}],
    }


def test_a_folder_is_uploaded_without_a_staging_bucket(
    python: str, own_server: Server, tmp_path: pathlib.Path
) -> None:
    name = "upload_without_staging_bucket"

    seen = called(python, own_server, tmp_path, name)

    assert seen[name] == {"bucket": True}


@pytest.mark.clients
def test_a_local_model_is_registered(
    python: str, own_server: Server, tmp_path: pathlib.Path
) -> None:
    own_server.call("POST", "/storage/v1/b?project=p", {"name": "staging"})
    # What the SDK's extra `prediction` has of others, as it imports them.
    packages = ["docker", "fastapi", "httpx", "uvicorn"]
    folder = str(tmp_path / "packages")
    run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--target",
            folder,
            *packages,
        ]
    )

    name = "upload_of_a_local_model"
    seen = called(python, own_server, tmp_path, name, PYTHONPATH=folder)

    assert seen[name] == {
        "image": "example.com/predictor:1",
        "routes": ["/predict", "/health"],
        "variables": {"A": "1"},
        "ports": [8081],
        "command": ["serve", "--fast"],
    }
