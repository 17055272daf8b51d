"""A :predict body is an object with a list of instances; a refusal says why."""

import json

import pytest

from homeport.errors import InvalidArgumentError
from homeport.worker import instances


@pytest.mark.parametrize("with_orjson", [True, False])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"{", "not valid JSON.*line 1 column 2", id="cut off"),
        pytest.param(b"", "not valid JSON", id="empty body"),
        pytest.param(b'{"instances": [NaN]}', "not valid JSON", id="NaN"),
        pytest.param(b'{"instances": ["\xff"]}', "not valid JSON", id="not UTF-8"),
        pytest.param(b'\xef\xbb\xbf{"instances": [1]}', "not valid JSON", id="BOM"),
        pytest.param(
            b'{"instances": ' + b"[" * 100_000, "not valid JSON", id="very deep"
        ),
        pytest.param(b"[1]", "the body is a JSON list", id="a list"),
        pytest.param(b"null", "the body is a JSON null", id="null"),
        pytest.param(b'{"rows": [1]}', 'the body has no "instances"', id="missing"),
        pytest.param(
            b'{"instances": {"a": 1}}', '"instances" is a JSON object', id="an object"
        ),
        pytest.param(b'{"instances": "x"}', '"instances" is a JSON string', id="text"),
        pytest.param(b'{"instances": []}', '"instances" is empty', id="no element"),
        pytest.param(
            b'{"instances": [1], "foo": 1}',
            "^foo is not a known field: leave it out$",
            id="a field of nobody",
        ),
        pytest.param(
            b'{"instances": [1], "paramters": {"top_k": 3}}',
            r"^paramters is not a known field: did you mean parameters\?$",
            id="a misspelt field",
        ),
    ],
)
def test_a_body_that_cannot_be_predicted_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    with_orjson: bool,  # noqa: FBT001
    body: bytes,
    words: str,
) -> None:
    if not with_orjson:
        monkeypatch.setattr(instances, "_orjson", None)

    with pytest.raises(InvalidArgumentError, match=words):
        instances.parse(body)


def test_elements_come_as_their_json_values() -> None:
    rows = [1, 1.5, "x", None, True, [1], {"a": {"b": 2}}]

    assert instances.parse(json.dumps({"instances": rows}).encode()) == rows


@pytest.mark.parametrize("field", ["endpoint", "parameters", "labels"])
def test_every_field_of_the_service_is_read(field: str) -> None:
    body = json.dumps({"instances": [1], field: {}}).encode()

    assert instances.parse(body) == [1]


def test_b64_objects_become_bytes_in_a_row_and_in_a_column() -> None:
    rows = [
        {"b64": "aGk="},
        {"image": {"b64": "aGk="}, "id": 3},
        {"b64": "aGk=", "id": 3},
        {"deep": {"image": {"b64": "aGk="}}},
        "aGk=",
    ]

    assert instances.decode_binary(rows) == [
        b"hi",
        {"image": b"hi", "id": 3},
        {"b64": "aGk=", "id": 3},
        {"deep": {"image": {"b64": "aGk="}}},
        "aGk=",
    ]


@pytest.mark.parametrize("text", ["a", "aGk", "a\nGk=", "äöü=", 5, None])
def test_what_is_not_base64_is_refused_by_its_index(text: object) -> None:
    with pytest.raises(InvalidArgumentError, match="instance 1 has"):
        instances.decode_binary(["fine", {"b64": text}])
