"""An environment with Kubeflow Pipelines, apart: kfp holds back what others need."""

import fcntl
import hashlib
import importlib.metadata
import os
import pathlib
import subprocess
import sys
import tomllib

from homeport.environments import uvtool

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = (
    "kfp==2.17.0",
    "google-cloud-pipeline-components==2.22.0",
    "google-cloud-storage>=3,<4",
    "numpy",
    # What builds images, and runs steps in them.
    "docker>=7",
    "hatchling",
    "pip",
    # The one that is installed here; a newer one may be of gigabytes.
    f"torch=={importlib.metadata.version('torch').partition('+')[0]}",
)


def interpreter() -> str:
    """Return the environment's Python, made once for these packages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = [*PACKAGES, *project["dependencies"]]
    wanted = hashlib.sha256(repr(packages).encode()).hexdigest()[:16]
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    directory = pathlib.Path(cache) / "homeport-tests" / f"kfp-{wanted}"
    python = directory / "bin" / "python"
    directory.parent.mkdir(parents=True, exist_ok=True)
    with directory.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "whole").exists():
            _uv("venv", "--clear", "--python", sys.executable, str(directory))
            _uv("pip", "install", "--python", str(python), *packages)
            (directory / "whole").touch()
    return str(python)


def site_packages() -> pathlib.Path:
    """Return where the environment's packages are."""
    (site,) = pathlib.Path(interpreter()).parents[1].glob("lib/python*/site-packages")
    return site


def run(
    *words: str, cwd: pathlib.Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the environment's Python, with this Homeport, and return how it ended."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src"),
        "XDG_CACHE_HOME": str(cwd / "cache"),
        **variables,
    }
    # Each step of a pipeline would compile all of Google's clients anew.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(  # noqa: S603
        [interpreter(), *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=environment,
        timeout=500,
    )


def _uv(*words: str) -> None:
    uv = pathlib.Path(sys.executable).with_name("uv")
    variables = {**uvtool.environment(os.environ), "UV_COMPILE_BYTECODE": "1"}
    ended = subprocess.run(  # noqa: S603
        [str(uv), "--quiet", *words],
        capture_output=True,
        text=True,
        check=False,
        env=variables,
        timeout=900,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
