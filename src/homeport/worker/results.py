"""What a handler may return: a list with one result for each row."""

from typing import Any

from homeport.errors import HandlerError


def checked(results: object, expected: int, unit: str) -> list[Any]:
    """Return `results`, which a handler returned for `expected` rows.

    Args:
        results: What it returned.
        expected: How many rows it was given.
        unit: What one row is, for people.

    Raises:
        HandlerError: It is no list of that length.
    """
    if not isinstance(results, list):
        raise HandlerError(
            f"the handler returned {_named(results)} for {_count(expected, unit)}: "
            "return a list with one prediction for each"
        )
    if len(results) != expected:
        raise count_error("handler", len(results), expected, unit)
    return results


def count_error(
    who: str, returned: int, expected: int, unit: str = "instance"
) -> HandlerError:
    """Return the error of a handler or model with the wrong number of results."""
    results = "1 result" if returned == 1 else f"{returned} results"
    return HandlerError(
        f"the {who} returned {results} for {_count(expected, unit)}: "
        f"return one prediction for each {unit}"
    )


def _count(number: int, unit: str) -> str:
    return f"1 {unit}" if number == 1 else f"{number} {unit}s"


def _named(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
