"""Kubeflow Pipelines runs our components, and Google's beside them, on this machine.

In an environment of its own, made the first time.
"""

import pathlib
from collections.abc import Iterator

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


def test_googles_components_work_here_and_ours_take_what_they_made(
    server: Server, mlp_archive: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    artifact = server.upload_archive(mlp_archive, "by-google")
    server.upload("rows.jsonl", b"[1, 2, 3, 4]\n[4, 3, 2, 1]\n")
    program = str(ROOT / "tests/programs/google_components.py")

    ended = kfp_environments.run(
        program, server.url, artifact, str(tmp_path), cwd=tmp_path
    )

    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
    assert "predicted 2, failed 0: gs://models/answers/" in ended.stdout
    (model,) = server.call("GET", f"/v1/{PARENT}/models")[1]["models"]
    first = server.call("GET", f"/v1/{model['name']}@1")[1]
    assert sorted(first["versionAliases"]) == ["candidate", "default"]
    assert first["labels"]["team"] == "port"
    (endpoint,) = server.call("GET", f"/v1/{PARENT}/endpoints")[1]["endpoints"]
    by_version = {
        one["modelVersionId"]: endpoint["trafficSplit"][one["id"]]
        for one in endpoint["deployedModels"]
    }
    assert by_version == {"2": 70, "1": 30}
    assert len(server.ask(endpoint["name"], [1, 2, 3, 4])[0]) == 2
