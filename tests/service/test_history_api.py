"""The history over REST and on the command line, as people ask it."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

import command_line
from servers import PARENT, Server

pytestmark = pytest.mark.service
IMAGE = {"imageUri": "example.com/m:1"}


def _upload(server: Server, query: str = "", **model: Any) -> str:
    """Register an image; return the version's name."""
    request = {"model": {"displayName": "m", "containerSpec": IMAGE, **model}}
    status, operation = server.call(
        "POST",
        f"/v1/{PARENT}/models:upload{query}",
        request,
        headers={"X-Homeport-Caller": "ada"},
    )
    assert status == 200, operation
    ended = server.wait(operation)["response"]
    return f"{ended['model']}@{ended['modelVersionId']}"


def _homeport(server: Server, *words: str) -> str:
    return subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "homeport", *words, "--url", server.url],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "HOMEPORT_PROJECT": "p"},
    ).stdout


def test_an_upsert_is_a_query_parameter(shared_server: Server) -> None:
    first = _upload(shared_server, "?upsert=true", displayName="up")
    second = _upload(shared_server, "?upsert=true", displayName="up")

    status, answer = shared_server.call(
        "POST", f"/v1/{PARENT}/models:upload?upsert=maybe", {"model": {}}
    )

    assert first.endswith("@1")
    assert second == first.replace("@1", "@2")
    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_the_history_of_a_model_is_read_in_pages(shared_server: Server) -> None:
    version = _upload(shared_server, versionAliases=["production"])
    model = version.partition("@")[0]
    path = f"/homeport/v1/{model}/history"

    _, first = shared_server.call("GET", f"{path}?pageSize=3&filter=caller%3Dada")
    token = first["nextPageToken"]
    _, rest = shared_server.call(
        "GET", f"{path}?pageSize=3&filter=caller%3Dada&pageToken={token}"
    )

    assert [(one["kind"], one["action"]) for one in first["changes"]] == [
        ("alias", "created"),
        ("alias", "created"),
        ("version", "created"),
    ]
    assert first["changes"][2]["resource"] == version
    assert first["changes"][2]["caller"] == "ada"
    assert [one["kind"] for one in rest["changes"]] == ["model"]
    assert rest["changes"][0]["after"]["displayName"] == "m"
    _, all_of_it = shared_server.call("GET", f"/homeport/v1/{PARENT}/history")
    assert len(all_of_it["changes"]) >= 4


def test_an_endpoint_has_a_history(shared_server: Server) -> None:
    _, operation = shared_server.call(
        "POST", f"/v1/{PARENT}/endpoints", {"displayName": "e"}
    )
    name = shared_server.wait(operation)["response"]["name"]
    shared_server.call("PATCH", f"/v1/{name}?updateMask=labels", {"labels": {"a": "b"}})
    shared_server.call("DELETE", f"/v1/{name}")

    _, found = shared_server.call("GET", f"/homeport/v1/{name}/history")

    assert [one["action"] for one in found["changes"]] == [
        "deleted",
        "updated",
        "created",
    ]
    assert found["changes"][1]["after"]["labels"] == {"a": "b"}
    assert found["changes"][1]["caller"] == "anonymous"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("aliases/production?at=tuesday", 400, id="no time"),
        pytest.param("aliases/production?at=2020-01-01T00:00:00Z", 404, id="early"),
        pytest.param("aliases/never", 404, id="never given"),
        pytest.param("history?filter=who%3Dada", 400, id="no such field"),
    ],
)
def test_a_question_without_an_answer_is_told(
    shared_server: Server, path: str, status: int
) -> None:
    model = _upload(shared_server, versionAliases=["production"]).partition("@")[0]

    assert shared_server.call("GET", f"/homeport/v1/{model}/{path}")[0] == status


def test_a_caller_cannot_be_a_novel(shared_server: Server) -> None:
    status, answer = shared_server.call(
        "POST",
        f"/v1/{PARENT}/endpoints",
        {"displayName": "e"},
        headers={"X-Homeport-Caller": "x" * 129},
    )

    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_the_history_of_what_never_was_is_refused(shared_server: Server) -> None:
    ended = command_line.run(
        "models", "history", f"{PARENT}/models/never", url=shared_server.url
    )

    assert (ended.code, ended.out) == (1, "")
    assert f"model {PARENT}/models/never was not found" in ended.err


def test_the_command_shows_who_did_what(shared_server: Server) -> None:
    version = _upload(shared_server, displayName="told", versionAliases=["production"])
    model = version.partition("@")[0]
    _, now = shared_server.call("GET", f"/homeport/v1/{model}/aliases/production")
    day = now["change"]["time"][:10]

    listed = _homeport(shared_server, "models", "history", "told")
    on_that_day = _homeport(
        shared_server, "models", "history", "told", "--alias", "production", "--at", day
    )
    asked = _homeport(
        shared_server,
        "models",
        "history",
        "told",
        "--alias",
        "production",
        "--output",
        "json",
    )

    assert now["versionId"] == "1"
    assert day in listed
    assert "alias production" in listed
    assert "ada" in listed
    assert json.loads(asked)["versionId"] == "1"
    assert f"{day}T00:00:00Z  production is not known" in on_that_day
    assert 'versionId="1"' in on_that_day
