"""`homeport publish` by the official SDK, with a second Homeport in Vertex AI's place.

All commands run in one process, as the SDK takes seconds to be imported; the calls that
a dry run tells are run there as they stand.
"""

import dataclasses
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import command_line
from homeport.packing import pack
from homeport.publishing import plan
from homeport.publishing.plan import Target
from homeport.publishing.source import Source, SourceFile
from servers import PARENT, Server, running

pytestmark = [pytest.mark.service, pytest.mark.timeout(300)]

TESTS = pathlib.Path(__file__).parents[1]
SOURCE = TESTS / "archives/many_sided"
IMAGE = "us-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-4:latest"
PROBE = {
    "exec": {"command": ["true"]},
    "periodSeconds": 5,
    "timeoutSeconds": 2,
}
# A version whose container is told everything that it may be told.
CONTAINED = Source(
    name="projects/p/locations/us-central1/models/42@2",
    display_name="contained",
    description="Numbers",
    version_description="the first",
    labels={"team": "a"},
    aliases=("golden",),
    is_default=True,
    container={
        "imageUri": "europe-docker.pkg.dev/project/images/server:1",
        "command": ["serve"],
        "args": ["--all"],
        "env": [{"name": "SCALE", "value": "2"}],
        "ports": [{"containerPort": 8081}],
        "grpcPorts": [{"containerPort": 9001}],
        "predictRoute": "/predict",
        "healthRoute": "/health",
        "invokeRoutePrefix": "/*",
        "deploymentTimeout": "600s",
        "sharedMemorySizeMb": "64",
        "startupProbe": PROBE,
        "healthProbe": PROBE,
    },
    digest="d" * 64,
    files=(SourceFile("model.bin", "0" * 64, 1),),
    left=(),
)
TARGET = Target("p", "us-central1", "gs://staging", parent_model="42")
BOUND = f"""\
import inspect
from google.cloud import aiplatform
upload = inspect.signature(aiplatform.Model.upload)
upload.bind(**{dict(plan.make(CONTAINED, TARGET).upload)!r})
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """What became of all the steps.

    Attributes:
        vertex: The second Homeport.
        told: By the dry run.
        untouched: What lay in the bucket after it.
        left: What lay in the version's own server at the end.
        ended: Each command by its step's name: code, out, err.
    """

    vertex: Server
    told: str
    untouched: list[str]
    left: list[str]
    ended: dict[str, dict[str, Any]]

    def versions(self) -> list[dict[str, Any]]:
        """Return the versions of the model that was published."""
        models = self.vertex.call("GET", f"/v1/{PARENT}/models")[1]["models"]
        (name,) = {one["name"].partition("@")[0] for one in models
                   if one["displayName"] == "published"}  # fmt: skip
        return list(self.vertex.call("GET", f"/v1/{name}:listVersions")[1]["models"])


class Forbidding(http.server.BaseHTTPRequestHandler):
    """A store that lets nobody in."""

    def do_GET(self) -> None:
        self.send_response(403)
        self.send_header("content-length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815  # the base class's name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
        del format, args


@pytest.fixture
def forbidding() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forbidding)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def vertex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A second Homeport, in Vertex AI's place."""
    folder = tmp_path_factory.mktemp("vertex")
    with running(Server(folder / "data")) as started:
        for bucket in ("staging", "elsewhere"):
            started.call("POST", "/storage/v1/b?project=p", {"name": bucket})
        yield started


def prepare(server: Server, folder: pathlib.Path) -> None:
    """Register two versions of one model, and leave the files of the first."""
    weights = folder / "weights.pt"
    torch.save({"weight": torch.ones(())}, weights)
    spec = pack.PackSpec(
        model_name="published",
        handler=str(SOURCE / "handler.py"),
        model_file=SOURCE / "model.py",
        serialized_file=weights,
    )
    archive = pack.pack(spec, folder).path
    archive.rename(folder / "model.mar")
    server.upload_archive(folder / "model.mar", "to-publish")
    words: dict[str, Any] = {
        "displayName": "published",
        "description": "Numbers",
        "containerSpec": {
            "imageUri": IMAGE,
            "env": [{"name": "SCALE", "value": "2"}],
        },
    }
    uri = "gs://models/to-publish"
    first = server.register_at(
        uri,
        **words,
        versionDescription="the first",
        labels={"team": "a"},
        versionAliases=["golden"],
    )
    server.register_at(
        uri, first["response"]["model"], displayName="published",
        versionAliases=["candidate"], containerSpec={"imageUri": ""},
    )  # fmt: skip


