"""The official SDK in a process of its own: this environment's, or an older one's."""

import os
import pathlib
import subprocess
import sys

OLD = "1.165.1"


def old_interpreter() -> str:
    """Return the interpreter of an environment with the older SDK, made once."""
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    directory = pathlib.Path(cache) / "homeport-tests" / f"aiplatform-{OLD}"
    python = directory / "bin" / "python"
    whole = directory / "whole"
    if not whole.exists():
        run([sys.executable, "-m", "venv", "--clear", str(directory)])
        packages = [f"google-cloud-aiplatform=={OLD}", "google-cloud-storage<4"]
        run([str(python), "-m", "pip", "install", "--quiet", *packages])
        whole.touch()
    return str(python)


def run(command: list[str], **environment: str) -> str:
    """Return what a command prints; its complaints are the failure's message."""
    ended = subprocess.run(  # noqa: S603
        command,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        env={**os.environ, **environment},
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    return ended.stdout
