"""The options that say which machine each replica asks for."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from homeport.cli import values

_F = TypeVar("_F", bound=Callable[..., Any])


def options(command: _F) -> _F:
    """Add --machine-type and --accelerator to a command."""
    for option in (
        click.option(
            "--accelerator",
            multiple=True,
            callback=values.pairs,
            metavar="type=TYPE,count=COUNT",
            help="GPUs that each replica is given.",
        ),
        click.option(
            "--machine-type",
            help="Limits containers; refused by --strict-resources where it is larger "
            "than the host.",
        ),
    ):
        command = option(command)
    return command


def machine_spec(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the machine that a command's values name, and nothing else.

    Raises:
        UsageError: The accelerator is none.
    """
    machine = {"machineType": given["machine_type"]} if given["machine_type"] else {}
    accelerator: dict[str, str] = given["accelerator"]
    if not accelerator:
        return machine
    if accelerator.keys() - {"type", "count"} or "type" not in accelerator:
        raise click.UsageError(
            "--accelerator is type=TYPE,count=COUNT, such as type=nvidia-l4,count=1"
        )
    count = accelerator.get("count", "1")
    if not count.isascii() or not count.isdecimal() or count == "0":
        raise click.UsageError(f"--accelerator: count={count} is no number from 1 on")
    kind = accelerator["type"].upper().replace("-", "_")
    return {**machine, "acceleratorType": kind, "acceleratorCount": count}
