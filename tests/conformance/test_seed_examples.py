"""The examples of a Vertex user's scripts run against a server, to their last line."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from servers import Server

pytestmark = pytest.mark.service

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


def run(server: Server, folder: pathlib.Path, seed: str, *options: str) -> str:
    """Run an example in a process of its own; return what it printed."""
    environment = {
        **os.environ,
        "HOMEPORT_URL": server.url,
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    done = subprocess.run(  # noqa: S603
        [sys.executable, str(EXAMPLES / seed / "run.py"), str(folder), *options],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(300)
def test_a_pytorch_model_is_registered_deployed_and_trained_again(
    shared_server: Server, tmp_path: pathlib.Path
) -> None:
    said = run(shared_server, tmp_path, "seed-000")

    assert "Model saved as TorchScript" in said
    assert "Model registered: projects/your-project-id/locations/us-central1" in said
    assert "New version: 2" in said
    assert "version 2: " in said


@pytest.mark.timeout(300)
def test_a_model_for_earth_engine_is_deployed_by_the_requests_of_gcloud(
    shared_server: Server, tmp_path: pathlib.Path
) -> None:
    said = run(shared_server, tmp_path, "seed-003", "--replay")

    assert "/models:upload?alt=json" in said
    assert "a tile of 50 x 50 pixels, mostly " in said


@pytest.mark.clients
@pytest.mark.timeout(600)
def test_a_model_for_earth_engine_is_deployed_by_gcloud(
    shared_server: Server, tmp_path: pathlib.Path
) -> None:
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not on PATH: it comes with Google's own installer alone")

    said = run(shared_server, tmp_path, "seed-003")

    assert "$ gcloud ai endpoints deploy-model" in said
    assert "a tile of 50 x 50 pixels, mostly " in said


@pytest.mark.timeout(300)
def test_versions_are_chosen_compared_and_brought_back(
    shared_server: Server, tmp_path: pathlib.Path
) -> None:
    said = run(shared_server, tmp_path, "seed-004")

    assert "Version 2: Second version with more neurons in the first layer." in said
    assert "rolled back to version 1, with the same predictions" in said
