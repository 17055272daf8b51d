"""Lineage and READMEs over REST and on the command line, as people ask for them."""

import os
import pathlib
import subprocess
import sys
import urllib.request
from typing import Any

import pytest

import command_line
from servers import PARENT, Server

pytestmark = pytest.mark.service
IMAGE = {"imageUri": "example.com/m:1"}
HTML = "<script>alert(1)</script>\n\x1b[2Jgone"


def _upload(server: Server, **model: Any) -> tuple[str, dict[str, Any]]:
    """Register an image; return the version's name and the operation."""
    request = {"model": {"displayName": "m", "containerSpec": IMAGE, **model}}
    status, operation = server.call("POST", f"/v1/{PARENT}/models:upload", request)
    assert status == 200, operation
    ended = server.wait(operation)
    response = ended["response"]
    return f"{response['model']}@{response['modelVersionId']}", ended


def _homeport(server: Server, *words: str) -> str:
    return subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "homeport", *words, "--url", server.url],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "HOMEPORT_PROJECT": "p"},
    ).stdout


def test_every_client_can_say_where_a_version_comes_from(
    shared_server: Server,
) -> None:
    metadata = {"homeportLineage": {"dataset": "gs://data/digits"}}
    job = "projects/p/locations/us-central1/pipelineJobs/7"

    version, ended = _upload(
        shared_server,
        displayName="said",
        metadata=metadata,
        pipelineJob=job,
        labels={"lineage_code": "4f0d51c", "lineage_uploaded_by": "ada", "team": "a"},
    )

    _, found = shared_server.call("GET", f"/homeport/v1/{version}/lineage")
    assert found["lineage"] == {
        "code": "4f0d51c",
        "dataset": "gs://data/digits",
        "run": job,
        "uploaded_by": "ada",
    }
    assert found["uploadedBy"] == "ada"
    assert found["check"]["state"] == "exempt"
    _, model = shared_server.call("GET", f"/v1/{version}")
    assert model["metadata"] == metadata
    assert model["pipelineJob"] == job
    assert model["labels"]["lineage_code"] == "4f0d51c"
    assert "partialFailures" not in ended["metadata"]["genericMetadata"]
    listed = _homeport(
        shared_server, "models", "list", "--filter", "lineage.code=4f0d51c"
    )
    assert "said" in listed
    shown = _homeport(shared_server, "models", "lineage", "said@1")
    assert "dataset     gs://data/digits" in shown
    assert "by ada" in shown


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({"homeportLineage": "r1"}, id="a text"),
        pytest.param({"homeportLineage": {"run": 1}}, id="a number"),
        pytest.param({"homeportLineage": {"Run": "1"}}, id="a bad key"),
        pytest.param({"homeportLineage": {"lock": "1"}}, id="the server's"),
    ],
)
def test_lineage_that_cannot_be_is_refused(
    shared_server: Server, metadata: dict[str, Any]
) -> None:
    model = {"displayName": "m", "containerSpec": IMAGE, "metadata": metadata}

    status, answer = shared_server.call(
        "POST", f"/v1/{PARENT}/models:upload", {"model": model}
    )

    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_schemata_are_stored_and_returned(shared_server: Server) -> None:
    schemata = {"instanceSchemaUri": "gs://s/i.yaml", "predictionSchemaUri": "gs://p"}

    version, ended = _upload(shared_server, displayName="s", predictSchemata=schemata)

    _, model = shared_server.call("GET", f"/v1/{version}")
    assert model["predictSchemata"] == schemata
    assert "partialFailures" not in ended["metadata"]["genericMetadata"]


def test_a_readme_is_text_and_nothing_else(
    shared_server: Server, tmp_path: pathlib.Path
) -> None:
    version, _ = _upload(shared_server, displayName="told")
    path = f"/homeport/v1/{version}/readme"

    status, answer = shared_server.call("PUT", path, {"text": HTML})

    assert (status, answer) == (200, {"model": version})
    with urllib.request.urlopen(shared_server.url + path) as response:  # noqa: S310
        assert response.read().decode() == HTML
        assert response.headers["content-type"] == "text/plain; charset=UTF-8"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in response.headers["content-security-policy"]
    assert _homeport(shared_server, "models", "readme", "told") == (
        "<script>alert(1)</script>\n\\x1b[2Jgone\n"
    )
    file = tmp_path / "README.md"
    file.write_text("# Told\n")
    _homeport(shared_server, "models", "readme", "told@1", "--set", str(file))
    assert _homeport(shared_server, "models", "readme", "told") == "# Told\n"


def test_a_version_without_a_readme_is_told_how_to_get_one(
    shared_server: Server,
) -> None:
    _upload(shared_server, displayName="silent")

    ended = command_line.run(
        "models", "readme", "silent@1", url=shared_server.url, HOMEPORT_PROJECT="p"
    )

    assert (ended.code, ended.out) == (0, "")
    assert "has no README: give it one with --set" in ended.err


def test_a_readme_of_nothing_is_not_found(shared_server: Server) -> None:
    path = f"/homeport/v1/{PARENT}/models/none/readme"

    assert shared_server.call("GET", path)[0] == 404
    assert shared_server.call("PUT", path, {"text": "x"})[0] == 404
    assert shared_server.call("PUT", path, {"text": "x" * 65537})[0] == 400
