"""The servers that are compared: Homeport, TorchServe and FastAPI in two forms each.

Every server logs as it does by default, to a file of its own.
"""

import dataclasses
import io
import json
import pathlib
import shutil
import sys
import time
import zipfile
from collections.abc import Sequence
from typing import Protocol

import processes
from environment import Environment
from models import Archive
from torchserve import TorchServe

PROJECT = "projects/bench/locations/us-central1"
IMAGE = "us-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-4:latest"
OPERATION_S = 120.0
POLL_S = 0.01
# The request and the answer of the others: {"instances"}, {"predictions"}.
ENVELOPE = {"service_envelope": "json"}


class Peer(Protocol):
    """A server that holds models and predicts over HTTP."""

    name: str

    def start(self, archives: Sequence[Archive], workers: int) -> None:
        """Start it and return once every model has its workers."""

    def url(self, model: str) -> str:
        """Return where a request body is POSTed to be predicted with a model."""

    def end(self) -> None:
        """End everything it started, at any point, also when never started."""


class VersionedPeer(Peer, Protocol):
    """A server that takes a further version while it runs."""

    def put(self, archive: Archive) -> None:
        """Bring an archive to where the server reads archives."""

    def deploy(self, archive: Archive, workers: int) -> str:
        """Load it beside the versions already there; return its URL."""

    def retire(self, archive: Archive) -> None:
        """Take a later version away; version 1 takes its place."""


