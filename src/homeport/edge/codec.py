"""proto3-JSON as real Google clients write it, implemented once on one base class.

Every request and resource of the wire is a `Message`; `decode` reads one, `encode`
writes one (`writing`). The field types are in `scalars` and re-exported here.

How a field declares its presence, which decides when it is written:

    name: str = ""                            implicit: the zero value is not written
    timeout: Duration | None = None           explicit, as a message is: written if set
    ports: tuple[Port, ...] = ()              repeated: not written when empty
    labels: Mapping[str, str] = {}            map: not written when empty
    kind: Annotated[str, EnumNames(KINDS)] = ""
    create_time: OutputOnly[Timestamp | None] = None
    parent: FromPath[str] = ""
    explanation_spec: Kept = None

`null` is absence for every field, a google.protobuf.Value too.
"""

import dataclasses
import datetime as dt
import difflib
import enum
import functools
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, Self, TypeAlias, TypeVar

import orjson
import pydantic
from pydantic_core import PydanticCustomError

from homeport.edge import scalars, writing
from homeport.edge.scalars import (
    Bool,
    Bytes,
    Double,
    Duration,
    EnumNames,
    FieldMask,
    Float,
    Int32,
    Int64,
    PackedAny,
    Struct,
    Timestamp,
    Value,
    parse_field_mask,
)
from homeport.errors import InvalidArgumentError

__all__ = [
    "Bool",
    "Bytes",
    "Double",
    "Duration",
    "EnumNames",
    "FieldMask",
    "Float",
    "FromPath",
    "Int32",
    "Int64",
    "Kept",
    "Message",
    "OutputOnly",
    "PackedAny",
    "Role",
    "Struct",
    "Timestamp",
    "Value",
    "decode",
    "decode_object",
    "encode",
    "parse_field_mask",
    "role",
]

_T = TypeVar("_T")
_M = TypeVar("_M", bound="Message")

_FROM_WIRE: Final = object()
_SHOWN: Final = 80  # characters of a refused value that are repeated to the caller
_LONGEST_NAME: Final = 64  # of an unknown field for which a near one is looked for
_LAX: Final = (bool, int, float, bytes, dt.datetime, dt.timedelta)
_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "a string",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "mapping_type": "an object",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


class _Mark:
    """Says that a field is treated in its own way when a request is read."""


_IGNORED: Final = _Mark()
_IN_PATH: Final = _Mark()
_KEPT: Final = _Mark()


class Role(enum.Enum):
    """How a field is treated when a request is read."""

    READ = "read"
    OUTPUT_ONLY = "output only"
    FROM_PATH = "from path"
    KEPT = "kept"


def _read_kept(value: object) -> object:
    """Return free JSON, None for a zero value: proto3 does not write it either."""
    if value in ("", [], 0):
        return None
    return scalars.refuse_deep(value)


# Set by the server: whatever a request says is dropped (SDK updates send whole
# resources).
OutputOnly: TypeAlias = Annotated[_T, _IGNORED]
# Part of the URL: a body may repeat it, and the URL wins, as it does at Google's.
FromPath: TypeAlias = Annotated[_T, _IGNORED, _IN_PATH]
# A field Vertex has and we do not honour: any JSON, returned as it came.
Kept: TypeAlias = Annotated[Any, _KEPT, pydantic.BeforeValidator(_read_kept)]


