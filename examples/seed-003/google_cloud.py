"""gcloud's commands, by gcloud itself or by the requests it sends."""

import json
import os
import pathlib
import subprocess
import time
import urllib.request
from typing import Any

PARENT = "projects/your-project/locations/us-central1"


class Gcloud:
    """gcloud, configured for Homeport by variables alone."""

    def __init__(self, url: str, folder: pathlib.Path) -> None:
        self._environment = {
            **os.environ,
            # Your own configuration stays as it is.
            "CLOUDSDK_CONFIG": str(folder / "gcloud"),
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": f"{url}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{url}/storage/v1/",
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_CORE_PROJECT": "your-project",
            "CLOUDSDK_AI_REGION": "us-central1",
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        }

    def run(self, *words: str) -> Any:
        """Run one command; return what it printed as JSON."""
        print(f"\n$ gcloud {' '.join(words)}", flush=True)
        done = subprocess.run(
            ["gcloud", *words, "--format=json"],
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return json.loads(done.stdout or "null")

    def copy(self, file: pathlib.Path, bucket: str, name: str) -> None:
        self.run("storage", "buckets", "create", f"gs://{bucket}")
        self.run("storage", "cp", str(file), f"gs://{bucket}/{name}")

    def upload(self, artifact: str, display_name: str, image: str) -> str:
        made = self.run(
            "ai", "models", "upload",
            f"--artifact-uri={artifact}",
            f"--display-name={display_name}",
            f"--container-image-uri={image}",
            "--container-grpc-ports=8500",
        )  # fmt: skip
        return str(made["model"])

    def create_endpoint(self, display_name: str) -> str:
        made = self.run("ai", "endpoints", "create", f"--display-name={display_name}")
        return str(made["name"])

    def deploy(self, endpoint: str, model: str, display_name: str) -> None:
        self.run(
            "ai", "endpoints", "deploy-model", endpoint.rpartition("/")[2],
            f"--model={model.rpartition('/')[2]}",
            "--traffic-split=0=100",
            f"--display-name={display_name}",
            "--min-replica-count=1",
            "--max-replica-count=2",
        )  # fmt: skip


class Replay:
    """The same, by the requests that gcloud 528 writes with --log-http."""

    def __init__(self, url: str) -> None:
        self._url = url

    def copy(self, file: pathlib.Path, bucket: str, name: str) -> None:
        self._call("POST", "/storage/v1/b?project=your-project", {"name": bucket})
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}"
        self._call("POST", path, file.read_bytes())

    def upload(self, artifact: str, display_name: str, image: str) -> str:
        model = {
            "artifactUri": artifact,
            "containerSpec": {
                "grpcPorts": [{"containerPort": 8500}],
                "imageUri": image,
            },
            "displayName": display_name,
        }
        path = f"/v1/{PARENT}/models:upload?alt=json"
        return str(self._ended(self._call("POST", path, {"model": model}))["model"])

    def create_endpoint(self, display_name: str) -> str:
        path = f"/v1/{PARENT}/endpoints?alt=json"
        made = self._call("POST", path, {"displayName": display_name})
        return str(self._ended(made)["name"])

    def deploy(self, endpoint: str, model: str, display_name: str) -> None:
        deployed = {
            "automaticResources": {"maxReplicaCount": 2, "minReplicaCount": 1},
            "displayName": display_name,
            "model": model,
        }
        body = {"deployedModel": deployed, "trafficSplit": {"0": 100}}
        path = f"/v1/{endpoint}:deployModel?alt=json"
        self._ended(self._call("POST", path, body))

    def _ended(self, operation: dict[str, Any]) -> dict[str, Any]:
        while not operation.get("done"):
            time.sleep(0.1)
            path = f"/v1beta1/{operation['name']}?alt=json"
            operation = self._call("GET", path)
        assert "response" in operation, operation
        return dict(operation["response"])

    def _call(self, method: str, path: str, body: object = None) -> Any:
        print(f"{method} {path}", flush=True)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            self._url + path,
            data=None if body is None else data,
            method=method,
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:
            return json.load(response)
