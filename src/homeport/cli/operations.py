"""`homeport operations`: what a server does that takes its time."""

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from homeport.cli import cancelling, listing, options, output, waiting
from homeport.cli.cancelling import Kind
from homeport.cli.output import Column, Output
from homeport.client import resources
from homeport.client.connection import Connection
from homeport.client.resources import Document
from homeport.errors import Code, InvalidArgumentError

_ID_RE: Final = re.compile(r"[\w-]+", re.ASCII)
_FULL_RE: Final = re.compile(
    r"projects/[^/]+/locations/[^/]+/(?:(?:models|endpoints)/[^/]+/)?operations/[^/]+"
)
_F = TypeVar("_F", bound=Callable[..., Any])


def _state(operation: Document) -> str:
    if not operation.get("done"):
        return "RUNNING"
    error = operation.get("error")
    return Code(error["code"]).name if error else "DONE"


_COLUMNS: Final[tuple[Column, ...]] = (
    ("OPERATION", lambda one: output.last_segment(one["name"])),
    ("OF", lambda one: one["name"].partition("/operations/")[0].split("/", 4)[-1]),
    ("STATE", _state),
    ("BEGUN", lambda one: _generic(one).get("createTime")),
    ("UPDATED", lambda one: _generic(one).get("updateTime")),
)
_STAGES: Final[tuple[Column, ...]] = (
    ("STAGE", lambda one: one["stage"]),
    ("SINCE", lambda one: one["time"]),
)
_KIND: Final = Kind(_state, lambda one: bool(one.get("done")), "operations wait")


@click.group()
def operations() -> None:
    """See, wait for, cancel and forget what the server does that takes its time.

    OPERATION is an id or a full name, as --async prints it.
    """


def _of(command: _F) -> _F:
    for option in (
        click.option("--endpoint", help="Whose operation it is, if one's."),
        click.option("--model", help="Whose operation it is, if one's."),
    ):
        command = option(command)
    return command


@operations.command("list")
@_of
@listing.options("'done=false'")
@output.option()
@options.server_options
def list_operations(*, form: Output, **given: Any) -> None:
    """List operations, the newest first; those of one model or endpoint, if named."""
    asked = listing.asked(given)
    with options.connection(given) as connection:
        path = f"{_place(connection, given)}/operations"
        output.show_list(resources.listed(connection, path, asked), form, _COLUMNS)


@operations.command("describe")
@click.argument("operation")
@_of
@output.option(Output.YAML)
@options.server_options
def describe(operation: str, *, form: Output, **given: Any) -> None:
    """Show everything the server tells of OPERATION."""
    with options.connection(given) as connection:
        found = resources.get(connection, _name(connection, operation, given))
    output.show(found, form, _COLUMNS)


@operations.command("wait")
@click.argument("operation")
@_of
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=waiting.LONGEST_S,
    show_default=True, help="Seconds.",
)  # fmt: skip
@output.option(Output.YAML)
@options.server_options
def wait(operation: str, *, timeout: float, form: Output, **given: Any) -> None:
    """Wait until OPERATION has ended, and show it; one that failed is an error."""
    with options.connection(given) as connection:
        found = resources.get(connection, _name(connection, operation, given))
        ended = waiting.for_operation(
            connection, found, "the server is at it", timeout_s=timeout
        )
    output.show(ended, form, _COLUMNS)


@operations.command("cancel")
@click.argument("operation")
@_of
@options.server_options
def cancel(operation: str, **given: Any) -> None:
    """End OPERATION, and say how it ended; one that has ended stays as it is."""
    with options.connection(given) as connection:
        name = _name(connection, operation, given)
        cancelling.cancel(connection, name, _KIND)


@operations.command("delete")
@click.argument("operation")
@_of
@options.server_options
def delete(operation: str, **given: Any) -> None:
    """Forget OPERATION, which has ended; what it made stays."""
    with options.connection(given) as connection:
        name = _name(connection, operation, given)
        connection.delete(f"/v1/{name}")
    click.echo(f"deleted     {name}")


@operations.command("stages")
@click.argument("operation")
@_of
@output.option(named=False)
@options.server_options
def stages(operation: str, *, form: Output, **given: Any) -> None:
    """List what a deployment, OPERATION of an endpoint, has come to, and when."""
    with options.connection(given) as connection:
        name = _name(connection, operation, given)
        if "/endpoints/" not in name:
            raise InvalidArgumentError(
                f"{name} is no deployment: name one of an endpoint, with --endpoint or "
                "in full"
            )
        told = connection.get(f"/homeport/v1/{name}/stages")["stages"]
    output.show_list(told, form, _STAGES)


def _place(connection: Connection, given: dict[str, Any]) -> str:
    """Return the full name of what the operations belong to.

    Raises:
        UsageError: Two are named.
    """
    model, endpoint = given["model"], given["endpoint"]
    if model and endpoint:
        raise click.UsageError("give either --model or --endpoint")
    if model:
        return resources.find(connection, "models", model)
    if endpoint:
        return resources.find(connection, "endpoints", endpoint)
    return connection.address.parent


def _name(connection: Connection, wanted: str, given: dict[str, Any]) -> str:
    if _FULL_RE.fullmatch(wanted):
        return wanted
    if not _ID_RE.fullmatch(wanted):
        raise InvalidArgumentError(
            f"{wanted!r} is no operation: give its id or its full name, as `homeport "
            "operations list --output name` shows it"
        )
    return f"{_place(connection, given)}/operations/{wanted}"


def _generic(operation: Document) -> dict[str, Any]:
    generic: dict[str, Any] = operation.get("metadata", {}).get("genericMetadata", {})
    return generic
