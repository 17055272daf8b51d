"""The steps of pipelines reach a real server by Google's own clients."""

import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from homeport.errors import NotFoundError, PermissionDeniedError
from homeport.pipelines import credentials, steps
from homeport.pipelines.batches import Batch
from homeport.pipelines.deploying import Deployment, Machine
from homeport.pipelines.place import Place
from homeport.pipelines.registry import Version
from homeport.pipelines.uploadspec import Entry, ModelFiles, Serving, UploadSpec
from homeport.pipelines.vertex import VertexRegistry
from servers import PARENT, Server, running, wait_until

pytestmark = [pytest.mark.service]
PROGRAMS = pathlib.Path(__file__).parents[1] / "programs"
SLOW = b"import time\ntime.sleep(600)\ndef handle(data, context): ...\n"
LOADING = """
import pathlib, time

pathlib.Path({begun!r}).touch()
while not pathlib.Path({told!r}).exists():
    time.sleep(0.05)

def handle(data, context): ...
"""
PREBUILT = Serving(
    custom=False,
    image="europe-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.1-12:latest",
    health_route="/ping",
    predict_route="/predictions/model",
)
MACHINE = Machine(machine_type="n1-standard-2")


@pytest.fixture(autouse=True)
def no_address_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)


@pytest.fixture(scope="module")
def spec(shared_server: Server, mlp_torchscript: pathlib.Path) -> UploadSpec:
    """An upload of the tiny network, whose file lies in a bucket."""
    shared_server.call("POST", "/storage/v1/b?project=p", {"name": "models"})
    shared_server.upload("trained/mlp.pt", mlp_torchscript.read_bytes())
    shared_server.upload("rows.jsonl", b"[1, 2, 3, 4]\n")
    return UploadSpec(
        place=Place("p", "us-central1", shared_server.url),
        files=ModelFiles(folder="gs://models/trained", weights="mlp.pt"),
        serving=PREBUILT,
        entry=Entry(display_name="tiny", description="A tiny network"),
    )


def test_a_model_is_uploaded_gets_a_version_and_is_served(
    shared_server: Server, spec: UploadSpec
) -> None:
    first = steps.upload(spec)
    model = first.metadata["VertexModelID"]
    entry = Entry(
        display_name="tiny", parent=model.rpartition("/")[2], version_description="two"
    )
    custom = Serving(
        custom=True, image=PREBUILT.image, health_route="/ping",
        predict_route="/predictions/own", ports=(8081,), variables={"A": "1"},
    )  # fmt: skip
    second = steps.upload(
        dataclasses.replace(spec, entry=entry, serving=custom, model_name="own")
    )
    deployment = tiny(spec.place, first.metadata["resourceName"])
    endpoint = steps.deploy(deployment).metadata["resourceName"]

    assert first.uri == f"{shared_server.url}/v1/{model}@1"
    assert first.metadata == {
        "resourceName": f"{model}@1",
        "DisplayName": "tiny",
        "VertexModelID": model,
    }
    assert second.metadata["resourceName"] == f"{model}@2"
    versions = {
        number: shared_server.call("GET", f"/v1/{model}@{number}")[1]
        for number in ("1", "2")
    }
    assert versions["1"]["versionAliases"] == ["default"]
    assert versions["1"]["description"] == "A tiny network"
    assert versions["2"]["versionDescription"] == "two"
    assert versions["2"]["containerSpec"] == {
        "imageUri": PREBUILT.image,
        "healthRoute": "/ping",
        "predictRoute": "/predictions/own",
        "ports": [{"containerPort": 8081}],
        "env": [{"name": "A", "value": "1"}],
    }
    assert len(shared_server.ask(endpoint, [1, 2, 3, 4])[0]) == 2


def tiny(place: Place, version: str) -> Deployment:
    return Deployment(
        place=place, version=version, endpoint="", endpoint_display_name="tiny",
        display_name="tiny", machine=MACHINE,
    )  # fmt: skip


