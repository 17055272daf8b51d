"""A TorchServe 0.12 of our own: started, given archives, asked, ended.

The benchmarks measure beside it, and tests/conformance compares its answers with
Homeport's.
"""

import dataclasses
import os
import pathlib
import shutil
import urllib.parse
from collections.abc import Mapping

import processes
from environment import Environment

# Two instances on one machine meet at the pid file and the sockets in TMPDIR, at the
# gRPC ports and at the numbers of their workers.
_FOLDERS = ("store", "tmp", "logs")


@dataclasses.dataclass(slots=True)
class TorchServe:
    """One TorchServe, with its defaults but for ports, tokens and system metrics.

    Attributes:
        home: Directory of its own; short, for it holds Unix sockets.
        environment: Where it is installed.
        settings: Further lines of its config.properties.
        variables: Further variables of its environment and its workers'.
        inference: Where it predicts, once started: `http://host:port`.
    """

    home: pathlib.Path
    environment: Environment
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    inference: str = ""
    _management: str = ""
    _server: processes.Server | None = None

    @property
    def store(self) -> pathlib.Path:
        """The folder it reads archives from."""
        return self.home / "store"

    def start(self) -> None:
        """Start it without a model and return once it answers.

        Raises:
            SystemExit: There is no Java.
            RuntimeError: It did not come up; with its log's end.
        """
        if shutil.which("java") is None:
            raise SystemExit("java is missing: TorchServe needs Java 17")
        for folder in _FOLDERS:
            (self.home / folder).mkdir(parents=True)
        config = self.home / "config.properties"
        config.write_text(self._configure())
        self._server = processes.start(
            [
                self.environment.executable("torchserve"),
                *("--start", "--foreground"),
                *("--model-store", str(self.store)),
                *("--ts-config", str(config)),
            ],
            self.home,
            {
                "TMPDIR": str(self.home / "tmp"),
                "LOG_LOCATION": str(self.home / "logs"),
                "METRICS_LOCATION": str(self.home / "logs"),
                # One compute thread in a worker, as in the other servers: with
                # torch's own choice two workers fight for the cores.
                "OMP_NUM_THREADS": "1",
                # The workers are started with the first python on the path.
                "PATH": f"{self.environment.root / 'bin'}:{os.environ['PATH']}",
                **self.variables,
            },
        )
        self._server.wait_until_ready(f"{self.inference}/ping")

    def register(self, archive: str, **options: object) -> None:
        """Load an archive of the store, by its name there, with a worker.

        Args:
            archive: `name.mar`, `name.tar.gz` or a folder.
            **options: Of the management API: `initial_workers`, `batch_size` and so on.

        Raises:
            RuntimeError: It was refused, or no worker came up; with the answer.
        """
        query = urllib.parse.urlencode(
            {"url": archive, "initial_workers": 1, "synchronous": "true", **options}
        )
        processes.request("POST", f"{self._management}/models?{query}")

    def unregister(self, model: str, version: str = "") -> None:
        """Take a model, or one version of it, away."""
        path = f"{model}/{version}" if version else model
        processes.request("DELETE", f"{self._management}/models/{path}")

    def end(self) -> None:
        """End it and its workers, at any point, also when never started."""
        if self._server is not None:
            self._server.end()

    def _configure(self) -> str:
        inference, management, metrics, grpc, grpc_management, workers = (
            processes.free_ports(6)
        )
        self.inference = f"http://127.0.0.1:{inference}"
        self._management = f"http://127.0.0.1:{management}"
        settings = {
            "inference_address": self.inference,
            "management_address": self._management,
            "metrics_address": f"http://127.0.0.1:{metrics}",
            "grpc_inference_port": grpc,
            "grpc_management_port": grpc_management,
            "initial_worker_port": workers,
            "enable_model_api": "true",
            "disable_token_authorization": "true",
            # Else a Python process starts every minute, also in others' windows.
            "disable_system_metrics": "true",
            **self.settings,
        }
        return "".join(f"{key}={value}\n" for key, value in settings.items())
