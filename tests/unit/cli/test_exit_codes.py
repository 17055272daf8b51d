"""4 means that no server answers, or not in time; what it answers is 0 or 1."""

from typing import Any

import pytest

import command_line
from answering import answering

NAME = "projects/homeport/locations/us-central1/operations/7"


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        pytest.param({"done": True, "response": {}}, 0, id="done"),
        pytest.param({"done": True, "error": {"code": 9}}, 1, id="refused"),
        pytest.param({"done": True, "error": {"code": 14}}, 1, id="a replica is away"),
        pytest.param({"done": True, "error": {"code": 4}}, 1, id="something was late"),
        pytest.param({"done": False}, 4, id="not in time"),
    ],
)
def test_an_operation_that_failed_was_answered(
    operation: dict[str, Any], code: int
) -> None:
    if "error" in operation:
        operation["error"]["message"] = "it did not load"

    with answering(lambda *_: {"name": NAME, **operation}) as url:
        ended = command_line.run("operations", "wait", "7", "--timeout", "0", url=url)

    assert ended.code == code, ended.err


def test_a_server_that_is_not_there_does_not_answer() -> None:
    ended = command_line.run("operations", "wait", "7", url="http://127.0.0.1:9")

    assert ended.code == 4
