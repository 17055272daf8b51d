"""The guide's Flask server is registered, deployed and asked by the official SDK."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import engines
import images
from servers import Server, running

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]
EXAMPLE = pathlib.Path(__file__).parents[2] / "examples/seed-000/custom-container"
IMAGE = "homeport-tests/image-classifier:1"


def drive(server: Server, *image: str) -> list[str]:
    """Return the lines that the example printed."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, str(EXAMPLE / "deploy.py"), *image],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "STORAGE_EMULATOR_HOST": server.url},
    )
    assert done.returncode == 0, done.stderr + server.log()
    return done.stdout.splitlines()


def assert_driven(lines: list[str]) -> None:
    # The SDK tells of its own what it does.
    own = ("Model registered: ", "Model deployed to: ", "10 classes", "Undeployed and")
    registered, deployed, *told = (line for line in lines if line.startswith(own))
    assert registered.endswith("@1")
    assert "/locations/us-central1/endpoints/" in deployed
    assert told == ["10 classes, together 1.0000", "Undeployed and deleted"]


def programs(name: str) -> list[str]:
    """Return the command lines that end in a name, of the image's first process."""
    found = []
    for one in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = one.read_bytes().decode(errors="replace").split("\0")
            if name in words and (one.parent / "cwd").readlink().name == "app":
                found.append(" ".join(words))
    return found


@pytest.mark.long
def test_the_flask_server_runs_as_a_command_of_the_host(
    tmp_path: pathlib.Path,
) -> None:
    options = ("--container-engine", "none", "--allow-host-commands")

    with running(Server(tmp_path / "data", options)) as server:
        lines = drive(server)

    assert_driven(lines)


@pytest.mark.containers
@pytest.mark.parametrize("name", ["docker", "podman"])
def test_the_flask_server_runs_in_the_image_of_its_dockerfile(
    tmp_path: pathlib.Path,
    name: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine: engines.Engine = request.getfixturevalue(name)
    for variable, value in engine.environment.items():
        monkeypatch.setenv(variable, value)
    # What `pip install` of the Dockerfile would fetch is in the image it begins with.
    packages = images.tar(("flask", "numpy", "pip", "torch"))
    engine.call("import", "-", "homeport-tests/torch:1", stdin=packages)
    # The newer builder of docker is a download of its own.
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")
    context = shutil.copytree(EXAMPLE, tmp_path / "context")
    words = ("--build-arg", "BASE=homeport-tests/torch:1", "--network", "none")
    engine.call("build", "--tag", IMAGE, *words, str(context))

    options = ("--container-engine", name)
    with running(Server(tmp_path / "data", options)) as server:
        lines = drive(server, IMAGE)

    assert_driven(lines)
    # It does not hear SIGTERM, and is not only out of its engine's list.
    assert programs("serve.py") == []