class Message(pydantic.BaseModel):
    """One protobuf message: attributes in snake_case, lowerCamelCase on the wire.

    Built in Python it is checked by the same types; output-only fields are dropped
    and null is skipped only on what comes from the wire.

    Attributes:
        oneofs: Groups of attributes of which a request may set one at most.
    """

    model_config = pydantic.ConfigDict(
        alias_generator=scalars.camel_case,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        protected_namespaces=(),
    )

    oneofs: ClassVar[tuple[tuple[str, ...], ...]] = ()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        """Refuse a field declared with a type that pydantic reads too generously.

        Raises:
            TypeError: A bare `int`, `bool` or the like, for which `codec` has a type.
        """
        super().__pydantic_init_subclass__(**kwargs)
        for name, field in cls.model_fields.items():
            typed = any(not isinstance(mark, _Mark) for mark in field.metadata)
            if not typed and _has_lax_type(field.annotation):
                raise TypeError(
                    f"{cls.__name__}.{name} is {field.annotation}: declare it with the "
                    "types of homeport.edge.codec, Int32 for int and so on"
                )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _read_object(cls, value: object, info: pydantic.ValidationInfo) -> object:
        if info.context is not _FROM_WIRE or not isinstance(value, dict):
            return value
        layout = _layout(cls)
        fields: dict[str, Any] = {}
        for spelling, element in value.items():
            name = layout.names.get(spelling)
            if name is None:
                raise _unknown_field(spelling, layout)
            if name in fields:
                raise _conflict(name, "is given twice, in camelCase and in snake_case")
            if element is not None and name not in layout.ignored:
                fields[name] = element
        _check_oneofs(layout, fields)
        return fields

    @classmethod
    def made(cls, **fields: Any) -> Self:  # noqa: ANN401  # as each field has it
        """Return the message of fields that were checked before; none is checked again.

        Many times as fast as the constructor, for what the server says: values of the
        exact types of the fields, read from its own rows.
        """
        defaults = _layout(cls).defaults
        values = {**defaults, **fields}
        if len(values) > len(defaults):
            unknown = sorted(fields.keys() - defaults.keys())
            raise TypeError(f"{cls.__name__} has no field {unknown[0]}")
        message = cls.__new__(cls)
        set_ = object.__setattr__
        set_(message, "__dict__", values)
        set_(message, "__pydantic_fields_set__", set(fields))
        set_(message, "__pydantic_extra__", None)
        set_(message, "__pydantic_private__", None)
        return message

    def kept_values(self) -> dict[str, Any]:
        """Return the fields of this message that have no effect here, where set.

        Keys are in snake_case, so that `type(message)(**kept)` sets them again.
        """
        values = {name: getattr(self, name) for name in _layout(type(self)).kept}
        return {name: value for name, value in values.items() if value is not None}

    def kept_paths(self) -> tuple[str, ...]:
        """Return where this message and those in it set what has no effect here.

        Paths are in snake_case, without the indexes of lists, each once, sorted.
        """
        return tuple(sorted(set(_kept_paths(self))))


def decode(message_type: type[_M], body: bytes) -> _M:
    """Return the message that a request's body holds.

    Args:
        message_type: What the method takes.
        body: JSON in UTF-8; its length was limited before.

    Raises:
        InvalidArgumentError: Not JSON, not an object, an unknown field, or a value
            its field cannot hold; names the first such field by its full path.
    """
    if not body.strip():
        raise InvalidArgumentError("the request body is empty: send a JSON object")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidArgumentError(
            f"the request body is not JSON: {error.msg.split(':')[0]} "
            f"at line {error.lineno} column {error.colno}"
        ) from error
    return decode_object(message_type, document)


def decode_object(message_type: type[_M], document: object) -> _M:
    """Return the message that parsed JSON holds; see `decode`.

    Raises:
        InvalidArgumentError: As `decode`.
    """
    if not isinstance(document, dict):
        raise InvalidArgumentError(
            f"the request body is {_shown(document)}: expected a JSON object"
        )
    try:
        return message_type.model_validate(document, context=_FROM_WIRE)
    except pydantic.ValidationError as error:
        raise InvalidArgumentError(_sentence(error)) from error


def role(marks: Iterable[object]) -> Role:
    """Return how a field with these annotations is treated."""
    marks = tuple(marks)
    if _KEPT in marks:
        return Role.KEPT
    if _IN_PATH in marks:
        return Role.FROM_PATH
    return Role.OUTPUT_ONLY if _IGNORED in marks else Role.READ


