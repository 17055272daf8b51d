"""One page of a list, as SQL: filter, order and the place to begin after.

Compiled from the values of `homeport.resources.listing`; which fields there are is said
by the module of the rows. A page costs what the page has, not what the table has: the
order is an index's, the place to begin is a bound of it, and where a filter asks for
something that few rows have, the search begins there.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from homeport.metadata import filter_sql
from homeport.metadata.tables import UtcTime, microseconds
from homeport.resources.listing import (
    And,
    Filter,
    Operator,
    OrderBy,
    Restriction,
    check_fields,
)

_Condition = sa.ColumnElement[bool]


@dataclasses.dataclass(frozen=True, slots=True)
class Seek:
    """A table that has a row for each row that may match, in the order of the key.

    Attributes:
        table: To be joined.
        on: The condition of the join, true for one row of the table at most.
        key: The list's key as that table has it.
    """

    table: sa.FromClause
    on: _Condition
    key: sa.ColumnElement[Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Fields(filter_sql.Fields):
    """What a list can be filtered and ordered by.

    Attributes:
        key: The column that makes every row's place unique.
        narrow: Columns of which a value has few rows, found by an index.
        seek: Returns where to search for what a restriction asks, None if nowhere
            better than in the list itself.
    """

    key: sa.ColumnElement[Any] = dataclasses.field(kw_only=True)
    narrow: frozenset[str] = frozenset()
    seek: Callable[[Restriction], Seek | None] = lambda _: None


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a list.

    Attributes:
        filter: Those that match; None for all.
        order_by: Most important first; the key of the list decides what is left.
        after: The position to begin after, () for the beginning.
        limit: How many at the most.
    """

    filter: Filter | None
    order_by: Sequence[OrderBy]
    after: tuple[str | int, ...]
    limit: int


def paged(query: sa.Select[Any], fields: Fields, page: Page) -> sa.Select[Any]:
    """Return the query for one page of `query`'s rows.

    Raises:
        InvalidArgumentError: The filter names an unknown field, or compares one with
            what it cannot be compared with.
    """
    key = fields.key
    if page.filter is not None:
        check_fields(page.filter, fields.names)
        query = query.where(filter_sql.condition(page.filter, fields))
        seek = _seek(page.filter, fields)
        if seek is not None:
            query = query.join(seek.table, seek.on)
            key = seek.key
    keys = [(fields.columns[one.field], one.descending) for one in page.order_by]
    # In the direction of the key before: then one index has the whole order.
    keys.append((key, keys[-1][1] if keys else False))
    if page.after:
        query = query.where(_after(keys, page.after))
    ordered = (column.desc() if down else column.asc() for column, down in keys)
    return query.order_by(*ordered).limit(page.limit)


def position(
    values: Mapping[str, str | dt.datetime],
    order_by: Sequence[OrderBy],
    key: str | int,
) -> tuple[str | int, ...]:
    """Return where a row stands in a list: its ordering values and its key."""
    ordering = (values[one.field] for one in order_by)
    stored = (
        microseconds(value) if isinstance(value, dt.datetime) else value
        for value in ordering
    )
    return (*stored, key)


_ONE_VALUE: Final = frozenset({Operator.EQUAL, Operator.HAS})


def _seek(parsed: Filter, fields: Fields) -> Seek | None:
    """Return the first place to search that all matching rows have a row in."""
    operands = parsed.operands if isinstance(parsed, And) else (parsed,)
    needed = [
        one
        for one in operands
        if isinstance(one, Restriction) and one.field and one.operator in _ONE_VALUE
    ]
    if any(one.field[0] in fields.narrow and "*" not in one.value for one in needed):
        return None
    return next((seek for one in needed if (seek := fields.seek(one))), None)


def _after(
    keys: Sequence[tuple[sa.ColumnElement[Any], bool]], after: tuple[str | int, ...]
) -> _Condition:
    """Return the condition that a row comes later in the order than `after`."""
    bounds: list[sa.ColumnElement[Any]] = [
        _bound(column, value) for (column, _), value in zip(keys, after, strict=True)
    ]
    down = keys[0][1]
    if all(descending is down for _, descending in keys):
        row, begin = sa.tuple_(*(column for column, _ in keys)), sa.tuple_(*bounds)
        return row < begin if down else row > begin
    alternatives = []
    same: list[_Condition] = []
    for (column, descending), bound in zip(keys, bounds, strict=True):
        alternatives.append(
            sa.and_(*same, column < bound if descending else column > bound)
        )
        same.append(column == bound)
    first = keys[0][0]
    # What an index can use of it.
    reach = first <= bounds[0] if down else first >= bounds[0]
    return sa.and_(reach, sa.or_(*alternatives))


def _bound(column: sa.ColumnElement[Any], value: str | int) -> sa.ColumnElement[Any]:
    # Positions carry times as stored; bypass the conversion from datetime.
    plain = sa.BigInteger() if isinstance(column.type, UtcTime) else column.type
    return sa.literal(value, plain)
