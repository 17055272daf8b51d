"""What the README promises is run: the demo, and the script for the SDK."""

import json
import pathlib
import re
import shlex
import socket
import subprocess
import sys
from typing import Any

import pytest
import torch

import command_line

pytestmark = pytest.mark.service

ROOT = pathlib.Path(__file__).parents[2]
SERVER = "http://127.0.0.1:8080"
README = (ROOT / "README.md").read_text(encoding="utf-8")
# The handler, and the script for the SDK.
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.timeout(180)
def test_the_demo_trains_serves_and_predicts(tmp_path: pathlib.Path) -> None:
    finished = _demo(tmp_path / "demo", "--port", "0")

    assert finished.returncode == 0, finished.stdout + finished.stderr
    accuracy = re.findall(r"test accuracy ([0-9.]+)%", finished.stdout)[-1]
    assert float(accuracy) >= 97
    right, shown = re.findall(r"(\d+) of (\d+) right", finished.stdout)[0]
    assert int(right) >= int(shown) - 1
    _, _, after = finished.stdout.partition("The server is stopped.")
    steps = ["activate", "homeport serve --port", "homeport predict image-classifier"]
    found = [after.index(step) for step in steps]
    assert found == sorted(found)


def test_the_demo_says_before_the_training_that_the_port_is_taken(
    tmp_path: pathlib.Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        finished = _demo(tmp_path, "--port", str(taken.getsockname()[1]))

    assert finished.returncode == 1
    assert finished.stdout == ""
    assert "--port 0" in finished.stderr


def test_the_demo_says_before_the_training_that_its_folder_is_in_use(
    shared_server: Any,
) -> None:
    finished = _demo(shared_server.data_dir.parent, "--port", "0")

    assert finished.returncode == 1
    assert finished.stdout == ""
    assert "another server uses" in finished.stderr


@pytest.mark.timeout(180)
def test_the_handler_of_the_readme_is_packed_deployed_and_answers(
    shared_server: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, _ = PYTHON
    (tmp_path / "handler.py").write_text(handler)
    layer = torch.nn.Linear(4, 2, bias=False)
    torch.nn.init.eye_(layer.weight)
    torch.jit.save(torch.jit.script(layer), tmp_path / "model.pt")
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^homeport (pack.*handler\.py)$", README, re.MULTILINE)

    packed = command_line.run(*shlex.split(commands[0]))
    deployed = command_line.run(
        "deploy", "digits.mar", "--display-name", "own", url=shared_server.url
    )
    asked = ("predict", "own", "--json", "[[1, 3, 0, 0], [2, 1, 0, 0]]")
    answered = command_line.run(*asked, url=shared_server.url)

    assert (packed.code, deployed.code) == (0, 0), packed.err + deployed.err
    assert json.loads(answered.out)["predictions"] == [
        {"digit": 1, "score": 3.0},
        {"digit": 0, "score": 2.0},
    ]


def _demo(folder: pathlib.Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, str(ROOT / "examples/demo.py"), "--exit", *options,
         "--folder", str(folder)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )  # fmt: skip


@pytest.mark.timeout(180)
def test_the_sdk_script_of_the_readme_runs_as_it_stands(
    shared_server: Any, mlp_archive: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    _, script = PYTHON
    assert SERVER in script
    assert '"digits.mar"' in script
    (tmp_path / "digits.mar").write_bytes(mlp_archive.read_bytes())

    # Twice: nothing of the first time is in the way of the second.
    for _ in range(2):
        finished = subprocess.run(  # noqa: S603
            [sys.executable, "-c", script.replace(SERVER, shared_server.url)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

        assert finished.returncode == 0, finished.stderr
        assert "Prediction(predictions=[[" in finished.stdout
    listed = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "homeport", "endpoints", "list",
         "--url", shared_server.url],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )  # fmt: skip
    assert listed.stdout.count("digits-sdk_endpoint") == 2
