"""Pages of one form are one statement, and no other page is taken for one of them."""

import pytest

from homeport.errors import InvalidArgumentError
from homeport.metadata import listing_forms
from homeport.metadata.listing_sql import Page
from homeport.metadata.version_fields import MODEL_FIELDS
from homeport.resources.listing import parse_filter


def _page(filter_: str, after: tuple[str | int, ...] = ()) -> Page:
    return Page(parse_filter(filter_), (), after, limit=101)


def _form(filter_: str, after: tuple[str | int, ...] = ()) -> Page:
    return listing_forms.parted(_page(filter_, after), MODEL_FIELDS)[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("labels.team = a", "labels.team = b", id="a label's value"),
        pytest.param("labels:team", "labels:env", id="a label's key alone"),
        pytest.param("version_aliases:a", "version_aliases:b", id="an alias"),
        pytest.param("display_name < a", "display_name < b", id="a text is before"),
        pytest.param("NOT digest = a", "NOT digest = b", id="not"),
        pytest.param("model=a OR model=b", "model=c OR model=d", id="one of two"),
        pytest.param("model=given_0", "model=a", id="what looks like a parameter"),
    ],
)
def test_the_texts_of_a_filter_are_no_part_of_its_form(one: str, other: str) -> None:
    assert _form(one) == _form(other)
    assert hash(_form(one)) == hash(_form(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("labels.team = a", "labels.env = a", id="a label's key"),
        pytest.param("labels.team = a", "labels.team : a", id="the operator"),
        pytest.param("labels.team = a", 'labels.team = "*"', id="a wildcard"),
        pytest.param('model = "a*"', 'model = "b*"', id="two wildcards"),
        pytest.param("create_time > 2026-01-01", "create_time > 2026-02-01", id="time"),
        pytest.param("version_id = 1", "version_id = 2", id="a number"),
        pytest.param("ant", "bee", id="a bare word"),
        pytest.param("model=a OR model=b", "model=a AND model=b", id="and, or"),
        pytest.param("", "model = a", id="no filter"),
    ],
)
def test_what_decides_about_the_statement_is_part_of_the_form(
    one: str, other: str
) -> None:
    assert _form(one) != _form(other)


def test_a_page_is_parted_into_names_and_the_values_they_stand_for() -> None:
    page = _page("labels.team = a AND version_id = 2 AND model = b", ("m", 7))

    form, values = listing_forms.parted(page, MODEL_FIELDS)

    assert str(form.filter) == (
        'labels.team = "given_0" AND version_id = "2" AND model = "given_1"'
    )
    assert form.after == ("given_2", "given_3")
    assert values == {"given_0": "a", "given_1": "b", "given_2": "m", "given_3": 7}


def test_a_later_page_has_the_form_of_the_one_before_it() -> None:
    assert _form("", ("m1",)) == _form("", ("m2",))
    assert _form("", ("m1",)) != _form("")


def test_a_field_that_is_not_there_is_refused_before_anything_is_built() -> None:
    with pytest.raises(InvalidArgumentError, match='"colour"'):
        _form("colour = red")
