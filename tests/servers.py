"""A server's real process, as the tests of several rooms drive it."""

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
from collections.abc import Callable, Iterator
from typing import Any

import pytest

START_TIMEOUT_S = 150.0
PARENT = "projects/p/locations/us-central1"


@dataclasses.dataclass
class Server:
    """One `homeport serve` process on a data directory; may be begun again.

    Archives are not checked unless a test is about that: it has the time for it.
    """

    data_dir: pathlib.Path
    options: tuple[str, ...] = ()
    check_policy: str = "none"
    url: str = ""
    tls_url: str = ""
    process: subprocess.Popen[str] | None = None
    _reader: threading.Thread = dataclasses.field(default_factory=threading.Thread)

    @property
    def shared(self) -> pathlib.Path:
        """The one folder beside their own that handlers may change."""
        return self.data_dir.parent / "shared"

    def start(self) -> "Server":
        self.shared.mkdir(exist_ok=True)
        environment = dict(os.environ)
        # Otherwise every worker compiles all its sources anew.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        with (self.data_dir.parent / "server.log").open("a") as stderr:
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "homeport", "serve", "--port", "0",
                 "--data-dir", self.data_dir.name,
                 "--check-policy", self.check_policy,
                 "--worker-write", self.shared.name, *self.options],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=environment,
                # Where a person stands who gives no --data-dir.
                cwd=self.data_dir.parent,
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
            lines.put("")  # a server that ended says nothing more

        self._reader = threading.Thread(target=read, daemon=True)
        self._reader.start()
        try:
            line = lines.get(timeout=START_TIMEOUT_S)
        except queue.Empty:
            pytest.fail(f"the server did not start: {self.log()}")
        match = re.search(r"http://\S+:\d+", line)
        assert match, f"the server said {line!r}: {self.log()}"
        secured = re.search(r"https://\S+:\d+", line)
        self.tls_url = secured[0] if secured else ""
        return match[0]

    def wait_ready(self) -> None:
        wait_until(lambda: self.call("GET", "/readyz")[0] == 200)

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        code = self.process.wait(timeout=60)
        if self.process.stdout is not None:
            self._reader.join(timeout=10)
            self.process.stdout.close()
        return code

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
        self.upload(f"{folder}/model.mar", archive.read_bytes())
        return f"gs://models/{folder}"

    def upload(self, name: str, content: bytes) -> None:
        """Store an object in the bucket that `upload_archive` makes."""
        status, answer = self.call(
            "POST",
            f"/upload/storage/v1/b/models/o?uploadType=media&name={name}",
            content,
        )
        assert status == 200, answer

    def register(
        self, archive: pathlib.Path, parent_model: str = "", **model: Any
    ) -> dict[str, Any]:
        """Upload an archive and register it; return the ended operation."""
        uri = self.upload_archive(archive, f"{archive.stem}-{time.monotonic_ns()}")
        model = {"displayName": archive.stem, **model}
        return self.register_at(uri, parent_model, **model)

    def register_at(
        self, uri: str, parent_model: str = "", **model: Any
    ) -> dict[str, Any]:
        """Register what lies at an address; return the ended operation."""
        request = {
            "parentModel": parent_model,
            "model": {"displayName": "m", "artifactUri": uri, **model},
        }
        status, operation = self.call("POST", f"/v1/{PARENT}/models:upload", request)
        assert status == 200, operation
        return self.wait(operation)

    def create_endpoint(self, display_name: str = "e") -> str:
        """Return the full name of a new endpoint."""
        status, created = self.call(
            "POST", f"/v1/{PARENT}/endpoints", {"displayName": display_name}
        )
        assert status == 200, created
        return str(created["response"]["name"])

    def deploy(
        self, archive: pathlib.Path, replicas: int = 1, **model: Any
    ) -> tuple[str, dict[str, Any]]:
        """Register and deploy an archive to an endpoint of its own.

        Returns the endpoint's name and the ended deploy operation.
        """
        registered = self.register(archive, **model)
        assert "response" in registered, registered
        endpoint = self.create_endpoint()
        operation = self.begin_deploy(
            endpoint, registered["response"]["model"], {"0": 100}, replicas
        )
        return endpoint, self.wait(operation)

    def begin_deploy(
        self, endpoint: str, model: str, split: dict[str, int], replicas: int = 1
    ) -> dict[str, Any]:
        """Ask for a deployment; return its operation as it was answered."""
        deployed = {
            "model": model,
            "dedicatedResources": {"minReplicaCount": replicas},
        }
        status, operation = self.call(
            "POST",
            f"/v1/{endpoint}:deployModel",
            {"deployedModel": deployed, "trafficSplit": split},
        )
        assert status == 200, operation
        return dict(operation)

    def predict(self, endpoint: str, body: object) -> tuple[int, Any]:
        return self.call("POST", f"/v1/{endpoint}:predict", body)

    def ask(self, endpoint: str, *rows: object) -> list[Any]:
        """Return the predictions for these rows."""
        status, answer = self.predict(endpoint, {"instances": rows})
        assert status == 200, answer
        return list(answer["predictions"])

    def wait(self, operation: dict[str, Any]) -> dict[str, Any]:
        """Return the operation as it is when it has ended."""
        deadline = time.monotonic() + 180
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
        if server.process is not None:
            server.stop()
