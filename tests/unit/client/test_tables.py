"""A notebook shows tables, and nothing of what somebody else wrote as HTML."""

import datetime as dt

from homeport.client import tables
from homeport.client.results import Difference, ModelVersion
from homeport.client.tables import Listing

NOW = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)


def version(number: int, description: str = "") -> ModelVersion:
    return ModelVersion(
        resource_name="projects/p/locations/l/models/5",
        version_id=str(number),
        display_name="<b>digits</b>",
        description="",
        version_description=description,
        aliases=("default", "production"),
        labels={"team": "a&b"},
        artifact_uri="",
        image_uri="",
        create_time=NOW,
        update_time=NOW,
    )


def test_texts_are_escaped() -> None:
    shown = Listing((version(1, "<script>alert(1)</script>"),))._repr_html_()

    assert "<script>" not in shown
    assert "<td>&lt;b&gt;digits&lt;/b&gt;</td>" in shown
    assert "<td>default, production</td><td>team=a&amp;b</td>" in shown


def test_long_texts_and_lists_are_cut() -> None:
    shown = tables.table([version(1, "x" * 1000), *map(version, range(2, 151))])

    assert "x" * 201 not in shown
    assert shown.count("<tr>") == 101
    assert "and 50 more" in shown


def test_one_alone_is_a_table_of_one_row() -> None:
    difference = Difference("labels", "team", "a", None)

    shown = difference._repr_html_()

    assert shown.count("<tr>") == 2
    assert "<td>labels</td><td>team</td><td>a</td><td></td>" in shown


def test_nothing_is_said() -> None:
    assert tables.table([]) == "<p>nothing</p>"


def test_a_listing_is_a_sequence() -> None:
    versions = [version(number) for number in range(3)]

    listing = Listing(tuple(versions))

    assert list(listing) == versions
    assert listing[-1] == versions[2]
    assert listing[1:] == Listing(tuple(versions[1:]))
    assert len(listing) == 3
