"""What a handler returned, as the JSON array of a reply.

One prediction is a JSON value, a torch tensor, a numpy array or number, or bytes,
which become `{"b64": "..."}`. NaN and infinity are not JSON: they fail the request.
"""

import base64
import json
import math
import sys
from collections.abc import Sequence
from typing import Any, Final

from homeport.errors import HandlerError
from homeport.worker import optional

# An environment without it serves too, slower.
_orjson: Final = optional.module("orjson")


def render(predictions: object) -> bytes:
    """Return `predictions` (a list, or an array with one row for each) as JSON.

    Raises:
        HandlerError: Something in it is no JSON value, or is NaN or infinite.
    """
    if _orjson is None:
        return _render_slowly(predictions)
    try:
        text: bytes = _orjson.dumps(
            predictions,
            default=_plain,
            option=_orjson.OPT_SERIALIZE_NUMPY
            | _orjson.OPT_PASSTHROUGH_DATACLASS
            | _orjson.OPT_PASSTHROUGH_DATETIME,
        )
    except (TypeError, ValueError, RecursionError):
        # Keys that are numbers and integers over 64 bits come here; the standard
        # library decides, and its reason is the one reported.
        return _render_slowly(predictions)
    # orjson writes null for NaN; without a null there was none.
    if b"null" in text and _has_nan(predictions):
        raise _nan_error()
    return text


def _render_slowly(predictions: object) -> bytes:
    try:
        return json.dumps(
            predictions, default=_plain, allow_nan=False, separators=(",", ":")
        ).encode()
    except TypeError as error:
        raise HandlerError(f"the handler returned no JSON: {error}") from error
    except (ValueError, RecursionError) as error:
        if not isinstance(error, RecursionError) and not _is_endless(predictions):
            raise _nan_error() from error
        raise HandlerError(
            "the handler returned no JSON: a prediction contains itself, or is nested "
            "too deeply"
        ) from error


def _is_endless(predictions: object) -> bool:
    try:
        _has_nan(predictions)
    except RecursionError:
        return True
    return False


def _plain(value: object) -> object:
    """Return a JSON value for what is none by itself, as `default=` asks for it."""
    if isinstance(value, bytes | bytearray | memoryview):
        return {"b64": base64.b64encode(value).decode("ascii")}
    if _is_array(value):
        return value.tolist()  # type: ignore[attr-defined]  # arrays have it
    raise TypeError(
        f"a value of type {type(value).__name__} cannot be sent; convert it in "
        "postprocess"
    )


def _is_array(value: object) -> bool:
    """Say if it is numpy's or torch's, without importing what is not yet there."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None and isinstance(value, torch.Tensor):
        return True
    return numpy is not None and isinstance(value, numpy.ndarray | numpy.generic)


def _has_nan(value: Any) -> bool:  # noqa: ANN401  # whatever a handler returned
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(_has_nan, value.values()))
    if _is_array(value):
        return _has_nan(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return any(map(_has_nan, value))
    return False


def _nan_error() -> HandlerError:
    return HandlerError(
        "a prediction is NaN or infinite, which JSON cannot hold: "
        "check the input's range, or replace such values in postprocess"
    )
