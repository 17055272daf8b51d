"""What `homeport doctor` looks at. Nothing here changes anything."""

import dataclasses
import enum
import importlib.metadata
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import homeport
from homeport.client.connection import Connection
from homeport.errors import HomeportError

_GIB: Final = 1 << 30
_LEAST_FREE_BYTES: Final = 1 * _GIB
_WANTED_FREE_BYTES: Final = 10 * _GIB
_WANTED_FILES: Final = 1024
_ENGINE_TIMEOUT_S: Final = 10.0
# As the extras of pyproject.toml have them.
_TORCH_BELOW: Final = (2, 14)
_OWN_VARIABLES: Final = frozenset(
    {"HOMEPORT_URL", "HOMEPORT_PROJECT", "HOMEPORT_REGION", "HOMEPORT_CALLER"}
)
_SERVE_PREFIX: Final = "HOMEPORT_SERVE_"


class State(enum.StrEnum):
    """How something stands."""

    GOOD = "ok"
    WARNING = "warning"
    BAD = "wrong"


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What.
        state: How it stands.
        detail: What was found.
        remedy: What to do, "" if nothing.
    """

    subject: str
    state: State
    detail: str
    remedy: str = ""

    def document(self) -> dict[str, str]:
        """Return it for programs."""
        return dataclasses.asdict(self)


def all_of(connection: Connection, data_dir: Path, port: int) -> list[Finding]:
    """Look at everything."""
    server = of_server(connection)
    running = server.state is State.GOOD
    return [
        of_python(sys.version_info[:3]),
        of_torch(_version("torch")),
        of_uv(_version("uv")),
        of_engines(),
        of_gpus(),
        of_environment(os.environ),
        *of_data_dir(data_dir),
        of_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        server,
        *(() if running else (of_port(port),)),
    ]


def of_python(version: tuple[int, ...]) -> Finding:
    """Tell of the interpreter."""
    text = ".".join(map(str, version))
    detail = f"homeport {homeport.__version__} on Python {text}, {platform.system()}"
    if platform.system() != "Linux":
        return Finding(
            "platform", State.WARNING, detail, "It is tested on Linux: use that."
        )
    return Finding("platform", State.GOOD, detail)


def of_torch(version: str) -> Finding:
    """Tell of what runs PyTorch's models without a lock of their own."""
    newest = ".".join(map(str, _TORCH_BELOW))
    if not version:
        return Finding(
            "torch",
            State.WARNING,
            "not installed: only versions with a lock can be served",
            f"pip install 'torch<{newest}' numpy (the extra homeport[torch])",
        )
    major, minor = (int(part) for part in version.split(".")[:2])
    if (major, minor) >= _TORCH_BELOW:
        return Finding(
            "torch",
            State.WARNING,
            f"{version}, which is not tested",
            f"pip install 'torch<{newest}'",
        )
    return Finding("torch", State.GOOD, version)


def of_uv(version: str) -> Finding:
    """Tell of what builds environments."""
    if version:
        return Finding("uv", State.GOOD, version)
    return Finding("uv", State.BAD, "not installed", "pip install uv")


def of_engines() -> Finding:
    """Tell of what runs custom containers."""
    found = [name for name in ("docker", "podman") if shutil.which(name)]
    answering = [name for name in found if _answers(name, "info")]
    if answering:
        return Finding("containers", State.GOOD, ", ".join(answering))
    if found:
        return Finding(
            "containers",
            State.WARNING,
            f"{', '.join(found)} is installed and does not answer",
            f"Start it, and see that `{found[0]} info` works for you.",
        )
    return Finding(
        "containers",
        State.WARNING,
        "neither docker nor podman: versions with an image of their own cannot run",
        "Install one of them, if you have such versions.",
    )


