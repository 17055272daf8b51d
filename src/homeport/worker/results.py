"""What a handler may return: a list with one result for each row."""

from collections.abc import Sequence
from typing import Any, Final

from homeport.errors import HandlerError

# What the caller can do whose one row of numbers was taken for as many instances.
WRAP: Final = "if the numbers are one instance, wrap it in a list: [[...]]"


def checked(
    results: object, expected: int, unit: str, rows: Sequence[object] = ()
) -> list[Any]:
    """Return `results`, which a handler returned for `expected` rows.

    Args:
        results: What it returned.
        expected: How many rows it was given.
        unit: What one row is, for people.
        rows: What it was given, as it left them.

    Raises:
        HandlerError: It is no list of that length.
    """
    if not isinstance(results, list):
        raise HandlerError(
            f"the handler returned {_named(results)} for {_count(expected, unit)}: "
            "return a list with one prediction for each"
        )
    if len(results) != expected:
        raise count_error(
            "handler", len(results), expected, unit, bare=_are_numbers(rows)
        )
    return results


def count_error(
    who: str,
    returned: int,
    expected: int,
    unit: str = "instance",
    *,
    bare: bool = False,
) -> HandlerError:
    """Return the error of a handler or model with the wrong number of results.

    Args:
        who: Which of the two.
        returned: How many results there are.
        expected: How many rows there were.
        unit: What one row is, for people.
        bare: Whether each row was a number, as those of a row that was not wrapped.
    """
    results = "1 result" if returned == 1 else f"{returned} results"
    hint = f"; {WRAP}" if bare else ""
    return HandlerError(
        f"the {who} returned {results} for {_count(expected, unit)}: "
        f"return one prediction for each {unit}{hint}"
    )


def _are_numbers(rows: Sequence[object]) -> bool:
    return bool(rows) and all(isinstance(row, int | float) for row in rows)


def _count(number: int, unit: str) -> str:
    return f"1 {unit}" if number == 1 else f"{number} {unit}s"


def _named(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
