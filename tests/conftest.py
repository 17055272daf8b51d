"""Fixtures for tests against a real server: its process and archives to serve."""

import contextlib
import dataclasses
import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

START_TIMEOUT_S = 60.0
PARENT = "projects/p/locations/us-central1"


@dataclasses.dataclass
class Server:
    """One `homeport serve` process on a data directory; may be begun again."""

    data_dir: pathlib.Path
    options: tuple[str, ...] = ()
    url: str = ""
    process: subprocess.Popen[str] | None = None

    def start(self) -> "Server":
        environment = dict(os.environ)
        # Otherwise every worker compiles all its sources anew.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "homeport", "serve", "--port", "0",
             "--data-dir", str(self.data_dir), *self.options],
            stdout=subprocess.PIPE,
            stderr=(self.data_dir.parent / "server.log").open("a"),
            text=True,
            env=environment,
        )  # fmt: skip
        self.url = self._announced()
        return self

    def _announced(self) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        lines: queue.Queue[str] = queue.Queue()
        stdout = self.process.stdout

        def read() -> None:
            for line in stdout:
                lines.put(line)

        threading.Thread(target=read, daemon=True).start()
        try:
            line = lines.get(timeout=START_TIMEOUT_S)
        except queue.Empty:
            pytest.fail(f"the server did not start: {self.log()}")
        match = re.search(r"http://\S+:\d+", line)
        assert match, f"the server said {line!r}"
        return match[0]

    def wait_ready(self) -> None:
        wait_until(lambda: self.call("GET", "/readyz")[0] == 200)

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(signal_number)
        return self.process.wait(timeout=60)

    def log(self) -> str:
        return (self.data_dir.parent / "server.log").read_text()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Return status and JSON of one request; bytes are sent as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310
            self.url + path,
            data=None if body is None else data,
            method=method,
            headers={"content-type": "application/json", **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                return response.status, _document(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _document(error.read())

    def upload_archive(self, archive: pathlib.Path, folder: str) -> str:
        """Put an archive into a bucket as the object store's API has it."""
        self.call("POST", "/storage/v1/b?project=p", {"name": "models"})
        status, answer = self.call(
            "POST",
            f"/upload/storage/v1/b/models/o?uploadType=media&name={folder}/model.mar",
            archive.read_bytes(),
        )
        assert status == 200, answer
        return f"gs://models/{folder}"

    def register(self, archive: pathlib.Path, **model: Any) -> dict[str, Any]:
        """Upload an archive and register it; return the ended operation."""
        uri = self.upload_archive(archive, f"{archive.stem}-{time.monotonic_ns()}")
        request = {"model": {"displayName": archive.stem, "artifactUri": uri, **model}}
        status, operation = self.call("POST", f"/v1/{PARENT}/models:upload", request)
        assert status == 200, operation
        return self.wait(operation)

    def deploy(self, archive: pathlib.Path, **model: Any) -> tuple[str, dict[str, Any]]:
        """Register and deploy an archive to an endpoint of its own.

        Returns the endpoint's name and the ended deploy operation.
        """
        registered = self.register(archive, **model)
        assert "response" in registered, registered
        _, created = self.call("POST", f"/v1/{PARENT}/endpoints", {"displayName": "e"})
        endpoint = created["response"]["name"]
        request = {
            "deployedModel": {"model": registered["response"]["model"]},
            "trafficSplit": {"0": 100},
        }
        status, operation = self.call("POST", f"/v1/{endpoint}:deployModel", request)
        assert status == 200, operation
        return endpoint, self.wait(operation)

    def predict(self, endpoint: str, body: object) -> tuple[int, Any]:
        return self.call("POST", f"/v1/{endpoint}:predict", body)

    def wait(self, operation: dict[str, Any]) -> dict[str, Any]:
        """Return the operation as it is when it has ended."""
        deadline = time.monotonic() + 90
        while not operation.get("done"):
            assert time.monotonic() < deadline, f"{operation} has not ended"
            time.sleep(0.02)
            operation = self.call("GET", f"/v1/{operation['name']}")[1]
        return operation


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    try:
        yield server.start()
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()
        if server.process is not None and server.process.stdout is not None:
            server.process.stdout.close()


@pytest.fixture
def server(tmp_path: pathlib.Path) -> Iterator[Server]:
    """A server of this test's own."""
    with running(Server(tmp_path / "data", ("--no-access-log",))) as started:
        yield started


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that the tests of one module share."""
    folder = tmp_path_factory.mktemp("server")
    with running(Server(folder / "data", ("--no-access-log",))) as started:
        yield started


@pytest.fixture(scope="session")
def mlp_torchscript(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A TorchScript file of a tiny network: rows of 4 numbers in, 2 out."""
    import torch  # noqa: PLC0415  # only tests that serve a model need it

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("mlp") / "mlp.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]  # torch's own
            torch.nn.Linear(4, 2).eval(), torch.zeros(1, 4)
        )
        traced.save(str(path))
    return path


@pytest.fixture(scope="session")
def mlp_archive(
    mlp_torchscript: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """The tiny network, packed by Homeport with `base_handler`."""
    from homeport.packing import pack  # noqa: PLC0415

    spec = pack.PackSpec(
        model_name="mlp", handler="base_handler", serialized_file=mlp_torchscript
    )
    return pack.pack(spec, tmp_path_factory.mktemp("archive")).path


@pytest.fixture
def archived(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    """Return a function that packs handler source (and files) into an archive."""
    from homeport.packing import pack  # noqa: PLC0415

    def make(source: str, name: str = "model", **spec: Any) -> pathlib.Path:
        folder = tmp_path / f"sources-{name}"
        folder.mkdir()
        handler = folder / "handler.py"
        handler.write_text(source)
        return pack.pack(
            pack.PackSpec(model_name=name, handler=str(handler), **spec), folder
        ).path

    return make