@pytest.mark.clients
def test_an_endpoint_is_used_again_and_what_was_there_makes_room(
    shared_server: Server, spec: UploadSpec
) -> None:
    version = steps.upload(spec).metadata["resourceName"]
    deployment = tiny(spec.place, version)
    before = steps.deploy(deployment).metadata["resourceName"]

    shared = steps.deploy(dataclasses.replace(deployment, percentage=25))
    splits = shared_server.call("GET", f"/v1/{before}")[1]["trafficSplit"]
    alone = steps.deploy(dataclasses.replace(deployment, replaces=True))

    assert shared.metadata["resourceName"] == before
    assert 25 in splits.values()
    assert alone.metadata["resourceName"] == before
    told = shared_server.call("GET", f"/v1/{before}")[1]
    assert list(told["trafficSplit"].values()) == [100]
    assert len(told["deployedModels"]) == 1


@pytest.mark.clients
def test_a_deployment_that_fails_leaves_no_endpoint(
    shared_server: Server, spec: UploadSpec
) -> None:
    absent = f"{PARENT}/models/12345@1"
    deployment = dataclasses.replace(
        tiny(spec.place, absent), endpoint_display_name="left"
    )

    with pytest.raises(NotFoundError):
        steps.deploy(deployment)

    endpoints = shared_server.call("GET", f"/v1/{PARENT}/endpoints")[1]
    assert "left" not in [one["displayName"] for one in endpoints.get("endpoints", [])]


@pytest.mark.clients
def test_what_the_service_refuses_is_told_in_a_sentence(
    shared_server: Server, spec: UploadSpec
) -> None:
    before = shared_server.call("GET", f"/v1/{PARENT}/models")[1]
    absent = dataclasses.replace(spec.entry, parent="12345")
    closed = dataclasses.replace(spec, archive_folder="gs://not-there/archives")

    with pytest.raises(NotFoundError) as no_parent:
        steps.upload(dataclasses.replace(spec, entry=absent))
    with pytest.raises(PermissionDeniedError) as no_bucket:
        steps.upload(closed)

    assert no_parent.value.message == (
        f"parent_model '12345' does not exist: give a model of {PARENT}, or leave it "
        "out for a new one"
    )
    said = re.sub(r"mar-[0-9a-f]{16}", "mar-X", no_bucket.value.message)
    assert said == (
        "bucket not-there cannot be written to (writing "
        "gs://not-there/archives/mar-X/model.mar: bucket 'not-there' does not exist: "
        "create it, for example with `homeport storage mb gs://not-there`): let this "
        "step's account create objects in it, or give another folder as archive_path"
    )
    assert shared_server.call("GET", f"/v1/{PARENT}/models")[1] == before


@pytest.mark.clients
def test_a_batch_is_predicted_without_an_endpoint(
    shared_server: Server, spec: UploadSpec
) -> None:
    version = steps.upload(spec).metadata["resourceName"]
    batch = Batch(
        place=spec.place, version=version, display_name="rows",
        sources=("gs://models/rows.jsonl",), destination="gs://models/answers",
        instances_format="jsonl", predictions_format="jsonl", machine=MACHINE,
    )  # fmt: skip

    ended = steps.predict(batch)

    folder = ended.metadata["gcsOutputDirectory"]
    name = folder.removeprefix("gs://models/").replace("/", "%2F")
    status, answer = shared_server.call(
        "GET",
        f"/storage/v1/b/models/o/{name}%2Fprediction.results-00000-of-00001?alt=media",
    )
    assert status == 200
    assert answer["instance"] == [1, 2, 3, 4]


