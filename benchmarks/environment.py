"""The virtual environment of the peers, apart from the one that runs Homeport.

One environment serves TorchServe and FastAPI: they share no package that either
of them pins, and torch is the largest part of each.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence

# A peer computes with the torch that Homeport computes with, inside the bounds
# of Homeport's own extra: an open bound would fetch a different build.
TORCH = "torch>=2.6,<2.14"
PINNED = (
    "torchserve==0.12.0",
    "torch-model-archiver==0.12.0",
    # TorchServe's workers import yaml and do not declare it.
    "pyyaml>=6",
    "numpy>=1.26",
    "fastapi>=0.115,<1",
    "uvicorn[standard]>=0.30,<1",
)
# The registry's peer, apart: it pins what the others need otherwise.
REGISTRY = ("mlflow==3.17.2", "psycopg[binary]>=3.2")
# The peer of batch predictions, apart: it brings a data frame library.
BATCH = (TORCH, "mlflow-skinny==3.17.2", "numpy>=1.26", "pandas>=2", "orjson>=3.10")
# What reads and writes objects, apart from what Homeport itself imports.
STORAGE = ("google-cloud-storage==3.17.1", "obstore==0.12.1")
REPORTED = (
    *("torch", "numpy", "torchserve", "fastapi", "uvicorn", "uvloop", "pydantic"),
    *("mlflow", "mlflow-skinny", "pandas", "flask", "sqlalchemy", "psycopg"),
    *("google-cloud-storage", "obstore"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Environment:
    """A finished virtual environment.

    Attributes:
        root: Its directory.
    """

    root: pathlib.Path

    def executable(self, name: str) -> str:
        """Return the path of a command installed in it."""
        return str(self.root / "bin" / name)

    def versions(self) -> dict[str, str]:
        """Return the versions of the packages a result depends on."""
        listed = subprocess.run(
            [self.executable("python"), "-m", "pip", "list", "--format", "json"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        installed = {row["name"].lower(): row["version"] for row in json.loads(listed)}
        return {name: installed[name] for name in REPORTED if name in installed}


def prepare(cache: pathlib.Path) -> Environment:
    """Return the peers' environment under `cache`, made there if it is missing.

    The directory is named by its requirements, so a change of them makes a new
    one; a half-made one is made again.

    Raises:
        subprocess.CalledProcessError: pip failed; its words are on the terminal.
    """
    torch = importlib.metadata.version("torch").partition("+")[0]
    return _made(cache, "peers", (TORCH, f"torch=={torch}", *PINNED))


def prepare_registry(cache: pathlib.Path) -> Environment:
    """Return the environment of the registry's peer, as `prepare` does."""
    return _made(cache, "registry", REGISTRY)


def prepare_batch(cache: pathlib.Path) -> Environment:
    """Return the environment of the peer of batch predictions, as `prepare` does."""
    torch = importlib.metadata.version("torch").partition("+")[0]
    return _made(cache, "batch", (*BATCH, f"torch=={torch}"))


def prepare_storage(cache: pathlib.Path) -> Environment:
    """Return the environment of the storage clients, as `prepare` does."""
    return _made(cache, "storage", STORAGE)


def _made(cache: pathlib.Path, name: str, requirements: Sequence[str]) -> Environment:
    key = hashlib.sha256("\n".join((sys.version, *requirements)).encode()).hexdigest()
    root = cache / f"{name}-{key[:12]}"
    made = root / "made"
    if not made.exists():
        print(f"making the environment {root} (minutes, once)", flush=True)
        shutil.rmtree(root, ignore_errors=True)
        venv.create(root, with_pip=True)
        subprocess.run(
            [root / "bin" / "python", "-m", "pip", "install", "-q", *requirements],
            check=True,
        )
        made.touch()
    return Environment(root)


def default_cache() -> pathlib.Path:
    """Return where the environment is kept unless told otherwise."""
    return pathlib.Path(tempfile.gettempdir()) / "homeport-benchmarks"
