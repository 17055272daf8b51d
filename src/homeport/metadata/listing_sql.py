"""One page of a list, as SQL: filter, order and the place to begin after.

Compiled from the values of `homeport.resources.listing`; which fields there are is said
by the module of the rows. A page costs what the page has, not what the table has: the
order is an index's, the place to begin is a bound of it, and where a filter asks for
something that few rows have, the search begins there.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from homeport.metadata import filter_sql
from homeport.metadata.columns import UtcTime, microseconds
from homeport.resources.listing import (
    And,
    Filter,
    Operator,
    OrderBy,
    Restriction,
    check_fields,
)

_Condition = sa.ColumnElement[bool]
# What a list is ordered by, and whether the largest comes first.
_Key = tuple[sa.ColumnElement[Any], bool]


@dataclasses.dataclass(frozen=True, slots=True)
class Seek:
    """Where the search for what a restriction asks begins, other than in the list.

    Attributes:
        key: The list's key as it is had there.
        table: Has one row for each row that the restriction is true of, in the order
            of the key; None to begin in an index of the list's own table.
        on: The condition that joins the table, in place of the restriction.
    """

    key: sa.ColumnElement[Any]
    table: sa.FromClause | None = None
    on: _Condition | None = None


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
    order_by: tuple[OrderBy, ...]
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
        query, key = _filtered(query, fields, page.filter)
    keys = [(fields.columns[one.field], one.descending) for one in page.order_by]
    keys = _with_key(keys, key)
    if page.after:
        query = query.where(_after(keys, page.after))
    return query.order_by(*_ordered(keys)).limit(page.limit)


def order(found: sa.FromClause, key: str, page: Page) -> list[sa.UnaryExpression[Any]]:
    """Return the order of a page's rows, for a query around that of the page.

    Args:
        found: The query of the page.
        key: The column that is the list's key.
        page: Which page.
    """
    keys: list[_Key] = [(found.c[one.field], one.descending) for one in page.order_by]
    return _ordered(_with_key(keys, found.c[key]))


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


def _filtered(
    query: sa.Select[Any], fields: Fields, parsed: Filter
) -> tuple[sa.Select[Any], sa.ColumnElement[Any]]:
    """Return the query for the rows that match, and the key to put them in order by."""
    operands = parsed.operands if isinstance(parsed, And) else (parsed,)
    found = _seek(operands, fields)
    if found is None:
        return query.where(filter_sql.condition(parsed, fields)), fields.key
    operand, seek = found
    if seek.table is not None:
        query = query.join(seek.table, seek.on)
        operands = tuple(one for one in operands if one is not operand)
    conditions = (filter_sql.condition(one, fields) for one in operands)
    return query.where(*conditions), seek.key


def _seek(
    operands: Sequence[Filter], fields: Fields
) -> tuple[Restriction, Seek] | None:
    """Return the best place to begin, of those that all matching rows are in."""
    needed = [one for one in operands if isinstance(one, Restriction) and one.field]
    if any(_is_one_value(one) and one.field[0] in fields.narrow for one in needed):
        return None
    found = [(one, seek) for one in needed if (seek := fields.seek(one)) is not None]
    return min(found, key=lambda each: each[1].table is None, default=None)


def _is_one_value(one: Restriction) -> bool:
    return one.operator in {Operator.EQUAL, Operator.HAS} and "*" not in one.value


def _with_key(keys: list[_Key], key: sa.ColumnElement[Any]) -> list[_Key]:
    # In the direction of the key before: then one index has the whole order.
    return [*keys, (key, keys[-1][1] if keys else False)]


def _ordered(keys: Sequence[_Key]) -> list[sa.UnaryExpression[Any]]:
    return [column.desc() if down else column.asc() for column, down in keys]


def _after(keys: Sequence[_Key], after: tuple[str | int, ...]) -> _Condition:
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
    if isinstance(value, filter_sql.Given):
        return sa.bindparam(str(value), type_=plain)
    return sa.literal(value, plain)
