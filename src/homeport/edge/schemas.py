"""JSON Schemas (2020-12) of the messages, as an OpenAPI document holds them.

They say the canonical form, in which everything is answered. What is read besides, all
of proto3-JSON, no schema says: snake_case, null for absence, numbers as strings.
"""

import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Final

from homeport.edge import codec

Schema = dict[str, Any]

_PLACE: Final = "#/components/schemas/"
_NOT_FINITE: Final = {"enum": ["NaN", "Infinity", "-Infinity"]}
_INT32: Final = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
_SCALARS: Final[tuple[tuple[object, Schema], ...]] = (
    (str, {"type": "string"}),
    (codec.Bool, {"type": "boolean"}),
    (codec.Int32, _INT32),
    (codec.Int64, {"type": "string", "pattern": "^-?[0-9]{1,19}$"}),
    (codec.Float, {"anyOf": [{"type": "number"}, _NOT_FINITE]}),
    (codec.Double, {"anyOf": [{"type": "number"}, _NOT_FINITE]}),
    (codec.Bytes, {"type": "string", "contentEncoding": "base64"}),
    (codec.Timestamp, {"type": "string", "format": "date-time"}),
    (codec.Duration, {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"}),
    (codec.FieldMask, {"type": "string"}),
    (codec.Value, {}),
    (codec.Struct, {"type": "object"}),
    (codec.PackedAny, {"type": "object"}),
)


class Schemas:
    """The schemas of messages and of what is in them, each once under its name."""

    def __init__(self) -> None:
        self._types: dict[str, type[codec.Message]] = {}
        self._documents: dict[str, Schema] = {}

    @property
    def components(self) -> Mapping[str, Schema]:
        """By name, all that were referred to."""
        return dict(sorted(self._documents.items()))

    def reference(self, message_type: type[codec.Message]) -> Schema:
        """Return what stands for a message in a schema.

        Raises:
            RuntimeError: Another message has that name; ours must differ.
        """
        name = message_type.__name__.removesuffix("Message")
        if self._types.setdefault(name, message_type) is not message_type:
            raise RuntimeError(f"two messages are named {name}")
        if name not in self._documents:
            # Before its fields are read, among which there may be itself.
            self._documents[name] = {}
            self._documents[name].update(self._of_message(message_type))
        return {"$ref": _PLACE + name}

    def _of_message(self, message_type: type[codec.Message]) -> Schema:
        fields = typing.get_type_hints(message_type, include_extras=True)
        properties = {}
        for name, field in message_type.model_fields.items():
            role = codec.role(field.metadata)
            if role is not codec.Role.FROM_PATH:
                properties[field.alias or name] = self._of_field(fields[name], role)
        return {
            "type": "object",
            "description": (message_type.__doc__ or "").partition("\n")[0],
            "properties": properties,
            "additionalProperties": False,
        }

    def _of_field(self, annotation: object, role: codec.Role) -> Schema:
        if role is codec.Role.KEPT:
            return {"description": "Any JSON, kept and returned, without effect."}
        schema = self._of(_unmarked(annotation))
        return (
            {**schema, "readOnly": True} if role is codec.Role.OUTPUT_ONLY else schema
        )

    def _of(self, annotation: object) -> Schema:
        for scalar, schema in _SCALARS:
            if annotation == scalar:
                return schema
        if isinstance(annotation, type) and issubclass(annotation, codec.Message):
            return self.reference(annotation)
        parts = typing.get_args(annotation)
        origin = typing.get_origin(annotation)
        if origin is Annotated:
            return _of_enum(parts[1])
        if origin in {typing.Union, types.UnionType}:
            (present,) = (part for part in parts if part is not types.NoneType)
            return self._of(present)
        if origin is tuple:
            return {"type": "array", "items": self._of(parts[0])}
        if origin is Mapping:
            return {"type": "object", "additionalProperties": self._of(parts[1])}
        raise RuntimeError(f"{annotation} has no schema")


def _of_enum(names: codec.EnumNames) -> Schema:
    # Numbers for values of other versions: enums are open.
    return {"anyOf": [{"enum": list(names.numbers)}, _INT32]}


def _unmarked(annotation: object) -> object:
    """Return a field's type without what says how it is treated."""
    if typing.get_origin(annotation) is not Annotated:
        return annotation
    inner, *marks = typing.get_args(annotation)
    own = [one for one in marks if codec.role((one,)) is codec.Role.READ]
    return Annotated[(inner, *own)] if own else inner
