"""The handlers of compatibility.md answer what is said there."""

import pathlib
import re
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from servers import Server

pytestmark = pytest.mark.service

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs/compatibility.md"
HANDLERS = dict(
    re.findall(
        r"^```python\n# (\w+)\.py\n(.*?)^```",
        DOCUMENT.read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
)
Archived = Callable[..., pathlib.Path]


def deployed(server: Server, archived: Archived, name: str) -> str:
    endpoint, operation = server.deploy(archived(HANDLERS[name], name))
    assert "response" in operation, operation
    return endpoint


def test_the_handler_that_explains_says_why(
    shared_server: Server, archived: Archived
) -> None:
    endpoint = deployed(shared_server, archived, "explaining")
    body: Any = {"instances": [{"rooms": 2, "metres": 40}]}

    _, told = shared_server.call("POST", f"/v1/{endpoint}:explain", body)

    assert told["predictions"] == [220]
    assert told["explanations"] == [
        {"attributions": [{"featureAttributions": {"rooms": 100, "metres": 120}}]}
    ]


def test_the_handler_that_streams_answers_in_pieces(
    shared_server: Server, archived: Archived
) -> None:
    endpoint = deployed(shared_server, archived, "streaming")
    asked = urllib.request.Request(  # noqa: S310  # our own server
        f"{shared_server.url}/v1/{endpoint}:streamRawPredict",
        b"one two",
        {"content-type": "text/plain"},
    )

    with urllib.request.urlopen(asked, timeout=60) as response:  # noqa: S310
        chunked, body = response.headers["transfer-encoding"], response.read()
    instances = {"instances": [{"body": "one two"}]}
    status, refused = shared_server.predict(endpoint, instances)

    assert (chunked, body) == ("chunked", b"one\ntwo")
    assert status == 500
    assert "ask with streamRawPredict" in refused["error"]["message"]
