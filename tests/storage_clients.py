"""Storage clients in an environment of their own, built by uv and kept.

Their dependencies are not ours, and gsutil is nothing to import.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import uv

from homeport.environments import pipsettings

REQUIREMENTS = ("gsutil==5.38", "gcsfs==2026.10.1", "obstore==0.12.1")
CACHE = pathlib.Path(tempfile.gettempdir()) / "homeport-storage-clients"
TESTS = pathlib.Path(__file__).parent


def prepare(requirements: tuple[str, ...] = REQUIREMENTS) -> pathlib.Path:
    """Return the folder of the environment's commands; made if it is missing."""
    key = hashlib.sha256("\n".join((sys.version, *requirements)).encode()).hexdigest()
    root = CACHE / key[:12]
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "made").exists():
            shutil.rmtree(root, ignore_errors=True)
            _uv("venv", "--quiet", "--python", sys.executable, str(root))
            python = str(root / "bin" / "python")
            _uv("pip", "install", "--quiet", "--python", python, *requirements)
            (root / "made").touch()
    return root / "bin"


def _uv(*words: str) -> None:
    environment = {**os.environ, **pipsettings.as_uv(os.environ)}
    command = [uv.find_uv_bin(), *words]
    subprocess.run(command, check=True, env=environment)  # noqa: S603


def failures(script: str, url: str, folder: pathlib.Path) -> dict[str, str]:
    """Run a script of calls in the environment; return call -> how it failed, or ""."""
    ended = subprocess.run(  # noqa: S603
        [prepare() / "python", TESTS / "conformance" / script, url, folder],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": str(TESTS),
            "STORAGE_EMULATOR_HOST": url,
            # Asks for gRPC otherwise, and waits a minute for it at each call.
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        },
    )
    with contextlib.suppress(ValueError, IndexError):
        told: dict[str, str] = json.loads(ended.stdout.splitlines()[-1])
        return told
    raise AssertionError(f"{script} ended: {ended.stdout}{ended.stderr}")
