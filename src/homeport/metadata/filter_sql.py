"""A filter as a condition in SQL, the same on every database."""

import dataclasses
import datetime as dt
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from homeport.errors import InvalidArgumentError
from homeport.metadata.columns import UtcTime
from homeport.metadata.prefixes import after_prefix
from homeport.resources.listing import (
    And,
    Filter,
    Not,
    Operator,
    Or,
    Restriction,
)

_MOST: Final = (1 << 63) - 1  # of a BigInteger
_LIKE_SPECIAL: Final = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})
_COMPARE: Final[Mapping[Operator, Callable[[Any, Any], Any]]] = {
    Operator.EQUAL: operator.eq,
    Operator.HAS: operator.eq,
    Operator.NOT_EQUAL: operator.ne,
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.GREATER: operator.gt,
    Operator.AT_LEAST: operator.ge,
}

_Condition = sa.ColumnElement[bool]
_Column = sa.ColumnElement[Any]
Members = Callable[[Callable[[_Column], _Condition]], _Condition]
"""From the condition on a member to the condition that a row has such a member."""


class Given(str):
    """The name of a value that is given when the statement runs, in its place.

    SQL takes it for that parameter wherever a text may stand.
    """

    __slots__ = ()

    def __clause_element__(self) -> sa.BindParameter[str]:
        """Return the parameter, of the type of what it is compared with."""
        return sa.bindparam(str(self))


@dataclasses.dataclass(frozen=True, slots=True)
class Fields:
    """What rows can be filtered by, each by its name in snake_case.

    Attributes:
        columns: With one value.
        maps: Each returns the value of a key, NULL where a row has none.
        lists: Of texts.
        searched: Columns in which a bare word is looked for; without any, bare words
            are refused.
    """

    columns: Mapping[str, _Column]
    maps: Mapping[str, Callable[[str], _Column]] = dataclasses.field(
        default_factory=dict
    )
    lists: Mapping[str, Members] = dataclasses.field(default_factory=dict)
    searched: Sequence[_Column] = ()

    @property
    def names(self) -> frozenset[str]:
        """Every field that there is."""
        return frozenset({*self.columns, *self.maps, *self.lists})


def condition(parsed: Filter, fields: Fields) -> _Condition:
    """Return the condition that a row matches the filter.

    Raises:
        InvalidArgumentError: A field is compared with what it cannot be compared with.
    """
    match parsed:
        case And():
            return sa.and_(*(condition(one, fields) for one in parsed.operands))
        case Or():
            return sa.or_(*(condition(one, fields) for one in parsed.operands))
        case Not():
            # A comparison with NULL is neither true nor false; NOT of it is a match.
            return ~sa.func.coalesce(condition(parsed.operand, fields), sa.false())
        case Restriction():
            return _restriction(parsed, fields)


def _restriction(one: Restriction, fields: Fields) -> _Condition:
    if not one.field:
        return _word(one.value, fields)
    name = one.field[0]
    if name in fields.maps:
        return _entry(one, fields.maps[name])
    if len(one.field) > 1:
        raise InvalidArgumentError(
            f"filter names the field {'.'.join(one.field)!r}: {name} has no fields"
        )
    if name in fields.lists:
        return _member(one, fields.lists[name])
    return _value(one, fields.columns[name])


def _value(one: Restriction, column: _Column) -> _Condition:
    if isinstance(column.type, UtcTime):
        return _compared(column, one, _time)
    if isinstance(column.type, sa.Integer):
        return _compared(column, one, _whole)
    if _is_presence(one):
        # AIP-160: a field is there when it has another value than the default.
        return column != ""
    return _text(column, one)


def _word(value: str, fields: Fields) -> _Condition:
    if not fields.searched:
        raise InvalidArgumentError(
            f"filter has {value!r} without a field: compare one of "
            f"{', '.join(sorted(fields.names))}"
        )
    pattern = f"%{value.translate(_LIKE_SPECIAL).replace('*', '%')}%"
    return sa.or_(*(column.like(pattern, escape="\\") for column in fields.searched))


def _entry(one: Restriction, value_of: Callable[[str], _Column]) -> _Condition:
    name = one.field[0]
    # labels:key asks for the key, and so does labels.key:*
    if len(one.field) == 1:
        if one.operator is not Operator.HAS:
            raise InvalidArgumentError(
                f"filter compares {name} as a whole: use {name}.KEY=VALUE or {name}:KEY"
            )
        return value_of(one.value).is_not(None)
    value = value_of(".".join(one.field[1:]))
    return value.is_not(None) if _is_presence(one) else _text(value, one)


def _member(one: Restriction, having: Members) -> _Condition:
    if one.operator is not Operator.HAS:
        raise InvalidArgumentError(
            f"filter compares the list {one.field[0]} with {one.operator}: use "
            f"{one.field[0]}:VALUE, which asks whether it has a value"
        )
    return having(lambda member: _text(member, one))


def _is_presence(one: Restriction) -> bool:
    return one.operator is Operator.HAS and one.value == "*"


def _text(column: _Column, one: Restriction) -> _Condition:
    equal = one.operator in {Operator.EQUAL, Operator.HAS}
    if "*" not in one.value or not (equal or one.operator is Operator.NOT_EQUAL):
        return _compare(column, one.operator, one.value)
    alike = column.like(
        one.value.translate(_LIKE_SPECIAL).replace("*", "%"), escape="\\"
    )
    if not equal:
        return ~alike
    prefix = one.value.partition("*")[0]
    # An index has a range of them in one place.
    bounds = [column >= prefix] if prefix else []
    bounds += [column < end for end in (after_prefix(prefix),) if end]
    return sa.and_(*bounds, alike)


def _compared(
    column: _Column,
    one: Restriction,
    read: Callable[[Restriction], int | dt.datetime],
) -> _Condition:
    if _is_presence(one):
        return column.is_not(None)
    return _compare(column, one.operator, read(one))


def _compare(
    column: _Column, how: Operator, value: str | int | dt.datetime
) -> _Condition:
    compared: _Condition = _COMPARE[how](column, value)
    return compared


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
