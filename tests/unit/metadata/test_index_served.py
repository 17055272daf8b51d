"""A page of models costs what it has: an index finds it, on both databases."""

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from databases import KINDS, SQLITE, Databases
from homeport.metadata import location_rows, tables, version_fields
from homeport.metadata.listing_sql import Page
from homeport.resources.listing import parse_filter, parse_order_by
from rooms import PARENT, T0, Rooms

MODELS = 3000
ORDERS = ("display_name", "create_time", "update_time")
PLACE = {"project": PARENT.project, "location": PARENT.location}


@pytest.fixture(scope="module", params=KINDS)
def filled(
    request: pytest.FixtureRequest,
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Rooms]:
    """As many models as make an index worth its while."""
    directory = tmp_path_factory.mktemp("filled")
    with databases.lend(request.param, directory) as url:
        rooms = Rooms(directory, url)
        _fill(rooms)
        yield rooms
        rooms.close()


def _fill(rooms: Rooms) -> None:
    keys = [{**PLACE, "model_id": f"{number:05}"} for number in range(MODELS)]
    times = [T0 + dt.timedelta(minutes=number) for number in range(MODELS)]
    with rooms.database.transaction() as transaction:
        transaction.execute(
            tables.artifacts.insert(),
            [{"digest": f"d{at}", "create_time": T0} for at in range(MODELS)],
        )
        transaction.execute(
            tables.models.insert(),
            [
                {
                    **key,
                    "display_name": f"name {at % 500}",
                    "description": "",
                    "next_version": 2,
                    "default_version": 1,
                    "etag": "",
                    "create_time": times[at],
                    "update_time": times[-at],
                }
                for at, key in enumerate(keys)
            ],
        )
        transaction.execute(
            tables.model_versions.insert(),
            [
                {
                    **key,
                    "version_id": 1,
                    "description": "",
                    "artifact_uri": "",
                    "artifact_digest": f"d{at}",
                    "kept": {},
                    "create_time": times[at],
                    "update_time": times[at],
                }
                for at, key in enumerate(keys)
            ],
        )
        transaction.execute(
            tables.version_aliases.insert(),
            [
                {**key, "version_id": 1, "alias": alias}
                for at, key in enumerate(keys)
                for alias in ("default", f"alias{at % 100}")
            ],
        )
        transaction.execute(
            tables.shown_labels.insert(),
            [
                {**key, "key": name, "value": value}
                for at, key in enumerate(keys)
                for name, value in (("team", f"t{at % 100}"), (f"k{at % 100}", ""))
            ],
        )
        transaction.execute(
            tables.version_lineage.insert(),
            [
                {**key, "version_id": 1, "key": "run", "value": f"r{at % 100}"}
                for at, key in enumerate(keys)
            ],
        )
        transaction.exec_driver_sql("ANALYZE")
    # What a server has that has not yet looked at its tables.
    if rooms.rows_url.startswith(SQLITE):
        with rooms.database.transaction() as transaction:
            transaction.exec_driver_sql("DROP TABLE sqlite_stat1")


def _plan(rooms: Rooms, filter_: str, order_by: str, after: tuple[str, ...]) -> str:
    page = Page(
        parse_filter(filter_), parse_order_by(order_by, ORDERS), after, limit=101
    )
    return _explained(rooms, version_fields.models_page(page).params(PLACE))


def _explained(rooms: Rooms, query: sa.Select[Any] | sa.CompoundSelect[Any]) -> str:
    embedded = rooms.rows_url.startswith(SQLITE)
    with rooms.database.snapshot() as transaction:
        statement = query.compile(
            dialect=transaction.dialect, compile_kwargs={"literal_binds": True}
        )
        text = str(statement).replace(":", r"\:")
        explain = "EXPLAIN QUERY PLAN" if embedded else "EXPLAIN"
        if not embedded:
            # A table as small as this one is read whole by choice.
            transaction.exec_driver_sql("SET LOCAL enable_seqscan = off")
            transaction.exec_driver_sql("SET LOCAL enable_hashjoin = off")
        rows = transaction.execute(sa.text(f"{explain} {text}"))
        return "\n".join(str(row[-1]) for row in rows)


@pytest.mark.parametrize(
    ("filter_", "order_by", "index"),
    [
        pytest.param("display_name = 'name 7'", "", "display_name_model_id", id="name"),
        pytest.param("display_name = 'name 49*'", "", "display_name", id="prefix"),
        pytest.param("labels.team = t7", "", "key_value_model_id", id="label"),
        pytest.param("labels.k7:*", "", "key_model_id", id="label is there"),
        pytest.param("labels:k7", "", "key_model_id", id="label is there, shorter"),
        pytest.param("version_aliases:alias7", "", "alias_model_id", id="alias"),
        pytest.param("lineage.run = r7", "", "version_lineage_value", id="lineage"),
        pytest.param("digest = d77", "", "artifact_digest", id="digest"),
        pytest.param(
            "create_time > 2026-01-03T01:50:00Z", "", "create_time", id="created later"
        ),
        pytest.param(
            "update_time > 2026-01-03T01:50:00Z", "", "update_time", id="changed later"
        ),
        pytest.param("", "", "pk_models", id="all"),
        pytest.param("", "display_name", "display_name_model_id", id="by name"),
        pytest.param("", "create_time desc", "create_time_model_id", id="newest first"),
        pytest.param("", "update_time", "update_time_model_id", id="oldest first"),
        pytest.param(
            "labels.team = t7 AND description = ''", "", "key_value_model_id", id="both"
        ),
    ],
)
def test_an_index_finds_the_first_page(
    filled: Rooms, filter_: str, order_by: str, index: str
) -> None:
    plan = _plan(filled, filter_, order_by, ())

    if index == "pk_models" and filled.rows_url.startswith(SQLITE):
        index = "sqlite_autoindex_models_1"
    assert index in plan, plan
    assert not re.search(r"Seq Scan|^SCAN", plan, re.MULTILINE), plan


@pytest.mark.parametrize(
    ("filter_", "order_by", "after"),
    [
        pytest.param("", "", ("01500",), id="by id"),
        pytest.param("", "display_name", ("name 3", "01500"), id="by name"),
        pytest.param("", "display_name desc", ("name 3", "01500"), id="from the end"),
        pytest.param("labels.team = t7", "", ("01500",), id="by label"),
        pytest.param("version_aliases:alias7", "", ("01500",), id="by alias"),
        pytest.param("lineage.run = r7", "", ("01500",), id="by lineage"),
    ],
)
def test_a_later_page_begins_where_the_one_before_ended(
    filled: Rooms, filter_: str, order_by: str, after: tuple[str, ...]
) -> None:
    plan = _plan(filled, filter_, order_by, after)

    assert not re.search(r"Seq Scan|Sort|^SCAN|TEMP B-TREE", plan, re.MULTILINE), plan


def test_locations_are_found_by_skipping_from_one_to_the_next(filled: Rooms) -> None:
    plan = _explained(filled, location_rows.used(PARENT.project))

    if filled.rows_url.startswith(SQLITE):
        assert plan.count("(project=? AND location>?)") == 2, plan
    else:
        # Each search ends at its first row.
        assert plan.count("Limit") == plan.count("Scan using") > 0, plan
