"""A message as the JSON object that clients read, by a plan made once for its class.

What a field's type says about its JSON is read from the type, where `scalars` has
declared it; nothing here knows a message by name.
"""

import functools
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias

import pydantic

from homeport.edge.scalars import EnumNames

_Write: TypeAlias = Callable[[Any], Any]


def write(message: pydantic.BaseModel) -> dict[str, Any]:
    """Return what of a message is not at its default, in the order of declaration."""
    values = message.__dict__
    written = {}
    for attribute, name, default, write_value in _plan(type(message)):
        value = values[attribute]
        # Of None there is one; a message would compare itself with it.
        if value is default or (default is not None and value == default):
            continue
        written[name] = value if write_value is None else write_value(value)
    return written


@functools.cache
def _plan(
    message_type: type[pydantic.BaseModel],
) -> tuple[tuple[str, str, object, _Write | None], ...]:
    """Return attribute, json name, default and, where it has one, writer of each field.

    Raises:
        TypeError: A field's type has no JSON.
    """
    # A field may be of a class that was declared later.
    message_type.model_rebuild()
    return tuple(
        (
            attribute,
            field.alias or attribute,
            field.default,
            _writer(field.annotation, field.metadata),
        )
        for attribute, field in message_type.model_fields.items()
    )


def _writer(annotation: object, marks: typing.Iterable[object] = ()) -> _Write | None:
    """Return what makes JSON of a value of this type, None where it is JSON already."""
    for mark in marks:
        if isinstance(mark, pydantic.PlainSerializer):
            return typing.cast("_Write", mark.func)
        if isinstance(mark, EnumNames):
            return mark.write
    if any(annotation is one for one in (str, int, bool, float, Any)):
        return None
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return write
    return _compound(typing.get_origin(annotation), typing.get_args(annotation))


def _compound(origin: object, parts: tuple[Any, ...]) -> _Write | None:
    if origin is Annotated:
        return _writer(parts[0], parts[1:])
    given = [part for part in parts if part is not type(None)]
    if origin in {types.UnionType, typing.Union} and len(given) == 1:
        return _optional(_writer(given[0]))
    if origin is tuple:
        return _list(_writer(parts[0]))
    if origin in {dict, Mapping}:
        return _object(_writer(parts[1]))
    raise TypeError(f"{origin}{list(parts)} is the type of no field of a message")


def _optional(write_value: _Write | None) -> _Write | None:
    if write_value is None:
        return None
    return lambda value: None if value is None else write_value(value)


def _list(write_value: _Write | None) -> _Write:
    if write_value is None:
        return list
    return lambda values: [write_value(value) for value in values]


def _object(write_value: _Write | None) -> _Write:
    if write_value is None:
        return dict
    return lambda values: {key: write_value(value) for key, value in values.items()}
