"""How an endpoint's traffic is divided when a model comes to it."""

from collections.abc import Mapping
from typing import Final

from homeport.errors import InvalidArgumentError

# How a request names the model that it deploys.
NEW: Final = "0"
_WHOLE: Final = 100


def check(percentage: int) -> None:
    """Refuse what no share of an endpoint's traffic can be.

    Raises:
        InvalidArgumentError: It is no percentage.
    """
    if not 0 <= percentage <= _WHOLE:
        raise InvalidArgumentError(
            f"traffic_percentage is {percentage}: give a number from 0 to {_WHOLE}"
        )


def with_new(split: Mapping[str, int], percentage: int) -> dict[str, int]:
    """Return percentages that give the new model its own and keep the others' shares.

    They sum to 100. An endpoint without traffic gives all to the new model.

    Args:
        split: The percentages by deployed model, as they are.
        percentage: The new model's, 0 to 100.

    Raises:
        InvalidArgumentError: It is no percentage.
    """
    check(percentage)
    if not sum(split.values()):
        return {NEW: _WHOLE}
    left = _WHOLE - percentage
    shares = {model: before * left // _WHOLE for model, before in split.items()}
    # What rounding leaves goes to those that lost most by it.
    lost = sorted(split, key=lambda model: (-(split[model] * left % _WHOLE), model))
    for model in lost[: left - sum(shares.values())]:
        shares[model] += 1
    return {**shares, NEW: percentage}
