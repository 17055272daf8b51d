"""The example of packages that do not fit runs, and stops what it says it stops."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.service
@pytest.mark.long
# It builds an environment with torch.
@pytest.mark.timeout(300)
def test_missing_and_mispinned_packages_are_stopped_and_corrected_ones_pass(
    tmp_path: pathlib.Path,
) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    # Workers start much slower when each compiles all sources anew.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    # The downloads are the user's: only the environments are this test's own.
    environment["UV_CACHE_DIR"] = subprocess.run(  # noqa: S603
        [pathlib.Path(sys.executable).with_name("uv"), "cache", "dir"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()

    done = subprocess.run(  # noqa: S603
        [sys.executable, str(ROOT / "examples/seed-001/run.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "handler_torchvision.py line 7 imports torchvision" in done.stdout
    said = (
        "torchvision 0.15.1 needs torch==2.0.0, but the requirements want torch==1.13.1"
    )
    assert done.stdout.count(said) == 2
    assert "added    training_transforms.py, which the code imports" in done.stdout
    assert done.stdout.count("1 prediction as expected") == 1
    assert done.stdout.count("\npassed\n") == 3