@dataclasses.dataclass(slots=True)
class Homeport:
    """Homeport over the Vertex REST API, in the environment that runs this.

    Attributes:
        home: Directory of its own.
        batch_size: Put into the archive's model-config.yaml; None leaves it out.
    """

    home: pathlib.Path
    name: str = "homeport"
    batch_size: int | None = None
    _address: str = ""
    _server: processes.Server | None = None
    _urls: dict[str, str] = dataclasses.field(default_factory=dict)
    _models: dict[str, str] = dataclasses.field(default_factory=dict)
    _endpoints: dict[str, str] = dataclasses.field(default_factory=dict)
    _deployed: dict[tuple[str, int], str] = dataclasses.field(default_factory=dict)

    def start(self, archives: Sequence[Archive], workers: int) -> None:
        self.home.mkdir(parents=True)
        [port] = processes.free_ports(1)
        self._address = f"http://127.0.0.1:{port}"
        executable = pathlib.Path(sys.executable).parent / "homeport"
        self._server = processes.start(
            [
                str(executable),
                "serve",
                *("--port", str(port)),
                *("--data-dir", str(self.home / "data")),
                # TorchServe proves nothing of what it registers.
                *("--check-policy", "none"),
            ],
            self.home,
        )
        self._server.wait_until_ready(f"{self._address}/readyz")
        self._post("/storage/v1/b?project=bench", {"name": "bench"})
        for archive in archives:
            self.put(archive)
            self._urls[archive.model] = self.deploy(archive, workers)

    def url(self, model: str) -> str:
        return self._urls[model]

    @property
    def pid(self) -> int:
        """The server's process."""
        if self._server is None:
            raise RuntimeError("it was not started")
        return self._server.popen.pid

    def model(self, archive: Archive) -> str:
        """Return the name of the model that an archive was registered as."""
        return self._models[archive.model]

    def call(
        self, method: str, path: str, message: processes.Json | None = None
    ) -> processes.Json:
        """Return the answer to a request of the API."""
        body = None if message is None else json.dumps(message).encode()
        return processes.request(
            method, self._address + path, body, content_type="application/json"
        )

    def put(self, archive: Archive) -> None:
        self.store(f"{_folder(archive)}/model.mar", self._content(archive))

    def store(self, name: str, content: bytes) -> None:
        """Put an object into the bucket."""
        processes.request(
            "POST",
            f"{self._address}/upload/storage/v1/b/bench/o?uploadType=media&name={name}",
            content,
            content_type="application/octet-stream",
        )

    def _content(self, archive: Archive) -> bytes:
        """Return the archive, with a model-config.yaml if one is wanted."""
        if self.batch_size is None:
            return archive.mar.read_bytes()
        packed = io.BytesIO()
        with (
            zipfile.ZipFile(archive.mar) as original,
            zipfile.ZipFile(packed, "w") as configured,
        ):
            for member in original.namelist():
                content = original.read(member)
                if member == "MAR-INF/MANIFEST.json":
                    manifest = json.loads(content)
                    manifest["model"]["configFile"] = "model-config.yaml"
                    content = json.dumps(manifest).encode()
                configured.writestr(member, content)
            configured.writestr("model-config.yaml", f"batchSize: {self.batch_size}\n")
        return packed.getvalue()

    def deploy(self, archive: Archive, workers: int) -> str:
        version = self._register(archive)
        endpoint = self._endpoint(archive.model)
        deployed = self._finish(
            self._post(
                f"/v1/{endpoint}:deployModel",
                {
                    "deployedModel": {
                        "model": version,
                        "dedicatedResources": {
                            "machineSpec": {},
                            "minReplicaCount": workers,
                            "maxReplicaCount": workers,
                        },
                    },
                    "trafficSplit": {"0": 100},
                },
            )
        )
        key = (archive.model, archive.version)
        self._deployed[key] = deployed["deployedModel"]["id"]
        return f"{self._address}/v1/{endpoint}:predict"

    def retire(self, archive: Archive) -> None:
        endpoint = self._endpoints[archive.model]
        retired = self._deployed.pop((archive.model, archive.version))
        first = self._deployed[(archive.model, 1)]
        self._finish(
            self._post(
                f"/v1/{endpoint}:undeployModel",
                {"deployedModelId": retired, "trafficSplit": {first: 100}},
            )
        )

    def end(self) -> None:
        if self._server is not None:
            self._server.end()

    def _register(self, archive: Archive) -> str:
        upload: processes.Json = {
            "model": {
                "displayName": archive.model,
                "artifactUri": f"gs://bench/{_folder(archive)}",
                "containerSpec": {"imageUri": IMAGE},
            }
        }
        if archive.model in self._models:
            upload["parentModel"] = self._models[archive.model]
        registered = self._finish(self._post(f"/v1/{PROJECT}/models:upload", upload))
        # The name comes with or without the version; the version is named anyway.
        model = registered["model"].partition("@")[0]
        self._models[archive.model] = model
        return f"{model}@{registered['modelVersionId']}"

    def _endpoint(self, model: str) -> str:
        if model not in self._endpoints:
            created = self._finish(
                self._post(f"/v1/{PROJECT}/endpoints", {"displayName": model})
            )
            self._endpoints[model] = created["name"]
        return self._endpoints[model]

    def _post(self, path: str, message: processes.Json) -> processes.Json:
        return processes.request(
            "POST",
            self._address + path,
            json.dumps(message).encode(),
            content_type="application/json",
        )

    def _finish(self, operation: processes.Json) -> processes.Json:
        """Return the response of an operation once it is done."""
        deadline = time.monotonic() + OPERATION_S
        while not operation.get("done"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{operation['name']} took over {OPERATION_S:.0f} s")
            time.sleep(POLL_S)
            operation = processes.request(
                "GET", f"{self._address}/v1/{operation['name']}"
            )
        if "error" in operation:
            raise RuntimeError(f"{operation['name']}: {operation['error']['message']}")
        response: processes.Json = operation["response"]
        return response


def _folder(archive: Archive) -> str:
    # One archive to a directory: artifactUri names the directory.
    return f"{archive.model}-{archive.version}"


@dataclasses.dataclass(slots=True)
class TorchServePeer:
    """TorchServe 0.12 at its defaults, or with its dynamic batching.

    Attributes:
        name: Tells its settings apart in the tables.
        server: The server itself, which speaks the json envelope.
        batch_size: Most requests in one call of the handler.
        max_batch_delay_ms: How long the first of them waits for the others.
    """

    name: str
    server: TorchServe
    batch_size: int | None = None
    max_batch_delay_ms: int | None = None
    _urls: dict[str, str] = dataclasses.field(default_factory=dict)

    def start(self, archives: Sequence[Archive], workers: int) -> None:
        self.server.start()
        for archive in archives:
            self.put(archive)
            self._urls[archive.model] = self.deploy(archive, workers)

    def url(self, model: str) -> str:
        return self._urls[model]

    def put(self, archive: Archive) -> None:
        shutil.copy(archive.mar, self.server.store)

    def deploy(self, archive: Archive, workers: int) -> str:
        options = {
            "initial_workers": workers,
            "batch_size": self.batch_size,
            "max_batch_delay": self.max_batch_delay_ms,
        }
        given = {key: value for key, value in options.items() if value is not None}
        self.server.register(archive.mar.name, **given)
        address = self.server.inference
        return f"{address}/predictions/{archive.model}/{archive.version}"

    def retire(self, archive: Archive) -> None:
        self.server.unregister(archive.model, str(archive.version))

    def end(self) -> None:
        self.server.end()


@dataclasses.dataclass(slots=True)
class FastApi:
    """A FastAPI application for exactly these two models, under uvicorn.

    Attributes:
        name: Tells its forms apart in the tables.
        routes: Path in front of the model's name: that of one of its two forms.
        home: Directory of its own.
        environment: Where it is installed.
    """

    name: str
    routes: str
    home: pathlib.Path
    environment: Environment
    _address: str = ""
    _server: processes.Server | None = None

    def start(self, archives: Sequence[Archive], workers: int) -> None:
        self.home.mkdir(parents=True)
        for archive in archives:
            shutil.copy(archive.torchscript, self.home / f"{archive.model}.pt")
        [port] = processes.free_ports(1)
        self._address = f"http://127.0.0.1:{port}"
        self._server = processes.start(
            [
                self.environment.executable("uvicorn"),
                "fastapi_app:app",
                *("--app-dir", str(pathlib.Path(__file__).parent)),
                *("--port", str(port)),
                *("--workers", str(workers)),
            ],
            self.home,
            {"BENCHMARK_MODELS": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self._server.wait_until_ready(f"{self._address}/health")

    def url(self, model: str) -> str:
        return f"{self._address}{self.routes}/{model}"

    def end(self) -> None:
        if self._server is not None:
            self._server.end()


NAMES = (
    "homeport",
    "homeport-batched",
    "torchserve",
    "torchserve-batched",
    "fastapi",
    "fastapi-async",
)


VERSIONED = ("homeport", "torchserve")


def choose(
    names: Sequence[str], directory: pathlib.Path, environment: Environment
) -> list[Peer]:
    """Return the named peers, none of them started, with homes under `directory`.

    Raises:
        SystemExit: A name is not in `NAMES`, or what it needs is not installed.
    """
    return [_make(name, directory / name, environment) for name in names]


def choose_versioned(
    names: Sequence[str], directory: pathlib.Path, environment: Environment
) -> list[VersionedPeer]:
    """Return the named peers as `choose` does, of `VERSIONED` only."""
    return [_make_versioned(name, directory / name, environment) for name in names]


def _make(name: str, home: pathlib.Path, environment: Environment) -> Peer:
    match name:
        case "homeport-batched":
            return Homeport(home, name, batch_size=8)
        case "torchserve-batched":
            server = TorchServe(home, environment, ENVELOPE)
            return TorchServePeer(name, server, batch_size=8, max_batch_delay_ms=10)
        case "fastapi":
            return FastApi(name, "/threads", home, environment)
        case "fastapi-async":
            return FastApi(name, "/loop", home, environment)
        case _:
            return _make_versioned(name, home, environment)


def _make_versioned(
    name: str, home: pathlib.Path, environment: Environment
) -> VersionedPeer:
    match name:
        case "homeport":
            return Homeport(home)
        case "torchserve":
            return TorchServePeer(name, TorchServe(home, environment, ENVELOPE))
        case _:
            raise SystemExit(f"no peer {name!r} here; there are {', '.join(NAMES)}")
