"""One page of a list, as SQL: filter, order and the place to begin after.

Compiled from the values of `homeport.resources.listing`; which fields there are is said
by the module of the rows.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from homeport.errors import InvalidArgumentError
from homeport.metadata.tables import UtcTime, microseconds
from homeport.resources.listing import (
    And,
    Filter,
    Not,
    Operator,
    Or,
    OrderBy,
    Restriction,
    check_fields,
)

_LABELS: Final = "labels"
_MOST: Final = (1 << 63) - 1  # of a BigInteger
_LIKE_SPECIAL: Final = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})


@dataclasses.dataclass(frozen=True, slots=True)
class Fields:
    """What a list can be filtered and ordered by.

    Attributes:
        columns: By field name in snake_case.
        key: The column that makes every row's place unique.
        labels: Returns the value of a label, NULL where a row has none; None for rows
            that never have labels.
    """

    columns: Mapping[str, sa.ColumnElement[Any]]
    key: sa.ColumnElement[Any]
    labels: Callable[[str], sa.ColumnElement[Any]] | None = None


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
    if page.filter is not None:
        labelled = {_LABELS} if fields.labels else set()
        check_fields(page.filter, {*fields.columns, *labelled})
        query = query.where(_condition(page.filter, fields))
    keys = [(fields.columns[key.field], key.descending) for key in page.order_by]
    keys.append((fields.key, False))
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


def _after(
    keys: Sequence[tuple[sa.ColumnElement[Any], bool]], after: tuple[str | int, ...]
) -> sa.ColumnElement[bool]:
    """Return the condition that a row comes later in the order than `after`."""
    alternatives = []
    same: list[sa.ColumnElement[bool]] = []
    for (column, descending), value in zip(keys, after, strict=True):
        bound = _bound(column, value)
        later = column < bound if descending else column > bound
        alternatives.append(sa.and_(*same, later))
        same.append(column == bound)
    return sa.or_(*alternatives)


def _bound(column: sa.ColumnElement[Any], value: str | int) -> Any:  # noqa: ANN401
    # Positions carry times as stored; bypass the conversion from datetime.
    if isinstance(column.type, UtcTime):
        return sa.literal(value, sa.BigInteger)
    return value


def _condition(parsed: Filter, fields: Fields) -> sa.ColumnElement[bool]:
    match parsed:
        case And():
            return sa.and_(*(_condition(one, fields) for one in parsed.operands))
        case Or():
            return sa.or_(*(_condition(one, fields) for one in parsed.operands))
        case Not():
            # A comparison with NULL is neither true nor false; NOT of it is a match.
            return ~sa.func.coalesce(_condition(parsed.operand, fields), sa.false())
        case Restriction():
            return _restriction(parsed, fields)


def _restriction(one: Restriction, fields: Fields) -> sa.ColumnElement[bool]:
    if one.field[0] == _LABELS and fields.labels is not None:
        return _label(one, fields.labels)
    if len(one.field) > 1:
        raise InvalidArgumentError(
            f"filter names the field {'.'.join(one.field)!r}: {one.field[0]} has no "
            "fields"
        )
    column = fields.columns[one.field[0]]
    if one.operator is Operator.HAS and one.value == "*":
        return column.is_not(None)
    if isinstance(column.type, UtcTime):
        return _compare(column, one, _time(one))
    if isinstance(column.type, sa.Integer):
        return _compare(column, one, _whole(one))
    return _text(column, one)


def _label(
    one: Restriction, labels: Callable[[str], sa.ColumnElement[Any]]
) -> sa.ColumnElement[bool]:
    # labels:key asks for the key, and so does labels.key:*
    if len(one.field) == 1:
        if one.operator is not Operator.HAS:
            raise InvalidArgumentError(
                "filter compares labels as a whole: use labels.KEY=VALUE or labels:KEY"
            )
        return labels(one.value).is_not(None)
    value = labels(".".join(one.field[1:]))
    if one.operator is Operator.HAS and one.value == "*":
        return value.is_not(None)
    return _text(value, one)


def _text(column: sa.ColumnElement[Any], one: Restriction) -> sa.ColumnElement[bool]:
    if "*" in one.value and one.operator in {
        Operator.EQUAL,
        Operator.NOT_EQUAL,
        Operator.HAS,
    }:
        pattern = one.value.translate(_LIKE_SPECIAL).replace("*", "%")
        alike = column.like(pattern, escape="\\")
        return ~alike if one.operator is Operator.NOT_EQUAL else alike
    return _compare(column, one, one.value)


def _compare(
    column: sa.ColumnElement[Any], one: Restriction, value: str | int | dt.datetime
) -> sa.ColumnElement[bool]:
    match one.operator:
        case Operator.EQUAL | Operator.HAS:
            return column == value
        case Operator.NOT_EQUAL:
            return column != value
        case Operator.LESS:
            return column < value
        case Operator.AT_MOST:
            return column <= value
        case Operator.GREATER:
            return column > value
        case Operator.AT_LEAST:
            return column >= value


def _time(one: Restriction) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(one.value)
    except ValueError as error:
        raise InvalidArgumentError(
            f"filter compares {one.field[0]} with {one.value!r}: expected a time such "
            'as "2026-01-31T12:00:00Z"'
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _whole(one: Restriction) -> int:
    try:
        number = int(one.value)
    except ValueError as error:
        raise InvalidArgumentError(
            f"filter compares {one.field[0]} with {one.value!r}: expected a number"
        ) from error
    # What a column cannot hold compares like the last number that it can.
    return max(-_MOST, min(number, _MOST))
