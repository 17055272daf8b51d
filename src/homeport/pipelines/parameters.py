"""What a pipeline hands over, in the types that were meant.

Lists and structs reach a step as protobuf's Struct, whose numbers are all floats:
8080 arrives as 8080.0.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

from homeport.errors import InvalidArgumentError

_MAX_PORT: Final = 65535
# Kubernetes' C_IDENTIFIER, which Vertex AI demands of a container's variables.
_VARIABLE_RE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def required(name: str, text: str) -> str:
    """Return a text that has to say something, without blanks around it.

    Raises:
        InvalidArgumentError: It says nothing.
    """
    if not text.strip():
        raise InvalidArgumentError(f"{name} is empty: give it a value")
    return text.strip()


def names(text: str) -> tuple[str, ...]:
    """Return the names of a list that is separated by commas."""
    parts = (part.strip() for part in text.split(","))
    return tuple(part for part in parts if part)


def ports(values: Sequence[object]) -> tuple[int, ...]:
    """Return ports, which may have come as floats or texts.

    Raises:
        InvalidArgumentError: One is no whole number from 1 to 65535.
    """
    return tuple(map(_port, values))


def words(name: str, values: Sequence[object]) -> tuple[str, ...]:
    """Return the words of a list: texts as they are, numbers as they were typed.

    Raises:
        InvalidArgumentError: One is neither.
    """
    return tuple(_text(name, value) for value in values)


def variables(values: Mapping[str, object]) -> dict[str, str]:
    """Return environment variables by name, in the order given.

    Raises:
        InvalidArgumentError: A name that no variable can have, or a value that is
            neither text nor number.
    """
    for name in values:
        if not _VARIABLE_RE.fullmatch(name):
            raise InvalidArgumentError(
                f"serving_environment_vars has {name!r:.80}, which no variable can be "
                "called: use letters, digits and _, and no digit in front"
            )
    return {
        name: _text(f"serving_environment_vars[{name!r}]", value)
        for name, value in values.items()
    }


def _port(value: object) -> int:
    number = _number(value)
    if number is None or not 1 <= number <= _MAX_PORT:
        raise InvalidArgumentError(
            f"serving_container_ports has {value!r:.80}: give whole numbers from 1 to "
            f"{_MAX_PORT}, such as [8080]"
        )
    return number


def _number(value: object) -> int | None:
    """Return a whole number however it came, None if it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"\d{1,9}", value.strip(), re.ASCII) else None
    return value if isinstance(value, int) else None


def _text(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        whole = _number(value)
        if whole is not None:
            return str(whole)
        if math.isfinite(value):
            return repr(value)
    raise InvalidArgumentError(
        f"{name} has {value!r:.80}, which is neither text nor a number: give it as text"
    )
