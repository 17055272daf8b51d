"""What models show, derived anew from the rows it comes from, slowly and plainly."""

import collections
from typing import Any

import orjson
import sqlalchemy as sa

from homeport.metadata import tables

_KEY = ("project", "location", "model_id")
# Of one model: default version, aliases as (place, alias), labels as (key, value).
Shown = tuple[int, list[list[Any]], list[list[Any]]]


def derived(transaction: sa.Connection) -> dict[tuple[str, ...], Shown]:
    """Return what each model should show, by its key."""
    own, of_version, carried = (
        _of_models(transaction, table)
        for table in (
            tables.model_labels,
            tables.version_labels,
            tables.version_aliases,
        )
    )
    shown = {}
    for key in _of_models(transaction, tables.models):
        aliases = carried[key]
        default = next((one.version_id for one in aliases if one.alias == "default"), 0)
        labels = {one.key: one.value for one in own[key]}
        labels |= {
            one.key: one.value for one in of_version[key] if one.version_id == default
        }
        there = [[one.place, one.alias] for one in aliases if one.version_id == default]
        shown[key] = (default, sorted(there), sorted(map(list, labels.items())))
    return shown


def kept(transaction: sa.Connection) -> dict[tuple[str, ...], Shown]:
    """Return what is written beside each model, by its key; both copies of labels."""
    findable = _of_models(transaction, tables.shown_labels)
    shown = {}
    for key, (row,) in _of_models(transaction, tables.models).items():
        labels = orjson.loads(row.shown_labels)
        assert labels == sorted([one.key, one.value] for one in findable.pop(key, []))
        shown[key] = (row.default_version, orjson.loads(row.shown_aliases), labels)
    assert not findable
    return shown


def _of_models(
    transaction: sa.Connection, table: sa.Table
) -> dict[tuple[str, ...], list[sa.Row[Any]]]:
    rows = collections.defaultdict(list)
    for row in transaction.execute(sa.select(table)):
        rows[tuple(getattr(row, column) for column in _KEY)].append(row)
    return rows
