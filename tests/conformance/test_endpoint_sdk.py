"""Endpoint of the official SDK, every method that works over REST with a private CA."""

import json
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from homeport.packing import pack
from sdk_processes import OLD, old_interpreter, run
from servers import Server, running

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]

SCRIPT = pathlib.Path(__file__).with_name("endpoint_calls.py")
SOURCE = pathlib.Path(__file__).parents[1] / "archives/many_sided"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("many_sided")
    torch.save({"weight": torch.ones(())}, folder / "weights.pt")
    spec = pack.PackSpec(
        model_name="many_sided",
        handler=str(SOURCE / "handler.py"),
        model_file=SOURCE / "model.py",
        serialized_file=folder / "weights.pt",
    )
    return pack.pack(spec, folder).path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server with HTTPS, and the file that makes clients trust it."""
    folder = tmp_path_factory.mktemp("secured")
    made = subprocess.run(
        [sys.executable, "-m", "homeport", "tls", "init", "--data-dir", "data"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = dict(line.split("=", 1) for line in made.stdout.splitlines())
    with running(Server(folder / "data", ("--tls-port", "0"))) as started:
        yield started, lines["REQUESTS_CA_BUNDLE"]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("", id="sdk of this environment"),
        pytest.param(OLD, id=f"sdk {OLD}", marks=pytest.mark.clients),
    ],
)
def seen(
    request: pytest.FixtureRequest, secured: tuple[Server, str], archive: pathlib.Path
) -> Any:
    server, bundle = secured
    python = old_interpreter() if request.param else sys.executable
    url = server.url.replace("127.0.0.1", "localhost")
    words = [python, str(SCRIPT), url, str(archive)]
    printed = run(
        words,
        STORAGE_EMULATOR_HOST=server.url,
        REQUESTS_CA_BUNDLE=bundle,
        PYTHONPATH="",
    )
    server.call("DELETE", "/storage/v1/b/endpoint-calls/o/m%2Fmodel.mar")
    server.call("DELETE", "/storage/v1/b/endpoint-calls")
    return json.loads(printed.splitlines()[-1])


def test_endpoints_are_made_shared_out_and_taken_down(seen: Any) -> None:
    told = seen["resources"]

    assert (told["id"], told["renamed"], told["listed"]) == ("77", "renamed", ["77"])
    assert told["split"] == [75, 25]
    assert "DeployedModel ID(s) ['9'] do not exist" in told["wrong"]
    assert told["mutated"] == [1, 2]
    assert "undeploy them first" in told["in_use"]
    assert told["gone"] == "NotFound"


def test_a_shared_endpoint_predicts_explains_and_takes_tensors(seen: Any) -> None:
    assert seen["shared"] == {
        "predicted": [[16.0], "1"],
        "explained": {"a": 3.0, "b": 3.0, "c": 10.0},
        "direct": [[16.0]],
        "direct_raw": "cba",
    }


def test_a_dedicated_endpoint_takes_raw_bodies_over_https(seen: Any) -> None:
    told = seen["dedicated"]

    assert told["raw"] == {"predictions": [16.0]}
    assert told["named"] == "1"
    assert told["through_raw"] == [[16.0], "1"]
    assert told["predicted"] == [16.0]
    assert told["stream"] == ["one", "two"]
    assert told.get("invoked", "any/where") == "any/where"
