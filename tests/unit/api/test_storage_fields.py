"""The parameter `fields` shows of a resource what it names, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.api import storage_fields
from homeport.errors import InvalidArgumentError

LIST = {
    "kind": "storage#objects",
    "nextPageToken": "t",
    "prefixes": ["a/"],
    "items": [
        {"name": "a", "size": "1", "metadata": {"k": "v", "l": "w"}},
        {"name": "b", "size": "2"},
    ],
}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        pytest.param("kind", {"kind": "storage#objects"}, id="one"),
        pytest.param(
            "prefixes,items/name",
            {"prefixes": ["a/"], "items": [{"name": "a"}, {"name": "b"}]},
            id="inside a list",
        ),
        pytest.param(
            "items(name, metadata/k),nextPageToken",
            {
                "items": [{"name": "a", "metadata": {"k": "v"}}, {"name": "b"}],
                "nextPageToken": "t",
            },
            id="several inside",
        ),
        pytest.param(
            "items/metadata(k,l)",
            {"items": [{"metadata": {"k": "v", "l": "w"}}, {}]},
            id="a path, then several",
        ),
        pytest.param("items/name,kind,nothing", {
            "items": [{"name": "a"}, {"name": "b"}],
            "kind": "storage#objects",
        }, id="one that is not there"),
        pytest.param("*", LIST, id="everything"),
        pytest.param("items,items/name", {"items": LIST["items"]}, id="all and a part"),
        pytest.param("items/name,items", {"items": LIST["items"]}, id="a part and all"),
        pytest.param(
            "*/name",
            {
                "kind": "storage#objects",
                "nextPageToken": "t",
                "prefixes": ["a/"],
                "items": [{"name": "a"}, {"name": "b"}],
            },
            id="of everything",
        ),
        pytest.param("", LIST, id="not asked"),
    ],
)  # fmt: skip
def test_it_shows_what_is_named(fields: str, told: object) -> None:
    assert storage_fields.selected(LIST, fields) == told


@pytest.mark.parametrize(
    "fields",
    [
        *("a,", ",a", "a/", "/a", "a(b", "a)", "a()", "a b", "a(b)c", "ä", "a;b", "("),
        pytest.param("/".join("a" * 40), id="deep"),
        pytest.param("a," * 5000 + "a", id="long"),
    ],
)
def test_what_is_not_of_the_grammar_is_refused(fields: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"write it as kind,items"):
        storage_fields.selected(LIST, fields)


@given(st.text(st.sampled_from("ab,/()* "), max_size=20))
def test_any_text_is_a_selection_or_refused(fields: str) -> None:
    document = {"a": {"a": 1, "b": [{"a": 2}]}, "b": [[{"b": 3}]]}

    try:
        told = storage_fields.selected(document, fields)
    except InvalidArgumentError:
        return

    assert set(told) <= {"a", "b"}
