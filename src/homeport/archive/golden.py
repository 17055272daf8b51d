"""MAR-INF/golden.json: a sample request, and the predictions it should have.

It travels in the archive, so it is hostile input as the rest. A law:
`parse(serialize(golden)) == golden`.
"""

import dataclasses
import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from homeport.errors import InvalidArgumentError

PATH: Final = "MAR-INF/golden.json"
MAX_BYTES: Final = 10 << 20
RELATIVE_TOLERANCE: Final = 1e-5
ABSOLUTE_TOLERANCE: Final = 1e-6
_MAX_DEPTH: Final = 64
_KEYS: Final = frozenset(
    {"request", "predictions", "relativeTolerance", "absoluteTolerance"}
)


@dataclasses.dataclass(frozen=True, slots=True)
class Golden:
    """A sample of a model's work.

    Attributes:
        request: The body of a :predict request, with at least one instance.
        predictions: What it should be answered with, None if nobody said.
        relative_tolerance: By how much a number may differ, as a part of the larger.
        absolute_tolerance: By how much any number may differ.
    """

    request: Mapping[str, Any]
    predictions: tuple[Any, ...] | None = None
    relative_tolerance: float = RELATIVE_TOLERANCE
    absolute_tolerance: float = ABSOLUTE_TOLERANCE

    def __post_init__(self) -> None:
        _check_request(self.request)
        if self.predictions is not None:
            _check_depth(list(self.predictions), "predictions")
        for name, value in (
            ("relativeTolerance", self.relative_tolerance),
            ("absoluteTolerance", self.absolute_tolerance),
        ):
            if not 0 <= value < math.inf:
                raise _invalid(f"{name} is {value!r:.20}: give a number, at least 0")

    @property
    def instances(self) -> list[Any]:
        """The request's instances, at least one."""
        found: list[Any] = self.request["instances"]
        return found

    @property
    def body(self) -> bytes:
        """The request as a client sends it."""
        return json.dumps(self.request, allow_nan=False).encode()


def parse(text: bytes) -> Golden:
    """Return what `text`, a golden.json, holds.

    Raises:
        InvalidArgumentError: Over 10 MiB, not JSON, nested over 64 levels, or a key is
            missing, unknown or of the wrong kind; the message names the key.
    """
    document = _load(text)
    unknown = sorted(document.keys() - _KEYS)
    if unknown:
        raise _invalid(f"{unknown[0]!r:.80} is no key of it: leave it out")
    request = document.get("request")
    if not isinstance(request, dict):
        raise _invalid('request is missing or no object: give {"instances": [...]}')
    return expecting(Golden(request), document)


def read(directory: pathlib.Path) -> Golden | None:
    """Return the sample of an archive laid out in `directory`, None if it has none.

    Raises:
        InvalidArgumentError: As `parse`.
    """
    try:
        with (directory / PATH).open("rb") as file:
            return parse(file.read(MAX_BYTES + 1))
    except FileNotFoundError:
        return None


def expecting(sample: Golden, document: Mapping[str, Any]) -> Golden:
    """Return the sample with the predictions and tolerances of a JSON object.

    Raises:
        InvalidArgumentError: One of them is of the wrong kind.
    """
    predictions = document.get("predictions")
    if predictions is not None and not isinstance(predictions, list):
        raise _invalid("predictions is no list: give one for each instance")
    return Golden(
        sample.request,
        None if predictions is None else tuple(predictions),
        _number(document, "relativeTolerance", RELATIVE_TOLERANCE),
        _number(document, "absoluteTolerance", ABSOLUTE_TOLERANCE),
    )


def serialize(golden: Golden) -> bytes:
    """Return `golden` as a golden.json; equal ones give equal bytes.

    Raises:
        InvalidArgumentError: It is over 10 MiB, or something in it is no JSON.
    """
    document = {
        "request": golden.request,
        "predictions": golden.predictions,
        "relativeTolerance": golden.relative_tolerance,
        "absoluteTolerance": golden.absolute_tolerance,
    }
    try:
        text = json.dumps(document, sort_keys=True, allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise _invalid(f"the sample is no JSON ({error})") from error
    _check_size(text)
    return text


def _load(text: bytes) -> dict[str, Any]:
    _check_size(text)
    try:
        document = json.loads(
            text.decode("utf-8-sig"),
            parse_float=_finite,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError) as error:
        raise _invalid(f"it is not valid JSON ({error!s:.200})") from error
    if not isinstance(document, dict):
        raise _invalid('it holds no JSON object such as {"request": {...}}')
    return document


def _check_size(text: bytes) -> None:
    if len(text) > MAX_BYTES:
        raise _invalid(
            f"it has {len(text)} bytes, the limit is {MAX_BYTES}: "
            "give a sample with fewer or smaller instances"
        )


def _check_request(request: Mapping[str, Any]) -> None:
    instances = request.get("instances")
    if not isinstance(instances, list) or not instances:
        raise _invalid(
            "the request has no list of instances with something in it: "
            'give {"instances": [...]}'
        )
    _check_depth(dict(request), "request")


def _check_depth(value: object, name: str) -> None:
    """Refuse what would exhaust the stack of whoever walks through it."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise _invalid(f"{name} is nested over {_MAX_DEPTH} levels deep: flatten it")


def _inside(value: object) -> list[object]:
    match value:
        case dict():
            return list(value.values())
        case list():
            return value
        case _:
            return []


def _number(document: Mapping[str, Any], key: str, default: float) -> float:
    value = document.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid(f"{key} is {value!r:.20}: give a number, at least 0")
    try:
        return float(value)
    except OverflowError as error:
        raise _invalid(f"{key} is out of range: give a number, at least 0") from error


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits:.20} is out of range")
    return number


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")


def _invalid(problem: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{PATH}: {problem}")
