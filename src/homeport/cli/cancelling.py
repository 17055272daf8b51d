"""Ending what a server does, and telling what came of that."""

import dataclasses
import time
from collections.abc import Callable
from typing import Final

import click

from homeport.cli import options, waiting
from homeport.client import resources
from homeport.client.connection import Connection
from homeport.client.resources import Document

# What can be ended ends within moments; what cannot goes on.
_MOMENT_S: Final = 10.0
_PAUSE_S: Final = 0.1


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """What is ended.

    Attributes:
        state: Returns its state, in a word.
        has_ended: Tells whether that is the last one.
        wait: The words of the command that waits for it.
    """

    state: Callable[[Document], str]
    has_ended: Callable[[Document], bool]
    wait: str


def cancel(connection: Connection, name: str, kind: Kind) -> None:
    """Ask the server to end something, and print how it ended, if it soon does."""
    had_ended = kind.has_ended(resources.get(connection, name))
    connection.post(f"/v1/{name}:cancel", {})
    found = _ended(connection, name, kind)
    if not kind.has_ended(found):
        there = options.naming(connection.address)
        click.echo(
            f"asked       {name} to end: `homeport {kind.wait}{there} {name}` tells "
            "how it does"
        )
        return
    before = ", which had ended before" if had_ended else ""
    click.echo(f"{kind.state(found):<11} {name}{before}")


def _ended(connection: Connection, name: str, kind: Kind) -> Document:
    deadline = time.monotonic() + _MOMENT_S
    with waiting.shown("it ends"):
        found = resources.get(connection, name)
        while not kind.has_ended(found) and time.monotonic() < deadline:
            time.sleep(_PAUSE_S)
            found = resources.get(connection, name)
    return found
