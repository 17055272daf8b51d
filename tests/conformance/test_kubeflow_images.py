"""The image of the components is built and runs a step; a custom image serves.

Nothing is fetched: what the Dockerfile installs is in the image it begins with.
"""

import os
import pathlib
import shutil
import subprocess
from collections.abc import Iterator

import pytest

import engines
import images
import kfp_environments
from servers import PARENT, Server, running

pytestmark = [pytest.mark.containers, pytest.mark.service, pytest.mark.timeout(1800)]
ROOT = pathlib.Path(__file__).parents[2]
BASE = "homeport-tests/base-python:1"
STEPS = "homeport-tests/pipelines-python:1"
TORCHSERVE = "homeport-tests/torchserve:1"


@pytest.fixture
def server(
    docker: engines.Docker, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """A server that runs containers by the tests' docker."""
    monkeypatch.setenv("DOCKER_HOST", docker.host)
    options = ("--no-access-log", "--container-engine", "docker")
    with running(Server(tmp_path / "data", options)) as started:
        yield started


def docker_call(docker: engines.Docker, *words: str, stdin: bytes = b"") -> None:
    """Run docker for as long as an image of some hundred megabytes takes."""
    ended = subprocess.run(  # noqa: S603
        ["docker", *words],  # noqa: S607
        input=stdin,
        capture_output=True,
        check=False,
        timeout=900,
        # The newer builder is a download of its own.
        env={**os.environ, **docker.environment, "DOCKER_BUILDKIT": "0"},
    )
    assert ended.returncode == 0, (ended.stdout + ended.stderr)[-4000:].decode()


def test_the_image_of_the_components_is_built_and_runs_a_step(
    docker: engines.Docker,
    server: Server,
    mlp_torchscript: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    shell = {
        pathlib.Path(program).resolve(): place
        for program, place in (("/bin/sh", "bin/sh"), ("/usr/bin/mktemp", "bin/mktemp"))
    }
    base = images.tar(beside=shell, site=kfp_environments.site_packages())
    # What builds the package is in the base, too.
    isolation = ("--change", "ENV PIP_NO_BUILD_ISOLATION=0")
    docker_call(docker, "import", *isolation, "-", BASE, stdin=base)
    context = tmp_path / "context"
    context.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, context)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src", context / "src", ignore=ignored)
    file = context / "src/homeport/pipelines/Dockerfile"
    words = ("--build-arg", f"BASE={BASE}", "--network", "none", "--file", str(file))
    docker_call(docker, "build", "--tag", STEPS, *words, str(context))
    server.call("POST", "/storage/v1/b?project=p", {"name": "models"})
    server.upload("trained/mlp.pt", mlp_torchscript.read_bytes())
    kfp_environments.run(
        "-m", "homeport.pipelines", "--image", STEPS, ".", cwd=tmp_path
    )
    program = str(ROOT / "tests/programs/step_in_container.py")

    ended = kfp_environments.run(
        program, server.url, "gs://models/trained", str(tmp_path), cwd=tmp_path
    )

    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
    (model,) = server.call("GET", f"/v1/{PARENT}/models")[1]["models"]
    assert model["displayName"] == "from-a-container"
    assert f"registered {model['name']}@1" in ended.stdout


def test_the_pipeline_with_a_custom_container_serves_in_it(
    docker: engines.Docker, server: Server, tmp_path: pathlib.Path
) -> None:
    program = ROOT / "tests/programs/torchserve_container.py"
    tar = images.tar(("torch", "numpy"), beside={program: "app/torchserve.py"})
    command = ("--change", 'CMD ["/usr/bin/python3", "/app/torchserve.py"]')
    docker_call(docker, "import", *command, "-", TORCHSERVE, stdin=tar)
    example = str(ROOT / "examples/seed-002/run.py")
    words = (example, "runs", "--image", TORCHSERVE)

    ended = kfp_environments.run(*words, cwd=tmp_path, HOMEPORT_URL=server.url)

    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
    assert "answered by version 1 ['ship', 'harbour']" in ended.stdout
    place = "/v1/projects/your-project-id/locations/us-central1"
    (model,) = server.call("GET", f"{place}/models")[1]["models"]
    spec = model["containerSpec"]
    assert spec["imageUri"] == TORCHSERVE
    assert spec["ports"] == [{"containerPort": 8080}]
    assert spec["env"] == [{"name": "MODEL_NAME", "value": "custom_model"}]
