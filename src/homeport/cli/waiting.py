"""Waiting for what a server does: shown on a terminal, left without loss by Ctrl-C."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

import click

from homeport.cli import options
from homeport.client.connection import Connection
from homeport.client.resources import Document
from homeport.errors import HomeportError

_F = TypeVar("_F", bound=Callable[..., Any])
# Checks take their turns, and build environments.
LONGEST_S: Final = 3600.0


def option(command: _F) -> _F:
    """Add --wait/--async to a command."""
    return click.option(
        "--wait/--async",
        "wait",
        default=True,
        show_default=True,
        help="Wait for the end, or print the name of the operation at once.",
    )(command)


@contextlib.contextmanager
def shown(what: str) -> Iterator[None]:
    """Show, on a terminal alone, what is waited for."""
    if not sys.stderr.isatty():
        yield
        return
    # Deferred: 60 ms that only somebody who looks needs.
    from rich.console import Console  # noqa: PLC0415

    with Console(stderr=True).status(what):
        yield


class Told(KeyboardInterrupt):
    """Ctrl-C, with the sentence that says how to go on."""


@contextlib.contextmanager
def telling(note: str) -> Iterator[None]:
    """Where Ctrl-C breaks off what is within, let this be said of how to go on.

    Of several the innermost counts.
    """
    try:
        yield
    except Told:
        raise
    except KeyboardInterrupt as interrupt:
        raise Told(note) from interrupt


@contextlib.contextmanager
def beginning(connection: Connection) -> Iterator[None]:
    """Begin an operation, and conclude it: what Ctrl-C left of it is not known here."""
    there = options.naming(connection.address)
    with telling(
        f"the server may have begun it: `homeport operations list{there} --limit 1` "
        "shows the newest operation"
    ):
        yield


def for_operation(
    connection: Connection,
    operation: Document,
    what: str,
    *,
    timeout_s: float = LONGEST_S,
) -> Mapping[str, Any]:
    """Return an operation once it has ended well; tell how to go on after Ctrl-C.

    Raises:
        HomeportError: It failed, as the class of its code.
        DeadlineExceededError: It has not ended in time.
    """
    there = options.naming(connection.address)
    note = (
        f"{operation['name']} goes on in the server: `homeport operations wait{there} "
        f"{operation['name']}` waits for it, `homeport operations cancel{there} "
        f"{operation['name']}` ends it"
    )
    with telling(note), shown(what):
        return connection.ended(operation, timeout_s)


def for_others(
    connection: Connection,
    operations: Iterable[Document],
    what: str,
    *,
    timeout_s: float = LONGEST_S,
) -> None:
    """Wait until operations that somebody else began have ended, well or not.

    Args:
        connection: The server.
        operations: Each is named as it is waited for.
        what: What they do, behind their names.
        timeout_s: For all of them together; then those that are left are let be.
    """
    deadline = time.monotonic() + timeout_s
    for operation in operations:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return
        name = operation["name"]
        click.echo(f"waiting     {name} {what}", err=True)
        with contextlib.suppress(HomeportError), shown(f"{name} ends"):
            connection.ended(operation, left_s)


def conclude(
    connection: Connection, operation: Document, what: str, *, wait: bool
) -> Mapping[str, Any] | None:
    """Wait for an operation, or print its name and return None.

    What had no effect is printed as warnings.

    Raises:
        HomeportError: It failed, as the class of its code.
        DeadlineExceededError: It has not ended in time.
    """
    if not wait:
        click.echo(operation["name"])
        return None
    ended = for_operation(connection, operation, what)
    generic = ended.get("metadata", {}).get("genericMetadata", {})
    for one in generic.get("partialFailures", ()):
        click.echo(f"warning     {one['message']}", err=True)
    return ended
