"""Which calls publish a version is decided before any is made, and is told exactly."""

import ast
import dataclasses
from typing import Any

import pytest

from homeport.errors import (
    FailedPreconditionError,
    HomeportError,
    InvalidArgumentError,
    UnimplementedError,
)
from homeport.publishing import container, plan
from homeport.publishing.plan import Target
from homeport.publishing.source import Source, SourceFile

PREBUILT = "us-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-4:latest"
OWN = "europe-docker.pkg.dev/project/images/server:1"
SOURCE = Source(
    name="projects/homeport/locations/us-central1/models/42@2",
    display_name='the "best" digits',
    description="Digits",
    version_description="trained again",
    labels={"team": "a"},
    aliases=("golden",),
    is_default=False,
    container={"imageUri": PREBUILT, "env": [{"name": "A", "value": "1"}]},
    digest="d" * 64,
    files=(
        SourceFile("config.properties", "0" * 64, 10),
        SourceFile("digits.mar", "1" * 64, 1000),
    ),
    left=(),
)
TARGET = Target("project", "us-central1", "gs://bucket/some/prefix/")


def test_everything_of_a_version_goes_along() -> None:
    found = plan.make(SOURCE, TARGET)

    folder = f"some/prefix/42/{found.digest}"
    assert found.bucket == "bucket"
    assert found.objects == {
        "config.properties": f"{folder}/config.properties",
        "digits.mar": f"{folder}/model.mar",
    }
    assert found.upload == {
        "display_name": 'the "best" digits',
        "description": "Digits",
        "version_description": "trained again",
        "version_aliases": ["golden"],
        "is_default_version": False,
        "labels": {"team": "a", "homeport_digest": found.digest},
        "artifact_uri": f"gs://bucket/{folder}",
        "serving_container_image_uri": PREBUILT,
        "serving_container_environment_variables": {"A": "1"},
    }


def test_what_is_told_is_python_with_every_call() -> None:
    found = plan.make(SOURCE, TARGET)

    parsed = ast.parse("\n".join(plan.told(found)))

    calls = [
        ast.unparse(one.value.func)
        for one in parsed.body
        if isinstance(one, ast.Expr) and isinstance(one.value, ast.Call)
    ]
    folder = f"some/prefix/42/{found.digest}"
    bucket = "storage.Client(project='project').bucket('bucket')"
    assert calls == [
        "aiplatform.init",
        "aiplatform.Model.list",
        "storage.Client(project='project').list_blobs",
        f"{bucket}.blob('{folder}/config.properties').upload_from_filename",
        f"{bucket}.blob('{folder}/model.mar').upload_from_filename",
        "aiplatform.Model.upload",
    ]
    assert found.same_name == 'display_name="the \\"best\\" digits"'


def test_a_parent_that_is_named_is_looked_at_in_place_of_the_display_name() -> None:
    found = plan.make(SOURCE, dataclasses.replace(TARGET, parent_model="77"))

    text = "\n".join(plan.told(found))

    assert "aiplatform.Model(model_name='77')" in text
    assert "Model.list" not in text
    assert found.upload["parent_model"] == "77"


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        pytest.param({}, True, id="the same"),
        pytest.param({"labels": {}, "aliases": (), "is_default": True}, True,
                     id="words that may change"),
        pytest.param({"digest": "e" * 64}, False, id="other bytes"),
        pytest.param({"container": {"imageUri": PREBUILT}}, False, id="no variable"),
    ],
)  # fmt: skip
def test_the_digest_is_of_the_bytes_and_the_container(
    change: dict[str, Any],
    is_same: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    first = plan.make(SOURCE, TARGET).digest

    second = plan.make(dataclasses.replace(SOURCE, **change), TARGET).digest

    assert (first == second) is is_same
    assert len(first) == 40


def test_an_image_of_ones_own_gets_the_files_by_their_names() -> None:
    found = plan.make(SOURCE, dataclasses.replace(TARGET, image_uri=OWN))

    assert [one.rpartition("/")[2] for one in found.objects.values()] == [
        "config.properties",
        "digits.mar",
    ]
    assert found.upload["serving_container_image_uri"] == OWN


def test_an_image_alone_has_no_files() -> None:
    alone = dataclasses.replace(
        SOURCE, container={"imageUri": OWN}, digest="", files=()
    )

    found = plan.make(alone, TARGET)

    assert found.objects == {}
    assert "artifact_uri" not in found.upload
    assert "storage.Client" not in "\n".join(plan.told(found))


def test_the_prebuilt_image_needs_exactly_one_archive() -> None:
    for paths in ((), ("a.mar", "b.mar"), ("a.pt", "b.pt")):
        files = tuple(SourceFile(path, "0" * 64, 1) for path in paths)

        with pytest.raises(FailedPreconditionError, match=r"archives, and us-docker"):
            plan.make(dataclasses.replace(SOURCE, files=files), TARGET)


def test_a_container_is_told_in_the_sdks_words() -> None:
    said = {
        "imageUri": OWN,
        "command": ["serve"],
        "args": [],
        "ports": [{"containerPort": 8081}],
        "grpcPorts": [{"containerPort": 9001}],
        "predictRoute": "/predict",
        "healthRoute": "/health",
        "invokeRoutePrefix": "/*",
        "deploymentTimeout": "600s",
        "sharedMemorySizeMb": "64",
        "startupProbe": {"exec": {"command": ["true"]}, "periodSeconds": 5},
        "healthProbe": {"timeoutSeconds": 2},
    }

    assert container.arguments(said, "") == {
        "serving_container_image_uri": OWN,
        "serving_container_command": ["serve"],
        "serving_container_ports": [8081],
        "serving_container_grpc_ports": [9001],
        "serving_container_predict_route": "/predict",
        "serving_container_health_route": "/health",
        "serving_container_invoke_route_prefix": "/*",
        "serving_container_deployment_timeout": 600,
        "serving_container_shared_memory_size_mb": 64,
        "serving_container_startup_probe_exec": ["true"],
        "serving_container_startup_probe_period_seconds": 5,
        "serving_container_health_probe_timeout_seconds": 2,
    }


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        pytest.param({}, InvalidArgumentError, "--container-image-uri", id="no image"),
        pytest.param({"imageUri": "server:1"}, InvalidArgumentError,
                     "push it there", id="an image nobody can pull"),
        pytest.param({"imageUri": OWN, "livenessProbe": {"periodSeconds": 1}},
                     UnimplementedError, "livenessProbe", id="a liveness probe"),
        pytest.param({"imageUri": OWN, "healthProbe": {"httpGet": {"path": "/"}}},
                     UnimplementedError, "healthProbe.httpGet", id="an HTTP probe"),
        pytest.param({"imageUri": OWN, "deploymentTimeout": "0.5s"},
                     UnimplementedError, "whole seconds", id="half a second"),
    ],
)  # fmt: skip
def test_what_vertex_ai_cannot_be_told_is_refused(
    said: dict[str, Any], error: type[HomeportError], words: str
) -> None:
    with pytest.raises(error) as caught:
        container.arguments(said, "")

    assert words in caught.value.message