@pytest.mark.clients
def test_a_version_that_came_too_late_goes_and_default_goes_back(
    shared_server: Server, spec: UploadSpec
) -> None:
    # What an upload does whose cancellation was not in time.
    registry = VertexRegistry(spec.place, credentials.find(spec.place))
    model = steps.upload(spec).metadata["VertexModelID"]
    parent = registry.parent(model)
    entry = dataclasses.replace(spec.entry, parent=model, is_default=True)
    steps.upload(dataclasses.replace(spec, entry=entry))
    moved = shared_server.call("GET", f"/v1/{model}@2")[1]["versionAliases"]

    registry.delete(Version(model, "2"), parent)
    left = shared_server.call("GET", f"/v1/{model}@default")[1]
    registry.delete(Version(model, "1"), None)

    assert moved == ["default"]
    assert left["versionId"] == "1"
    assert shared_server.call("GET", f"/v1/{model}@2")[0] == 404
    assert shared_server.call("GET", f"/v1/{model}")[0] == 404


@pytest.mark.clients
@pytest.mark.timeout(300)
@pytest.mark.parametrize("with_parent", [False, True], ids=["a model", "a version"])
def test_an_upload_that_is_cancelled_while_it_is_checked_leaves_nothing(
    tmp_path: pathlib.Path,
    mlp_torchscript: pathlib.Path,
    mlp_archive: pathlib.Path,
    *,
    with_parent: bool,
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    server = Server(tmp_path / "data", ("--no-access-log",), check_policy="require")
    with running(server):
        server.call("POST", "/storage/v1/b?project=p", {"name": "models"})
        server.upload("trained/mlp.pt", mlp_torchscript.read_bytes())
        server.upload("extra/handler.py", SLOW)
        parent = ""
        if with_parent:
            parent = server.register(mlp_archive)["response"]["model"].split("/")[-1]
        before = server.call("GET", f"/v1/{PARENT}/models")[1]
        words = ("gs://models/trained", "gs://models/extra", parent)

        said = said_when_cancelled(server, temporary, "upload_step.py", *words)

        assert "warning" not in said
        assert server.call("GET", f"/v1/{PARENT}/models")[1] == before
        objects = server.call("GET", "/storage/v1/b/models/o")[1]["items"]
        assert [one["name"] for one in objects if "/mar-" in one["name"]] == []
        assert list(temporary.glob("homeport-upload-*")) == []


@pytest.mark.clients
@pytest.mark.timeout(300)
def test_a_deployment_that_is_cancelled_while_it_loads_is_undone(
    tmp_path: pathlib.Path, archived: Callable[..., pathlib.Path]
) -> None:
    # It cannot be ended here, but is over as soon as the step was told to end.
    seen = tmp_path / "seen by both"
    seen.mkdir()
    options = ("--no-access-log", "--worker-write", str(seen))
    server = Server(tmp_path / "data", options)
    with running(server):
        source = LOADING.format(begun=str(seen / "begun"), told=str(seen / "told"))
        registered = server.register(archived(source))
        version = f"{registered['response']['model']}@1"

        said = said_when_cancelled(
            server, tmp_path, "deploy_step.py", version, loading=seen
        )

        assert "warning" not in said
        left = server.call("GET", f"/v1/{PARENT}/endpoints")[1].get("endpoints", [])
        assert left == []


def said_when_cancelled(
    server: Server,
    temporary: pathlib.Path,
    program: str,
    *words: str,
    loading: pathlib.Path | None = None,
) -> str:
    """Run a step, cancel it when the server is at it, return what it complained of.

    With the folder of a model that loads until it is told: when it does.
    """
    step = subprocess.Popen(  # noqa: S603
        [sys.executable, str(PROGRAMS / program), server.url, *words],
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(
        lambda: (loading / "begun").exists() if loading else is_busy(server), 120
    )
    step.send_signal(signal.SIGTERM)
    if loading:
        (loading / "told").touch()
    said = step.communicate(timeout=120)[1]
    assert step.returncode == 143, said
    return said


def is_busy(server: Server) -> bool:
    page = server.call("GET", f"/v1/{PARENT}/operations")[1]
    return any(not one.get("done") for one in page.get("operations", []))
