"""What the README promises is run: the demo, and the script for the SDK."""

import pathlib
import re
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.service

ROOT = pathlib.Path(__file__).parents[2]
SERVER = "http://127.0.0.1:8080"


@pytest.mark.timeout(180)
def test_the_demo_trains_serves_and_predicts(tmp_path: pathlib.Path) -> None:
    finished = subprocess.run(  # noqa: S603
        [sys.executable, str(ROOT / "examples/demo.py"), "--exit", "--port", "0",
         "--folder", str(tmp_path / "demo")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )  # fmt: skip

    assert finished.returncode == 0, finished.stdout + finished.stderr
    accuracy = re.findall(r"test accuracy ([0-9.]+)%", finished.stdout)[-1]
    assert float(accuracy) >= 97
    right, shown = re.findall(r"(\d+) of (\d+) right", finished.stdout)[0]
    assert int(right) >= int(shown) - 1
    assert "homeport predict image-classifier" in finished.stdout


@pytest.mark.timeout(180)
def test_the_sdk_script_of_the_readme_runs_as_it_stands(
    shared_server: Any, mlp_archive: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert SERVER in script
    assert '"digits.mar"' in script
    (tmp_path / "digits.mar").write_bytes(mlp_archive.read_bytes())

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
