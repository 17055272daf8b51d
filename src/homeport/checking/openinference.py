"""Instances as the named tensors of the Open Inference Protocol, and back.

KServe's first protocol and Vertex AI have rows (`instances`), the second has tensors
(`inputs`): one for all rows, or one for each column of rows that are objects.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from homeport.errors import InvalidArgumentError

_ONE_NAME: Final = "input-0"


def to_inputs(instances: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the tensors that say what these rows say, their data flat.

    Numbers become INT64 or FP64, truth values BOOL, texts and binary values BYTES (the
    latter as base64 text, which JSON can hold).

    Raises:
        InvalidArgumentError: The rows differ in shape or kind.
    """
    first = instances[0]
    if isinstance(first, dict) and set(first) != {"b64"}:
        return [
            _column(name, [_cell(row, name, set(first)) for row in instances])
            for name in first
        ]
    return [_column(_ONE_NAME, list(instances))]


def to_instances(inputs: Sequence[Any]) -> list[Any]:
    """Return one row for each index of the tensors' first dimension.

    Raises:
        InvalidArgumentError: A tensor is none, or the tensors differ in their rows.
    """
    columns: dict[str, list[Any]] = {}
    for element in inputs:
        read = tensor(element)
        columns[read.name] = shaped(read.data, read.shape)
    counts = {len(column) for column in columns.values()}
    if len(counts) != 1:
        raise InvalidArgumentError(
            f"the inputs {', '.join(columns)} have {_joined(counts)} rows: rows of "
            "instances need the same number in each"
        )
    if len(columns) == 1:
        return next(iter(columns.values()))
    cells = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in cells]


@dataclasses.dataclass(frozen=True, slots=True)
class Tensor:
    """One element of `inputs`.

    Attributes:
        name: Its name.
        shape: Its lengths.
        datatype: Such as FP32 or BYTES.
        data: Its values, flat or nested.
    """

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


def tensor(element: object) -> Tensor:
    """Return one element of `inputs`, which comes as JSON.

    Raises:
        InvalidArgumentError: A part is missing or of another kind.
    """
    match element:
        case {
            "name": str() as name,
            "shape": list() as shape,
            "datatype": str() as datatype,
            "data": list() as data,
        } if all(isinstance(length, int) for length in shape):
            return Tensor(name, shape, datatype, data)
        case _:
            raise InvalidArgumentError(
                'an element of "inputs" lacks name, shape, datatype or data: give all '
                "four"
            )


def shaped(data: Iterable[Any], shape: Sequence[int]) -> list[Any]:
    """Return values, nested or flat, as lists nested to `shape`.

    As in an array they are of one kind: beside a number with a fraction all have one.

    Raises:
        InvalidArgumentError: There are more or fewer than the shape holds.
    """
    values = _alike(list(_flat(data)))
    if not shape or min(shape) < 0 or math.prod(shape) != len(values):
        raise InvalidArgumentError(
            f"{len(values)} values have not the shape {list(shape)}: give as many as "
            "it holds"
        )
    for length in reversed(shape[1:]):
        # A dimension of no length leaves nothing to cut.
        step = max(length, 1)
        values = [values[at : at + step] for at in range(0, len(values), step)]
    return values


def _column(name: str, column: list[Any]) -> dict[str, Any]:
    if all(isinstance(cell, dict) and set(cell) == {"b64"} for cell in column):
        column = [cell["b64"] for cell in column]
    shape = _shape(column)
    values = list(_flat(column))
    return {
        "name": name,
        "shape": shape,
        "datatype": _datatype(values),
        "data": values,
    }


def _cell(row: object, name: str, names: set[str]) -> object:
    if not isinstance(row, dict) or set(row) != names:
        raise _no_tensor("the rows have not all the same columns")
    return row[name]


def _shape(value: object) -> list[int]:
    """Return the lengths of nested lists; all on one level must agree."""
    if not isinstance(value, list):
        return []
    below = [_shape(each) for each in value]
    if any(each != below[0] for each in below):
        raise _no_tensor("the rows are not all of one shape")
    return [len(value), *(below[0] if below else [])]


def _datatype(values: Sequence[object]) -> str:
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return "BOOL"
    if kinds == {int}:
        return "INT64"
    if kinds and kinds <= {int, float}:
        return "FP64"
    if kinds == {str}:
        return "BYTES"
    raise _no_tensor("the rows hold other than numbers, or other than texts")


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _alike(values: list[Any]) -> list[Any]:
    if any(isinstance(value, str) for value in values):
        return [str(value) for value in values]
    if any(isinstance(value, float) for value in values):
        return [float(value) for value in values]
    if any(type(value) is int for value in values):
        return [int(value) for value in values]
    return values


def _no_tensor(reason: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{reason}, so the Open Inference Protocol has no tensor for them: send "
        "numbers, or texts, of one shape"
    )


def _joined(counts: Iterable[int]) -> str:
    return " and ".join(map(str, sorted(counts)))
