"""JSON numbers to a torch tensor, for models served without an author's handler.

Two readers with one meaning: simdjson for the usual body (floats, `instances` alone,
one rectangular array), the general parser for everything else and for every refusal.
The tests fuzz them against each other.
"""

import functools
import math
from typing import Any, Final, Protocol

import torch

from homeport.errors import InvalidArgumentError
from homeport.worker import instances, optional
from homeport.worker.instances import PREDICT_FIELDS, Fields

# Without them the general reader serves alone.
_np: Final = optional.module("numpy")
_simdjson: Final = optional.module("simdjson")
_MAX_FAST_DIMENSIONS: Final = 16  # numpy stops at 64
_ALL_BUT_BRACKETS: Final = bytes(set(range(256)) - set(b"[],"))


class Reader(Protocol):
    """Whatever reads a body; see `read`."""

    def __call__(self, body: bytes, fields: Fields = PREDICT_FIELDS) -> torch.Tensor:
        """Return the instances of a :predict body."""


def make_reader() -> Reader:
    """Return the fastest reader that this environment has; for one thread."""
    if _np is None or _simdjson is None:
        return read
    return functools.partial(_read_fast, _simdjson.Parser())


def read(body: bytes, fields: Fields = PREDICT_FIELDS) -> torch.Tensor:
    """Return the instances of a :predict body, shape (instances, ...).

    The tensor is int64 if every number is a whole one in the text, as
    `torch.as_tensor` would have it, else float32.

    Args:
        body: JSON in UTF-8.
        fields: Those that it may have.

    Raises:
        InvalidArgumentError: The body has no instances, or they are not numbers in
            lists of one shape, or it has another field.
    """
    rows = instances.parse(body, fields)
    try:
        dtype = torch.float32 if _has_float(rows) else torch.int64
        return torch.tensor(rows, dtype=dtype)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise InvalidArgumentError(
            f"the instances are not of one shape: {reason:.200}"
        ) from error


def _read_fast(
    parser: Any,  # noqa: ANN401  # untyped
    body: bytes,
    fields: Fields = PREDICT_FIELDS,
) -> torch.Tensor:
    # Text without a point is whole numbers, which need the general reader's int64.
    # simdjson skips a byte order mark, which is no JSON: hence the first byte.
    if b"." in body and body[:1] == b"{":
        tensor = _read_rectangle(parser, body)
        if tensor is not None:
            return tensor
    return read(body, fields)


def _read_rectangle(parser: Any, body: bytes) -> torch.Tensor | None:  # noqa: ANN401
    """Return the tensor, or None if the body is not of the usual form."""
    document = rows = first = None
    try:
        document = parser.parse(body)
        if len(document) != 1:
            return None
        rows = document["instances"]
        numbers = rows.as_buffer(of_type="d")
        shape = [len(rows)]
        first = rows[0]
        while isinstance(first, _simdjson.Array):
            shape.append(len(first))
            first = first[0]
        if len(shape) > _MAX_FAST_DIMENSIONS:
            return None
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError):
        # RuntimeError is an integer of more than 64 bits.
        return None
    finally:
        # The parser refuses to parse while a view of its last document is alive.
        del document, rows, first
    # as_buffer flattens whatever it finds: [[1,2],[3],[4,5,6]] would pass for (3, 2).
    if body.translate(None, _ALL_BUT_BRACKETS) != _skeleton(tuple(shape)):
        return None
    array = _np.frombuffer(numbers, _np.float64)
    # [[1.0],[]] has the brackets and commas of [[1.0],[2.0]].
    if len(array) != math.prod(shape):
        return None
    with _np.errstate(over="ignore"):
        return torch.from_numpy(array.astype(_np.float32).reshape(shape))


@functools.lru_cache(maxsize=32)
def _skeleton(shape: tuple[int, ...]) -> bytes:
    """Return the brackets and commas of a JSON array of this shape."""
    text = b""
    for size in reversed(shape):
        text = b"[" + b",".join([text] * size) + b"]"
    return text


def _has_float(rows: list[Any]) -> bool:
    """Say if a number has a fraction or an exponent; refuse what is no number."""
    found = False
    for cell in rows:
        if isinstance(cell, list):
            found |= _has_float(cell)
        elif isinstance(cell, float):
            found = True
        elif not isinstance(cell, int) or isinstance(cell, bool):
            raise InvalidArgumentError(
                f"the instances hold {cell!r:.40}: this model takes numbers, "
                "in lists of one shape"
            )
    return found