def encode(message: Message) -> dict[str, Any]:
    """Return the JSON object that clients read, in the order of declaration."""
    return writing.write(message)


@dataclasses.dataclass(frozen=True, slots=True)
class _Layout:
    """How the fields of one message class are spelled and treated.

    Attributes:
        names: The json name of every accepted spelling.
        ignored: json names that are dropped from requests.
        kept: Attributes that have no effect.
        oneofs: Groups of json names that exclude each other.
        defaults: What each attribute is when nothing is said.
    """

    names: Mapping[str, str]
    ignored: frozenset[str]
    kept: tuple[str, ...]
    oneofs: tuple[tuple[str, ...], ...]
    defaults: Mapping[str, Any]


@functools.cache
def _layout(message_type: type[Message]) -> _Layout:
    fields = message_type.model_fields
    json_names = {name: field.alias or name for name, field in fields.items()}
    marked = {name: field.metadata for name, field in fields.items()}
    return _Layout(
        names=json_names | {name: name for name in json_names.values()},
        ignored=frozenset(json_names[n] for n, m in marked.items() if _IGNORED in m),
        kept=tuple(name for name, marks in marked.items() if _KEPT in marks),
        oneofs=tuple(
            tuple(json_names[name] for name in group) for group in message_type.oneofs
        ),
        defaults={name: field.default for name, field in fields.items()},
    )


def _has_lax_type(annotation: object) -> bool:
    if annotation in _LAX:
        return True
    if typing.get_origin(annotation) is Annotated:
        return False
    return any(_has_lax_type(part) for part in typing.get_args(annotation))


def _kept_paths(message: Message) -> Iterator[str]:
    yield from (name for name, value in message.kept_values().items() if value != {})
    for name in type(message).model_fields:
        for below in _messages(getattr(message, name)):
            yield from (f"{name}.{path}" for path in _kept_paths(below))


def _messages(value: object) -> Iterator[Message]:
    if isinstance(value, Message):
        yield value
    elif isinstance(value, tuple):
        yield from (element for element in value if isinstance(element, Message))
    elif isinstance(value, Mapping):
        yield from (each for each in value.values() if isinstance(each, Message))


def _check_oneofs(layout: _Layout, fields: Mapping[str, Any]) -> None:
    for group in layout.oneofs:
        given = [name for name in group if name in fields]
        if len(given) > 1:
            raise _conflict(given[1], f"cannot be given together with {given[0]}")


def _unknown_field(spelling: str, layout: _Layout) -> PydanticCustomError:
    near: list[str] = []
    if len(spelling) <= _LONGEST_NAME:
        near = difflib.get_close_matches(spelling, layout.names, n=1)
    problem = "is not a known field"
    if near:
        problem += f": did you mean {layout.names[near[0]]}?"
    return _conflict(spelling[:_LONGEST_NAME], problem)


def _conflict(name: str, problem: str) -> PydanticCustomError:
    return PydanticCustomError(
        "field", "{name} {problem}", {"name": name, "problem": problem}
    )


def _sentence(error: pydantic.ValidationError) -> str:
    """Return one sentence on the first problem that pydantic found."""
    first = error.errors(include_url=False)[0]
    context = first.get("ctx", {})
    if first["type"] == "field":
        path = _path((*first["loc"], context["name"]))
        return f"{path} {context['problem']}"
    path = _path(first["loc"])
    if first["type"] == "missing":
        return f"{path} is missing"
    expected = context.get("expected") or _EXPECTED.get(first["type"], first["msg"])
    return f"{path} is {_shown(first['input'])}: expected {expected}"


def _path(location: tuple[int | str, ...]) -> str:
    steps = [f"[{s}]" if isinstance(s, int) else f".{s}" for s in location]
    return "".join(steps).removeprefix(".")


def _shown(value: object) -> str:
    try:
        text = orjson.dumps(value, default=repr).decode("utf-8")
    except orjson.JSONEncodeError:  # its limit of 254 levels
        text = "nested too deeply"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
