"""Kubeflow Pipelines runs our components, and Google's beside them, on this machine.

In an environment of its own, made the first time.
"""

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

import homeport.pipelines
import kfp_environments
from servers import PARENT, Server, running

pytestmark = [pytest.mark.clients, pytest.mark.service, pytest.mark.timeout(1200)]
ROOT = pathlib.Path(__file__).parents[2]
COMPONENTS = pathlib.Path(homeport.pipelines.__file__).parent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with running(Server(folder / "data", ("--no-access-log",))) as started:
        yield started


def test_the_committed_yaml_is_what_the_compiler_makes(tmp_path: pathlib.Path) -> None:
    ended = kfp_environments.run("-m", "homeport.pipelines", ".", cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    made = {path.name: path.read_text() for path in tmp_path.glob("*.yaml")}
    assert made == {path.name: path.read_text() for path in COMPONENTS.glob("*.yaml")}
    assert len(made) == 3


def test_the_yaml_is_made_for_an_image_of_ones_own(tmp_path: pathlib.Path) -> None:
    words = ("-m", "homeport.pipelines", "--image", "r/own-python:7", "steps")

    ended = kfp_environments.run(*words, cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert "image: r/own-python:7" in (tmp_path / "steps/component.yaml").read_text()


def test_the_pipeline_of_the_example_trains_uploads_deploys_and_predicts(
    server: Server, tmp_path: pathlib.Path
) -> None:
    example = str(ROOT / "examples/seed-002/run.py")
    variables = {"HOMEPORT_URL": server.url, "TMPDIR": str(tmp_path)}

    ended = kfp_environments.run(example, "runs", cwd=tmp_path, **variables)

    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
    assert "answered by version 1 ['ship', 'harbour']" in ended.stdout
    assert "predicted 2, failed 0: gs://your-bucket/predictions/" in ended.stdout
    assert "predictions: ['ship', 'harbour']" in ended.stdout
    assert list(tmp_path.glob("homeport-upload-*")) == []
    place = "/v1/projects/your-project-id/locations/us-central1"
    (model,) = server.call("GET", f"{place}/models")[1]["models"]
    assert model["displayName"] == "dummy-model-example-docs"
    assert f"'VertexModelID': '{model['name']}'" in ended.stdout
    assert f"'resourceName': '{model['name']}@1'" in ended.stdout


def test_googles_components_and_ours_work_together_at_googles_addresses(
    server: Server,
    mlp_archive: pathlib.Path,
    mlp_torchscript: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    artifact = server.upload_archive(mlp_archive, "by-google")
    server.upload("trained/mlp.pt", mlp_torchscript.read_bytes())
    server.upload("rows.jsonl", b"[1, 2, 3, 4]\n[4, 3, 2, 1]\n")
    program = str(ROOT / "tests/programs/google_components.py")
    words = (program, server.url, artifact, "gs://models/trained", str(tmp_path))

    ended = kfp_environments.run(*words, cwd=tmp_path)

    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
    assert "predicted 2, failed 0: gs://models/answers/" in ended.stdout
    models = named(server, "models")
    first = server.call("GET", f"/v1/{models['by-google']['name']}@1")[1]
    assert sorted(first["versionAliases"]) == ["candidate", "default"]
    assert first["labels"]["team"] == "port"
    endpoints = named(server, "endpoints")
    split = endpoints["by-google"]["trafficSplit"]
    by_version = {
        one["modelVersionId"]: split[one["id"]]
        for one in endpoints["by-google"]["deployedModels"]
    }
    assert by_version == {"2": 70, "1": 30}
    (deployed,) = endpoints["of-ours"]["deployedModels"]
    assert deployed["model"] == models["by-ours"]["name"]
    for endpoint in endpoints.values():
        assert len(server.ask(endpoint["name"], [1, 2, 3, 4])[0]) == 2


def named(server: Server, collection: str) -> dict[str, dict[str, Any]]:
    """Return what a collection has, by display name."""
    page = server.call("GET", f"/v1/{PARENT}/{collection}")[1]
    return {one["displayName"]: one for one in page[collection]}
