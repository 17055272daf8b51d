"""A page parted into its form and its values.

Building a statement takes as long as running it. Pages of one form, such as those of
one label whatever its value, are one statement that is built once.
"""

import dataclasses

import sqlalchemy as sa

from homeport.metadata.columns import UtcTime
from homeport.metadata.filter_sql import Given
from homeport.metadata.listing_sql import Fields, Page
from homeport.resources.listing import (
    And,
    Filter,
    Not,
    Or,
    Restriction,
    check_fields,
)

Values = dict[str, str | int]


def parted(page: Page, fields: Fields) -> tuple[Page, Values]:
    """Return a page whose values have names, and the value of each name.

    Names are in the place of what decides nothing about the statement: the texts that
    fields are compared with, and the position to begin after.

    Args:
        page: Which page.
        fields: Of its list.

    Raises:
        InvalidArgumentError: The filter names an unknown field.
    """
    values: Values = {}
    form = page.filter
    if form is not None:
        check_fields(form, fields.names)
        form = _form(form, fields, values)
    after = tuple(_named(value, values) for value in page.after)
    return dataclasses.replace(page, filter=form, after=after), values


def _form(parsed: Filter, fields: Fields, values: Values) -> Filter:
    match parsed:
        case Restriction():
            if not _is_free(parsed, fields):
                return parsed
            name = _named(parsed.value, values)
            return Restriction(parsed.field, parsed.operator, name)
        case Not():
            return Not(_form(parsed.operand, fields, values))
        case And():
            return And(tuple(_form(one, fields, values) for one in parsed.operands))
        case Or():
            return Or(tuple(_form(one, fields, values) for one in parsed.operands))


def _is_free(one: Restriction, fields: Fields) -> bool:
    """Tell whether the value of a restriction may be any text: no wildcard, no number.

    It depends on nothing that the form does not keep, but for the wildcard; so a text
    that looks like a name is never taken for one.
    """
    if not one.field or "*" in one.value:
        return False
    column = fields.columns.get(one.field[0])
    return column is None or not isinstance(column.type, UtcTime | sa.Integer)


def _named(value: str | int, values: Values) -> Given:
    name = Given(f"given_{len(values)}")
    values[name] = value
    return name
