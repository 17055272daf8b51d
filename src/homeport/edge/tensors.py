"""The service's Tensor, as :directPredict carries it, and the JSON value it stands for.

A tensor of a request is one instance; a prediction becomes one tensor of the response.
"""

import base64
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from homeport.edge.codec import (
    Bool,
    Bytes,
    Double,
    EnumNames,
    FromPath,
    Int64,
    Message,
)
from homeport.errors import InvalidArgumentError

_DTYPES: Final[Mapping[str, int]] = {
    "DATA_TYPE_UNSPECIFIED": 0,
    "BOOL": 1,
    "STRING": 2,
    "FLOAT": 3,
    "DOUBLE": 4,
    "INT8": 5,
    "INT16": 6,
    "INT32": 7,
    "INT64": 8,
    "UINT8": 9,
    "UINT16": 10,
    "UINT32": 11,
    "UINT64": 12,
}
# How `tensor_val` holds elements: struct's letters, little-endian.
_PACKED: Final[Mapping[str, str]] = {
    "BOOL": "?", "FLOAT": "f", "DOUBLE": "d", "INT8": "b", "INT16": "h", "INT32": "i",
    "INT64": "q", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q",
}  # fmt: skip
_VALUES: Final = (
    "bool_val", "string_val", "bytes_val", "float_val", "double_val", "int_val",
    "int64_val", "uint_val", "uint64_val",
)  # fmt: skip
_MAX_DEPTH: Final = 32
_INT64_END: Final = 1 << 63
_DOUBLE_BITS: Final = 53


class Tensor(Message):
    """google.cloud.aiplatform.v1.Tensor."""

    dtype: Annotated[str, EnumNames(_DTYPES)] = ""
    shape: tuple[Int64, ...] = ()
    bool_val: tuple[Bool, ...] = ()
    string_val: tuple[str, ...] = ()
    bytes_val: tuple[Bytes, ...] = ()
    float_val: tuple[Double, ...] = ()
    double_val: tuple[Double, ...] = ()
    int_val: tuple[Int64, ...] = ()
    int64_val: tuple[Int64, ...] = ()
    uint_val: tuple[Int64, ...] = ()
    uint64_val: tuple[Int64, ...] = ()
    list_val: tuple["Tensor", ...] = ()
    struct_val: Mapping[str, "Tensor"] = {}
    tensor_val: Bytes = b""


class TensorsRequest(Message):
    """PredictionService.DirectPredict and ServerStreamingPredict."""

    endpoint: FromPath[str] = ""
    inputs: tuple[Tensor, ...] = ()
    parameters: Tensor | None = None


class TensorsResponse(Message):
    """What answers a `TensorsRequest`, whole or in part."""

    outputs: tuple[Tensor, ...] = ()
    parameters: Tensor | None = None


def to_predict_body(request: TensorsRequest) -> dict[str, Any]:
    """Return the :predict body that asks the same.

    Raises:
        InvalidArgumentError: There is no tensor, or one does not hold what it says.
    """
    if not request.inputs:
        raise InvalidArgumentError('"inputs" is empty: send at least one tensor')
    body: dict[str, Any] = {"instances": [to_json(one) for one in request.inputs]}
    if request.parameters is not None:
        body["parameters"] = to_json(request.parameters)
    return body


def to_json(tensor: Tensor) -> Any:  # noqa: ANN401  # any JSON value
    """Return the JSON value that a tensor stands for.

    One element without a shape is that element; bytes are `{"b64": ...}`.

    Raises:
        InvalidArgumentError: It does not hold what it says, or holds NaN or infinity.
    """
    if tensor.struct_val:
        return {name: to_json(one) for name, one in tensor.struct_val.items()}
    if tensor.list_val:
        return [to_json(one) for one in tensor.list_val]
    elements = _elements(tensor)
    if any(isinstance(one, float) and not math.isfinite(one) for one in elements):
        raise InvalidArgumentError(
            "a tensor holds NaN or infinity, which JSON cannot: send finite numbers"
        )
    if not tensor.shape:
        return elements[0] if len(elements) == 1 else elements
    if math.prod(tensor.shape) != len(elements) or min(tensor.shape) < 0:
        raise InvalidArgumentError(
            f"a tensor of shape {list(tensor.shape)} holds {len(elements)} elements: "
            "send as many as the shape says"
        )
    return _nested(elements, tensor.shape)


