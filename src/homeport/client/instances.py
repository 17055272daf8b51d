"""Python values, numpy arrays and torch tensors to the JSON that models are asked with.

Neither numpy nor torch is imported: who hands over an array has done so.
"""

import base64
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from homeport.errors import InvalidArgumentError

_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
# Kinds of numpy's dtypes that JSON has numbers or truths for.
_NUMBERS: Final = "biuf"
_FLOATS: Final = "f"
_WIDEST_BYTES: Final = 8
_DEEPEST: Final = 200


def request(
    instances: object,
    parameters: object = None,
    fields: Mapping[str, str] | None = None,
) -> bytes:
    """Return the body of a prediction request.

    Args:
        instances: A sequence of instances, or an array or tensor whose first axis they
            are. Arrays and tensors may also stand within them; bytes become
            `{"b64": ...}`.
        parameters: Of the model, None for none.
        fields: Further fields of the request.

    Raises:
        InvalidArgumentError: A value has no JSON: its type or dtype, NaN or infinity;
            or there are no instances.
    """
    body: dict[str, object] = {"instances": _rows(instances), **(fields or {})}
    if parameters is not None:
        body["parameters"] = parameters
    return encoded(body)


def lines(instances: Iterable[object]) -> Iterator[bytes]:
    """Yield each instance as a line of jsonl.

    Raises:
        InvalidArgumentError: A value has no JSON.
    """
    for number, one in enumerate(instances):
        yield encoded(one, f"instances[{number}]") + b"\n"


def encoded(value: object, place: str = "") -> bytes:
    """Return a value as JSON text.

    Args:
        value: Plain values, arrays and tensors.
        place: What an error calls the value.

    Raises:
        InvalidArgumentError: A part of it has none.
    """
    try:
        text = orjson.dumps(value, default=_plain, option=_OPTIONS)
    except TypeError as error:
        cause = error.__cause__
        if isinstance(cause, InvalidArgumentError):
            raise cause from None
        raise InvalidArgumentError(f"the request has no JSON: {error}") from error
    # NaN and infinity are written as null: only where one is written is it looked for.
    if b"null" in text:
        _check_finite(value, place)
    return text


def _rows(instances: object) -> object:
    if _is_array(instances):
        if not getattr(instances, "ndim", 1):
            raise InvalidArgumentError(
                "the instances are one number: give an array whose first axis are the "
                "instances"
            )
        return _plain(instances)
    if isinstance(instances, str | bytes | Mapping) or not isinstance(
        instances, Iterable
    ):
        raise InvalidArgumentError(
            f"the instances are of type {type(instances).__name__}: give a list of "
            "them, or an array"
        )
    rows = instances if isinstance(instances, list) else list(instances)
    if not rows:
        raise InvalidArgumentError("there are no instances: give one at least")
    return rows


def _is_array(value: object) -> bool:
    return _is_numpy(value) or _is_tensor(value)


def _is_numpy(value: object) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _is_tensor(value: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _plain(value: Any) -> object:  # noqa: ANN401  # whatever a caller has
    """Return a value that orjson writes for one that it does not."""
    if _is_tensor(value):
        return _of_tensor(value)
    if _is_numpy(value):
        return _of_array(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, Sequence | set | frozenset):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    item = getattr(value, "item", None)
    # A number of numpy's: its arrays have been dealt with.
    if callable(item) and getattr(value, "ndim", None) == 0:
        return _of_number(value)
    raise InvalidArgumentError(
        f"a value of type {type(value).__name__} has no JSON: give numbers, texts, "
        "truths, bytes, lists, dicts, arrays or tensors"
    )


def _of_tensor(tensor: Any) -> object:  # noqa: ANN401  # torch is not imported here
    if tensor.is_complex() or tensor.is_sparse or tensor.is_quantized:
        raise _unsupported(f"{tensor.layout}, {tensor.dtype}")
    held = tensor.detach().cpu()
    try:
        return _of_array(held.numpy())
    except (TypeError, RuntimeError):
        # bfloat16 and the narrow floats: numpy has none of them.
        return _of_array(held.float().numpy())


def _of_array(array: Any) -> object:  # noqa: ANN401  # numpy is not imported here
    dtype = array.dtype
    if dtype.kind == "U":
        return array.tolist()
    if dtype.kind == "S":
        return _plain_each(array.tolist())
    if dtype.kind not in _NUMBERS or dtype.itemsize > _WIDEST_BYTES:
        raise _unsupported(str(dtype))
    if dtype.kind == _FLOATS:
        _check_numbers(array)
    if array.ndim == 0:
        return array.item()
    # orjson reads what lies row by row in this machine's byte order.
    if not dtype.isnative:
        array = array.astype(dtype.newbyteorder("="))
    return array if array.flags.c_contiguous else array.copy(order="C")


def _plain_each(value: object) -> object:
    return [_plain_each(one) for one in value] if isinstance(value, list) else value


def _of_number(value: Any) -> object:  # noqa: ANN401  # a number of numpy's
    kind = value.dtype.kind
    if kind not in _NUMBERS or value.dtype.itemsize > _WIDEST_BYTES:
        raise _unsupported(str(value.dtype))
    number = value.item()
    if isinstance(number, float) and not math.isfinite(number):
        raise _not_finite(str(number), "")
    return number


def _check_numbers(array: Any, place: str = "") -> None:  # noqa: ANN401  # numpy's
    numpy = sys.modules["numpy"]
    finite = numpy.isfinite(array)
    if not finite.all():
        first = tuple(int(axis[0]) for axis in numpy.nonzero(~numpy.atleast_1d(finite)))
        inner = "".join(f"[{index}]" for index in first[: array.ndim])
        raise _not_finite(str(numpy.atleast_1d(array)[first]), place + inner)


def _check_finite(value: object, place: str, depth: int = 0) -> None:
    """Refuse numbers that were written as null."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _not_finite(str(value), place)
    elif isinstance(value, Mapping | list | tuple):
        for inner, one in _parts(value, place) if depth < _DEEPEST else ():
            _check_finite(one, inner, depth + 1)
    elif getattr(getattr(value, "dtype", None), "kind", "") == _FLOATS:
        _check_numbers(value, place)


def _parts(
    value: Mapping[Any, object] | Sequence[object], place: str
) -> Iterator[tuple[str, object]]:
    """Yield what a value holds, and where that is."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield (f"{place}[{key!r}]" if place else str(key)), one
    else:
        for index, one in enumerate(value):
            yield f"{place}[{index}]", one


def _not_finite(number: str, place: str) -> InvalidArgumentError:
    where = f" at {place}" if place else ""
    return InvalidArgumentError(
        f"the request has {number}{where}: JSON has no such number; replace it, or "
        "send None where the model takes it"
    )


def _unsupported(dtype: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"an array of dtype {dtype} has no JSON: give one of whole numbers, floats of "
        "up to 64 bits, truths or texts"
    )
