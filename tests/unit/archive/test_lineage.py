"""Lineage travels in the archive as one JSON object of texts, and nothing else does."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.archive import lineage
from homeport.errors import InvalidArgumentError

KEYS = st.text(string.ascii_lowercase, min_size=1, max_size=63).filter(
    lambda key: key not in {"lock", "uploaded_by"}
)
VALUES = st.text(min_size=1, max_size=1024).filter(str.isprintable)


@given(st.dictionaries(KEYS, VALUES, max_size=64))
def test_what_was_written_is_read(said: dict[str, str]) -> None:
    assert lineage.parse(lineage.serialize(said)) == said


def test_equal_lineage_gives_equal_bytes() -> None:
    one = lineage.serialize({"run": "1", "code": "a"})

    assert one == lineage.serialize({"code": "a", "run": "1"})
    assert one == b'{\n  "code": "a",\n  "run": "1"\n}\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(b"", "not valid JSON", id="nothing"),
        pytest.param(b"[" * 100_000, "not valid JSON", id="nested without end"),
        pytest.param(b"\xff", "not valid JSON", id="no UTF-8"),
        pytest.param(b"[]", "no JSON object of texts", id="a list"),
        pytest.param(b'{"run": 1}', "no JSON object of texts", id="a number"),
        pytest.param(b'{"Run": "1"}', "the key 'Run'", id="a capital"),
        pytest.param(b'{"run": ""}', "run is ''", id="an empty value"),
        pytest.param(b'{"run": "\\u001b[2J"}', "printable", id="a control character"),
        pytest.param(b'{"run": "\\ud800"}', "printable", id="half a character"),
        pytest.param(b'{"uploaded_by": "ada"}', "the server", id="the uploader"),
        pytest.param(b'{"lock": "ada"}', "the server", id="the lock"),
        pytest.param(b" " * ((1 << 20) + 1), "the limit is 1048576", id="too long"),
    ],
)
def test_what_is_no_lineage_is_refused(text: bytes, problem: str) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        lineage.parse(text)


def test_more_than_64_entries_are_refused() -> None:
    said = {f"key{'a' * at}": "1" for at in range(63)} | {"one": "1", "two": "2"}

    with pytest.raises(InvalidArgumentError, match="has 65 entries: at most 64"):
        lineage.serialize(said)
