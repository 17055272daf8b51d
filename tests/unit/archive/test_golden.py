"""A golden sample survives its file, and a hostile file is refused by name."""

import json
import pathlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.archive import golden
from homeport.archive.golden import Golden
from homeport.errors import InvalidArgumentError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=10,
)
goldens = st.builds(
    Golden,
    request=st.builds(
        lambda instances, parameters: {
            "instances": instances,
            "parameters": parameters,
        },
        st.lists(values, min_size=1, max_size=3),
        values,
    ),
    predictions=st.none() | st.lists(values, max_size=3).map(tuple),
    relative_tolerance=st.floats(0, 1),
    absolute_tolerance=st.floats(0, 1),
)


@given(goldens)
def test_a_sample_survives_its_file(one: Golden) -> None:
    assert golden.parse(golden.serialize(one)) == one


@given(st.binary(max_size=200) | values.map(lambda one: json.dumps(one).encode()))
def test_any_other_file_is_refused_and_nothing_else_happens(text: bytes) -> None:
    with pytest.raises(InvalidArgumentError):
        golden.parse(text)


def test_equal_samples_are_equal_bytes_in_any_order_of_keys() -> None:
    one = Golden({"instances": [{"a": 1, "b": 2}], "parameters": {}})
    other = Golden({"parameters": {}, "instances": [{"b": 2, "a": 1}]})

    assert golden.serialize(one) == golden.serialize(other)


def test_the_body_is_what_a_client_sends() -> None:
    one = golden.parse(b'{"request": {"instances": [1, 2], "parameters": {"k": 3}}}')

    assert json.loads(one.body) == {"instances": [1, 2], "parameters": {"k": 3}}
    assert one.instances == [1, 2]
    assert one.predictions is None
    assert (one.relative_tolerance, one.absolute_tolerance) == (1e-5, 1e-6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(b"", "not valid JSON", id="empty"),
        pytest.param(b"\xff\xfe", "not valid JSON", id="no UTF-8"),
        pytest.param(b"[]", "no JSON object", id="a list"),
        pytest.param(b"[" * 100_000, "not valid JSON", id="brackets without end"),
        pytest.param(b"{}", "request is missing", id="nothing in it"),
        pytest.param(b'{"request": 1}', "no object", id="request is a number"),
        pytest.param(b'{"request": {}}', "no list of instances", id="no instances"),
        pytest.param(
            b'{"request": {"instances": []}}', "no list of instances", id="none"
        ),
        pytest.param(
            b'{"request": {"instances": {"a": 1}}}', "no list of", id="an object"
        ),
        pytest.param(
            b'{"request": {"instances": [1]}, "predictions": 1}',
            "predictions is no list",
            id="predictions are a number",
        ),
        pytest.param(
            b'{"request": {"instances": [NaN]}}', "NaN is no JSON value", id="NaN"
        ),
        pytest.param(
            b'{"request": {"instances": [1e999]}}', "1e999 is out of range", id="huge"
        ),
        pytest.param(
            b'{"request": {"instances": [1]}, "relativeTolerance": -1}',
            "relativeTolerance is -1.0",
            id="negative tolerance",
        ),
        pytest.param(
            b'{"request": {"instances": [1]}, "absoluteTolerance": true}',
            "absoluteTolerance is True",
            id="tolerance is no number",
        ),
        pytest.param(
            b'{"request": {"instances": [1]}, "absoluteTolerance": 1'
            + b"0" * 400
            + b"}",
            "absoluteTolerance is out of range",
            id="tolerance without end",
        ),
        pytest.param(
            b'{"request": {"instances": [1]}, "run": "me"}', "'run'", id="unknown key"
        ),
        pytest.param(
            b'{"request": {"instances": [' + b"[" * 70 + b"]" * 70 + b"]}}",
            "nested over 64 levels",
            id="nested deeply",
        ),
        pytest.param(b" " * (10 << 20) + b"{}", "limit is 10485760", id="too large"),
    ],
)
def test_a_broken_or_hostile_file_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        golden.parse(text)

    assert caught.value.message.startswith("MAR-INF/golden.json: ")
    assert words in caught.value.message


def test_a_sample_over_the_limit_is_not_written() -> None:
    with pytest.raises(InvalidArgumentError, match="the limit is 10485760"):
        golden.serialize(Golden({"instances": ["x" * (10 << 20)]}))


@pytest.mark.parametrize("value", [b"bytes", float("nan"), object()])
def test_what_is_no_json_is_not_written(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="the sample is no JSON"):
        golden.serialize(Golden({"instances": [value]}))


def test_the_sample_lies_in_the_archive(tmp_path: pathlib.Path) -> None:
    sample = Golden({"instances": [[1, 2]]}, ([0.5, "cat"],))
    path = tmp_path / golden.PATH
    path.parent.mkdir()
    path.write_bytes(golden.serialize(sample))

    assert golden.read(tmp_path) == sample


def test_an_archive_may_have_no_sample(tmp_path: pathlib.Path) -> None:
    assert golden.read(tmp_path) is None


def test_a_file_that_is_no_sample_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / golden.PATH
    path.parent.mkdir()
    path.write_bytes(b"{}")

    with pytest.raises(InvalidArgumentError, match="request is missing"):
        golden.read(tmp_path)