def from_json(value: object) -> Tensor:
    """Return the tensor that stands for a prediction."""
    match value:
        case dict():
            fields = {name: from_json(one) for name, one in value.items()}
            return Tensor(struct_val=fields)
        case list():
            return _from_list(value)
        case str():
            return Tensor(dtype="STRING", string_val=(value,))
        case bool():
            return Tensor(dtype="BOOL", bool_val=(value,))
        case int() | float():
            return _from_numbers([value], ())
        case _:
            return Tensor()


def _elements(tensor: Tensor) -> list[Any]:
    if tensor.tensor_val:
        return _unpacked(tensor.dtype, tensor.tensor_val)
    given = [name for name in _VALUES if getattr(tensor, name)]
    if len(given) > 1:
        raise InvalidArgumentError(
            f"a tensor holds {' and '.join(given)}: fill the one that its dtype names"
        )
    values = getattr(tensor, given[0]) if given else ()
    if given == ["bytes_val"]:
        return [{"b64": base64.b64encode(one).decode()} for one in values]
    return list(values)


def _unpacked(dtype: str, packed: bytes) -> list[Any]:
    letter = _PACKED.get(dtype)
    if letter is None or len(packed) % struct.calcsize(f"<{letter}"):
        raise InvalidArgumentError(
            f"tensor_val has {len(packed)} bytes and dtype {dtype or 'not given'!r}: "
            f"give one of {', '.join(_PACKED)} and whole elements"
        )
    return [one for (one,) in struct.iter_unpack(f"<{letter}", packed)]


def _nested(elements: Sequence[Any], shape: Sequence[int]) -> Any:  # noqa: ANN401
    if len(shape) == 1:
        return list(elements)
    step = len(elements) // shape[0] if shape[0] else 0
    return [
        _nested(elements[index * step : (index + 1) * step], shape[1:])
        for index in range(shape[0])
    ]


def _from_list(value: list[Any]) -> Tensor:
    """Return numbers of one shape as one tensor, anything else as a list of tensors."""
    shape = _shape(value)
    flat = _flat(value, len(shape))
    if not flat or not (_are_int64(flat) or all(map(_is_double, flat))):
        return Tensor(list_val=tuple(from_json(one) for one in value))
    return _from_numbers(flat, shape)


def _from_numbers(flat: list[Any], shape: tuple[int, ...]) -> Tensor:
    if _are_int64(flat):
        return Tensor(dtype="INT64", shape=shape, int64_val=tuple(flat))
    if all(map(_is_double, flat)):
        return Tensor(dtype="DOUBLE", shape=shape, double_val=tuple(map(float, flat)))
    # An integer that no number of a tensor can hold.
    return Tensor(dtype="STRING", shape=shape, string_val=tuple(map(str, flat)))


def _are_int64(flat: list[Any]) -> bool:
    return all(type(one) is int and -_INT64_END <= one < _INT64_END for one in flat)


def _is_double(value: object) -> bool:
    """Say if a value is a number that a double holds as it is."""
    if type(value) is int:
        return value.bit_length() <= _DOUBLE_BITS
    return type(value) is float


def _shape(value: object) -> tuple[int, ...]:
    """Return the shape of nested lists as far down as it is one."""
    level, shape = [value], list[int]()
    while len(shape) < _MAX_DEPTH and all(isinstance(one, list) for one in level):
        lengths = {len(one) for one in level if isinstance(one, list)}
        if len(lengths) != 1:
            break
        shape += lengths
        level = [below for one in level if isinstance(one, list) for below in one]
        if not level:
            break
    return tuple(shape)


def _flat(value: list[Any], depth: int) -> list[Any]:
    for _ in range(depth - 1):
        value = [below for one in value for below in one]
    return value
