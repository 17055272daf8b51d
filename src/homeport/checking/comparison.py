"""Predictions against the expected ones: the first place where they differ."""

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any, Final

from homeport.archive.golden import Golden

_SHOWN_CHARACTERS: Final = 80
_MISSING: Final = object()


@dataclasses.dataclass(frozen=True, slots=True)
class Tolerances:
    """By how much two numbers may differ and still be equal.

    Attributes:
        relative: As a part of the larger of the two.
        absolute: Whatever their size.
    """

    relative: float
    absolute: float


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One place where two values differ.

    Attributes:
        path: Where, as in `predictions[0].label`.
        expected: What should be there, as JSON, cut short.
        actual: What is there.
    """

    path: str
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"{self.path} is {self.actual} where {self.expected} was expected"


def differs(golden: Golden, predictions: Sequence[Any]) -> Difference | None:
    """Return the first place where predictions are not those a sample should have.

    None if they are, or if the sample says nothing of them.
    """
    if golden.predictions is None:
        return None
    return first_difference(golden.predictions, predictions, tolerances_of(golden))


def tolerances_of(golden: Golden) -> Tolerances:
    """Return by how much the numbers of a sample's predictions may differ."""
    return Tolerances(golden.relative_tolerance, golden.absolute_tolerance)


def first_difference(
    expected: Any,  # noqa: ANN401  # any JSON value
    actual: Any,  # noqa: ANN401
    tolerances: Tolerances,
    path: str = "predictions",
) -> Difference | None:
    """Return the first place where two JSON values differ, None if they are equal.

    Numbers are compared with the tolerances, whether whole or not; everything else
    exactly, and true is no number.

    Args:
        expected: What should be there.
        actual: What is there.
        tolerances: For numbers.
        path: What the values are called.
    """
    try:
        return _first(expected, actual, tolerances, path)
    except RecursionError:
        return Difference(path, "a value to compare", "nested too deeply")


def _first(
    expected: Any,  # noqa: ANN401
    actual: Any,  # noqa: ANN401
    tolerances: Tolerances,
    path: str,
) -> Difference | None:
    if isinstance(expected, dict) and isinstance(actual, dict):
        return _first_of_objects(expected, actual, tolerances, path)
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        return _first_of_lists(expected, actual, tolerances, path)
    if _equal(expected, actual, tolerances):
        return None
    return Difference(path, _shown(expected), _shown(actual))


def _first_of_objects(
    expected: dict[str, Any], actual: dict[str, Any], tolerances: Tolerances, path: str
) -> Difference | None:
    for key in (*expected, *(key for key in actual if key not in expected)):
        one, other = expected.get(key, _MISSING), actual.get(key, _MISSING)
        found = _first(one, other, tolerances, f"{path}{_step(key)}")
        if found is not None:
            return found
    return None


def _first_of_lists(
    expected: Sequence[Any], actual: Sequence[Any], tolerances: Tolerances, path: str
) -> Difference | None:
    for index, (one, other) in enumerate(zip(expected, actual, strict=False)):
        found = _first(one, other, tolerances, f"{path}[{index}]")
        if found is not None:
            return found
    if len(expected) == len(actual):
        return None
    return Difference(f"the length of {path}", str(len(expected)), str(len(actual)))


def _equal(expected: object, actual: object, tolerances: Tolerances) -> bool:
    if not _is_number(expected) or not _is_number(actual):
        return type(expected) is type(actual) and expected == actual
    if expected == actual:
        return True
    try:
        return math.isclose(
            float(expected),  # type: ignore[arg-type]  # a number
            float(actual),  # type: ignore[arg-type]
            rel_tol=tolerances.relative,
            abs_tol=tolerances.absolute,
        )
    except OverflowError:
        return False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _step(key: str) -> str:
    return f".{key}" if key.isidentifier() else f"[{json.dumps(key)}]"


def _shown(value: object) -> str:
    if value is _MISSING:
        return "nothing"
    text = json.dumps(value, default=str)
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    return f"{text[:_SHOWN_CHARACTERS]}..."
