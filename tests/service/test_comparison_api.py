"""Two versions side by side, over REST and on the command line."""

import os
import subprocess
import sys
from typing import Any

import pytest

from servers import PARENT, Server

pytestmark = pytest.mark.service


def _upload(server: Server, parent_model: str = "", **labels: str) -> str:
    """Register an image; return the version's name."""
    request: dict[str, Any] = {
        "model": {
            "displayName": "compared",
            "containerSpec": {"imageUri": "example.com/m:1"},
            "labels": labels,
        },
        "parentModel": parent_model,
    }
    status, operation = server.call("POST", f"/v1/{PARENT}/models:upload", request)
    assert status == 200, operation
    ended = server.wait(operation)["response"]
    return f"{ended['model']}@{ended['modelVersionId']}"


@pytest.fixture(scope="module")
def versions(shared_server: Server) -> tuple[str, str]:
    first = _upload(shared_server, team="a", lineage_run="r1")
    second = _upload(shared_server, first.partition("@")[0], team="b", lineage_run="r1")
    return first, second


def test_two_versions_are_compared(
    shared_server: Server, versions: tuple[str, str]
) -> None:
    first, second = versions
    bare = second.rpartition("/")[2]

    found = [
        shared_server.call("GET", f"/homeport/v1/{first}/comparison?with={other}")
        for other in ("2", f"models/{bare}", second)
    ]

    assert found[0] == found[1] == found[2]
    status, document = found[0]
    assert status == 200
    assert document["first"]["model"] == first
    assert document["second"]["model"] == second
    assert document["labels"] == {
        "same": 1,
        "different": 1,
        "differences": [{"key": "team", "first": "a", "second": "b"}],
    }
    assert document["lineage"]["different"] == 0


@pytest.mark.parametrize(
    ("other", "status"),
    [
        pytest.param("", 400, id="no other"),
        pytest.param("?with=", 400, id="an empty one"),
        pytest.param("?with=a/b", 400, id="no name"),
        pytest.param("?with=9", 404, id="not there"),
    ],
)
def test_a_comparison_with_nothing_is_refused(
    shared_server: Server, versions: tuple[str, str], other: str, status: int
) -> None:
    path = f"/homeport/v1/{versions[0]}/comparison{other}"

    assert shared_server.call("GET", path)[0] == status


def test_the_command_shows_what_differs(
    shared_server: Server, versions: tuple[str, str]
) -> None:
    ids = [name.rpartition("/")[2] for name in versions]

    shown = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "homeport", "models", "compare", *ids,
         "--url", shared_server.url, "--project", "p"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ},
    ).stdout  # fmt: skip

    assert "labels: 1 the same, 1 not" in shown
    assert "team" in shown
    assert "members of the archive: 0 the same" in shown