def of_gpus() -> Finding:
    """Tell of NVIDIA's GPUs."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return Finding("gpus", State.GOOD, "none: replicas run on the CPU")
    listed = _output(command, "--query-gpu=name", "--format=csv,noheader")
    if listed:
        return Finding("gpus", State.GOOD, ", ".join(listed.splitlines()))
    return Finding(
        "gpus",
        State.WARNING,
        "nvidia-smi is there and finds none",
        "See that the driver is loaded: `nvidia-smi`.",
    )


def of_environment(variables: Mapping[str, str]) -> Finding:
    """Tell of variables that mean nothing, or slow a server down."""
    strange = sorted(
        name
        for name in variables
        if name.startswith("HOMEPORT_")
        and name not in _OWN_VARIABLES
        and not name.startswith(_SERVE_PREFIX)
    )
    if strange:
        return Finding(
            "environment",
            State.WARNING,
            f"{', '.join(strange)} means nothing to homeport",
            f"Known are {', '.join(sorted(_OWN_VARIABLES))} and {_SERVE_PREFIX}...",
        )
    if variables.get("PYTHONDONTWRITEBYTECODE"):
        return Finding(
            "environment",
            State.WARNING,
            "PYTHONDONTWRITEBYTECODE is set: every replica compiles its sources anew",
            "unset PYTHONDONTWRITEBYTECODE",
        )
    return Finding("environment", State.GOOD, "nothing unusual")


def of_data_dir(data_dir: Path) -> list[Finding]:
    """Tell whether a server could write there, and for how long."""
    there = data_dir.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return [
            Finding(
                "data",
                State.BAD,
                f"{data_dir} cannot be written",
                "Choose another --data-dir, or have its owner let you write.",
            )
        ]
    there_is = "there" if data_dir.exists() else "made when a server starts"
    return [
        Finding("data", State.GOOD, f"{data_dir}, {there_is}"),
        of_disk(shutil.disk_usage(there).free),
    ]


def of_disk(free_bytes: int) -> Finding:
    """Tell of the room for models and environments."""
    detail = f"{free_bytes / _GIB:.1f} GiB free"
    if free_bytes >= _WANTED_FREE_BYTES:
        return Finding("disk", State.GOOD, detail)
    state = State.BAD if free_bytes < _LEAST_FREE_BYTES else State.WARNING
    return Finding(
        "disk",
        state,
        detail,
        "Environments with PyTorch take 1 to 6 GiB each: make room, or choose another "
        "--data-dir.",
    )


def of_files(limit: int) -> Finding:
    """Tell of how many files a process may open."""
    if limit == resource.RLIM_INFINITY or limit >= _WANTED_FILES:
        return Finding("open files", State.GOOD, f"limit {limit}")
    return Finding(
        "open files",
        State.WARNING,
        f"limit {limit}: many connections at once will be refused",
        f"ulimit -n {_WANTED_FILES * 64}",
    )


def of_server(connection: Connection) -> Finding:
    """Tell of the server that commands would ask."""
    url = connection.address.url
    try:
        told = connection.get("/")
    except HomeportError as error:
        return Finding("server", State.WARNING, error.message)
    if told.get("name") != "homeport":
        return Finding(
            "server",
            State.WARNING,
            f"what answers at {url} is no homeport server",
            "Name the right one with --url or HOMEPORT_URL.",
        )
    version = told.get("version", "")
    if version != homeport.__version__:
        return Finding(
            "server",
            State.WARNING,
            f"{url} is homeport {version}, this command {homeport.__version__}",
            "Bring both to one version.",
        )
    return Finding("server", State.GOOD, f"{url}, homeport {version}")


def of_port(port: int) -> Finding:
    """Tell whether a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return Finding(
                "port",
                State.BAD,
                f"{port} cannot be had ({error.strerror})",
                "End what listens there, or choose another: homeport serve --port 0",
            )
    return Finding("port", State.GOOD, f"{port} is free")


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _answers(*command: str) -> bool:
    try:
        ended = subprocess.run(  # noqa: S603  # fixed words
            command, capture_output=True, timeout=_ENGINE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def _output(*command: str) -> str:
    try:
        return subprocess.run(  # noqa: S603  # fixed words
            command,
            capture_output=True,
            text=True,
            timeout=_ENGINE_TIMEOUT_S,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