def publish(
    version: str, vertex: Server, *more: str, bucket: str = "staging", at: str = ""
) -> Any:
    return [
        "publish", version, "--to", "vertex", "--project", "p",
        "--region", "us-central1", "--bucket", f"gs://{bucket}",
        "--api-endpoint", at or vertex.url, *more,
    ]  # fmt: skip


@pytest.fixture
def published(
    shared_server: Server,
    vertex: Server,
    forbidding: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Published:
    folder = tmp_path_factory.mktemp("publishing")
    prepare(shared_server, folder)
    url = shared_server.url
    dry = command_line.run(
        *publish("published@1", vertex, "--dry-run"), url=url, HOMEPORT_PROJECT="p"
    )
    assert dry.code == 0, dry.err
    untouched = vertex.call("GET", "/storage/v1/b/staging/o")[1].get("items", [])
    key = command_line.run(
        "keys", "create", "--data-dir", str(vertex.data_dir), "--url", vertex.url,
        "--project", "p", "--output", str(folder / "key.json"),
    )  # fmt: skip
    assert key.code == 0, key.err
    spoil(vertex, shared_server)
    wanted = steps(vertex, shared_server, dry.out, forbidding)
    ended = subprocess.run(  # noqa: S603
        [sys.executable, str(pathlib.Path(__file__).with_name("publish_calls.py"))],
        input=json.dumps(list(wanted.items())),
        cwd=folder,
        env={
            **os.environ,
            "HOMEPORT_URL": url,
            "HOMEPORT_PROJECT": "p",
            "PYTHONPATH": str(TESTS),
            "GOOGLE_APPLICATION_CREDENTIALS": str(folder / "key.json"),
            "STORAGE_EMULATOR_HOST": vertex.url,
            "CLOUDSDK_CONFIG": str(folder / "gcloud"),
            "NO_GCE_CHECK": "true",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    copies = "/storage/v1/b/homeport-uploads/o?prefix=p/published/"
    left = shared_server.call("GET", copies)[1].get("items", [])
    told = json.loads(ended.stdout.splitlines()[-1])
    return Published(vertex, dry.out, untouched, left, told)


def spoil(vertex: Server, server: Server) -> None:
    """Put other bytes where a file of the second version would go."""
    dry = command_line.run(
        *publish("published@2", vertex, "--container-image-uri", IMAGE, "--dry-run",
                 bucket="elsewhere"),
        url=server.url, HOMEPORT_PROJECT="p",
    )  # fmt: skip
    (name,) = re.findall(r"blob\('(.*?/model\.mar)'\)", dry.out)
    status, answer = vertex.call(
        "POST",
        f"/upload/storage/v1/b/elsewhere/o?uploadType=media&name={name}",
        b"other bytes",
    )
    assert status == 200, answer


def steps(vertex: Server, server: Server, told: str, forbidding: str) -> dict[str, Any]:
    """Return what is run, in this order."""
    second = publish("published@2", vertex, "--container-image-uri", IMAGE)
    elsewhere = publish(
        "published@2", vertex, "--container-image-uri", IMAGE, bucket="elsewhere"
    )
    nowhere = publish(
        "published@2", vertex, "--container-image-uri", IMAGE, bucket="nowhere"
    )
    astray = publish(
        "published@2", vertex, "--container-image-uri", IMAGE, bucket="models"
    )
    registering = publish("published@1", vertex, at="SIGINT")
    google = [word for word in second if word not in {"--api-endpoint", vertex.url}]
    return {
        "told": {"python": told},
        "again": {"words": publish("published@1", vertex)},
        "no image": {"words": publish("published@2", vertex)},
        "no version": {"words": publish("published@7", vertex)},
        "no parent": {"words": [*second, "--parent-model", "nobody"]},
        "no bucket": {"words": nowhere},
        "other bytes": {"words": elsewhere},
        "forbidden": {"words": second, "with": {"STORAGE_EMULATOR_HOST": forbidding}},
        "half a parent": {"words": [*second, "--parent-model", "none/of/these"]},
        # The other store knows no key of this one.
        "astray": {
            "words": astray,
            "with": {
                "STORAGE_EMULATOR_HOST": server.url,
                "GOOGLE_APPLICATION_CREDENTIALS": None,
            },
        },
        "copying": {"words": second, "with": {"STORAGE_EMULATOR_HOST": "SIGINT"}},
        "ending": {"words": second, "with": {"STORAGE_EMULATOR_HOST": "SIGTERM"}},
        "second": {"words": second},
        "second again": {"words": second},
        "registering": {"words": registering},
        "bound": {"python": BOUND},
        "emulator": {"words": google},
        "no credentials": {
            "words": google,
            "without": ["STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"],
        },
    }


INTERRUPTED = {
    "copying": "nothing was registered: say it again, and it goes on",
    "registering": "Vertex AI may go on registering the version: once its operation "
    "has ended, say it again, which looks for the version first",
}
REFUSED = {
    "no image": ["names no container image", "--container-image-uri"],
    "no version": ["has no version '7'"],
    "no parent": ["there is no model nobody at Vertex AI", "project p"],
    "half a parent": ["none/of/these", "--parent-model"],
    "no bucket": ["there is no bucket gs://nowhere", "nothing was registered"],
    "other bytes": ["is there with other bytes", "--bucket"],
    "astray": ["the files are in gs://models/", "saying it again goes on"],
    "forbidden": ["gs://staging cannot be written", "nothing was registered"],
    "emulator": ["STORAGE_EMULATOR_HOST is set", "unset it"],
    "no credentials": ["gcloud auth application-default login"],
}


# One test, as the tests of a module may run in several processes, each of which would
# start the server and the SDK anew.
def test_a_version_is_published_once_by_the_calls_that_were_told(
    published: Published,
) -> None:
    ended = published.ended
    first, second = published.versions()

    assert published.untouched == []
    assert published.left == []
    last = {name: ended[name]["out"].splitlines()[-1].split()
            for name in ("again", "second", "second again")}  # fmt: skip
    model = first["name"].partition("@")[0]
    assert last == {
        "again": ["there", f"{model}@1"],
        "second": ["published", f"{model}@2"],
        "second again": ["there", f"{model}@2"],
    }
    all_goes_along(first, second)
    answers(published.vertex, second["name"])
    for step, said in REFUSED.items():
        is_one_sentence(ended[step], said)
    for step, note in INTERRUPTED.items():
        assert ended[step]["err"].splitlines()[-2:] == ["interrupted", note]
        assert ended[step]["code"] == 130
    assert ended["ending"]["code"] == 143


def all_goes_along(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert first["displayName"] == "published"
    assert first["description"] == "Numbers"
    assert first["versionDescription"] == "the first"
    assert first["labels"]["team"] == "a"
    assert first["versionAliases"] == ["golden", "default"]
    assert first["containerSpec"] == {
        "imageUri": IMAGE,
        "env": [{"name": "SCALE", "value": "2"}],
    }
    assert second["versionAliases"] == ["candidate"]


def answers(vertex: Server, version: str) -> None:
    endpoint = vertex.create_endpoint()
    deploying = vertex.begin_deploy(endpoint, version, {"0": 100})
    assert "error" not in vertex.wait(deploying)
    assert vertex.ask(endpoint, [2.0, 3.0, 5.0]) == [16.0]


def is_one_sentence(ended: dict[str, Any], said: list[str]) -> None:
    (line,) = [one for one in ended["err"].splitlines() if one.startswith("Error: ")]
    assert ended["code"] == 1, line
    assert [word for word in said if word not in line] == [], line
