"""The values of options as gcloud writes them: A,B and KEY=VALUE,... and @FILE.

A list that begins with ^X^ has X between its members instead of a comma. Options may be
repeated: lists are joined, of equal keys the last counts. These are click callbacks.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

import click

from homeport.errors import InvalidArgumentError
from homeport.resources.labels import check_labels

_DELIMITER_RE: Final = re.compile(r"\^([^^]+)\^")
_SHOWN: Final = 80
_MAX_PORT: Final = 65535


class Percent(click.IntRange):
    """A whole percentage, as 20 or 20%."""

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Return the number; click's texts and defaults come here."""
        number: Any = value.removesuffix("%") if isinstance(value, str) else value
        try:
            return super().convert(number, param, ctx)
        except click.BadParameter:
            self.fail(
                f"{value!r} is no whole percentage from {self.min} to {self.max}, such "
                "as 20 or 20%",
                param,
                ctx,
            )


def items(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the members of A,B,C."""
    del ctx, parameter
    return tuple(member for value in values for member in _members(value))


def pairs(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Return KEY=VALUE,KEY=VALUE as a dict."""
    found: dict[str, str] = {}
    for member in items(ctx, parameter, values):
        key, separator, value = member.partition("=")
        if not separator or not key:
            raise click.BadParameter(f"{member!r} is not KEY=VALUE", param=parameter)
        found[key] = value
    return found


def labels(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Return KEY=VALUE,... that may be labels."""
    found = pairs(ctx, parameter, values)
    try:
        check_labels(found)
    except InvalidArgumentError as error:
        raise click.BadParameter(error.message, param=parameter) from error
    return found


def numbers(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, int]:
    """Return NAME=NUMBER,... as whole numbers."""
    found = pairs(ctx, parameter, values)
    for key, value in found.items():
        if not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII):
            raise click.BadParameter(
                f"{key}={value}: {value!r} is not a whole number", param=parameter
            )
    return {key: int(value) for key, value in found.items()}


def ports(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[int, ...]:
    """Return PORT,... as numbers of ports."""
    found = items(ctx, parameter, values)
    for text in found:
        if not re.fullmatch(r"[1-9][0-9]{0,4}", text, re.ASCII):
            raise click.BadParameter(f"{text!r} is no port", param=parameter)
        if int(text) > _MAX_PORT:
            raise click.BadParameter(
                f"port {text} is above the highest, {_MAX_PORT}", param=parameter
            )
    return tuple(map(int, found))


def content(text: str, option: str) -> bytes:
    """Return what @FILE holds, @- brings, or the text itself.

    Raises:
        InvalidArgumentError: The file cannot be read.
    """
    if not text.startswith("@"):
        return text.encode()
    return read(text[1:], option)


def read(name: str, option: str) -> bytes:
    """Return what a file holds; `-` is standard input.

    Raises:
        InvalidArgumentError: It cannot be read.
    """
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no name of a file"
        raise InvalidArgumentError(
            f"{option} {name[:_SHOWN]}: cannot be read ({reason})"
        ) from error


def document(found: bytes, option: str) -> Any:
    """Return what JSON text says.

    Raises:
        InvalidArgumentError: It is none.
    """
    try:
        return json.loads(found)
    except json.JSONDecodeError as error:
        raise InvalidArgumentError(
            f"{option}: not JSON: {error.msg} at line {error.lineno} column "
            f"{error.colno}"
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgumentError(f"{option}: not JSON ({error})") from error


def _members(value: str) -> list[str]:
    match = _DELIMITER_RE.match(value)
    delimiter = match[1] if match else ","
    rest = value[match.end() :] if match else value
    return [one for one in rest.split(delimiter) if one]
