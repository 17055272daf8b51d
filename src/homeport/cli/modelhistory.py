"""`homeport models history`: what changed of a model, who did it, and when."""

import dataclasses
import datetime as dt
import itertools
import json
from collections.abc import Mapping
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from homeport.cli import options
from homeport.cli.checkview import printable
from homeport.client import history as histories
from homeport.client import registry
from homeport.client.connection import Connection, ServerError
from homeport.client.history import Change
from homeport.errors import Code, NotFoundError

_WIDTH: Final = 1000
_DAY: Final = dt.timedelta(days=1)
_EPILOG: Final = """\b
Examples:
  homeport models history digits
  homeport models history digits --filter 'kind=alias AND time>"2026-11-01T00:00:00Z"'
  homeport models history digits --alias production --at 2026-11-17
"""


@click.command("history", epilog=_EPILOG)
@click.argument("model")
@click.option("--alias", default="", help="Which version carried it.")
@click.option(
    "--at",
    "moment",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]),
    help="UTC: a day, or a time such as 2026-11-17T09:30:00Z. Default: now.",
)
@click.option("--filter", "filter_text", default="", help="AIP-160, such as kind=alias")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Lines."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@options.server_options
def history(  # one parameter for each option
    *,
    model: str,
    alias: str,
    moment: dt.datetime | None,
    filter_text: str,
    limit: int,
    as_json: bool,
    **server: str,
) -> None:
    """Show what changed of MODEL (name or id), newest first, and who changed it.

    With --alias, which version carried that alias; for a day, also what moved it then.
    A model that is gone is named by its id.
    """
    if moment is not None and not alias:
        raise click.UsageError("--at asks for an alias: give --alias too")
    with options.connect(**server) as connection:
        name = _name(connection, model)
        if alias:
            found = _told_alias(connection, name, alias, moment, as_json=as_json)
        else:
            changes = histories.changes(connection, name, filter_text)
            found = list(itertools.islice(changes, limit))
    if as_json and not alias:
        click.echo(json.dumps([dataclasses.asdict(one) for one in found], indent=2))
    elif not as_json:
        _show(found)


def _told_alias(
    connection: Connection,
    model: str,
    alias: str,
    moment: dt.datetime | None,
    *,
    as_json: bool,
) -> list[Change]:
    """Print which version carried an alias; return what moved it that day."""
    time = "" if moment is None else f"{moment.isoformat()}Z"
    whole_day = moment is not None and moment.time() == dt.time()
    try:
        version, change = histories.alias_at(connection, model, alias, time)
    except ServerError as error:
        if error.code is not Code.NOT_FOUND or not whole_day or as_json:
            raise
        click.echo(f"{time}  {alias} is not known")
    else:
        if as_json:
            told = {"model": model, "alias": alias, "versionId": version}
            whole = {**told, "change": dataclasses.asdict(change)}
            click.echo(json.dumps(whole, indent=2))
            return []
        carried = f"version {version}" if version else "no version"
        since = f"since {change.time} ({_who(change)})"
        click.echo(f"{time or 'now'}  {alias} is {carried}, {since}")
    if moment is None or not whole_day:
        return []
    until = (moment + _DAY).isoformat()
    within = f'kind=alias AND key={alias} AND time>"{time}" AND time<"{until}Z"'
    return list(histories.changes(connection, model, within))


def _name(connection: Connection, wanted: str) -> str:
    """Return a model's full name; one that is gone is taken at its word."""
    try:
        return registry.find_model(connection, wanted)
    except NotFoundError:
        full = "/" in wanted
        return wanted if full else f"{connection.address.parent}/models/{wanted}"


def _show(found: list[Change]) -> None:
    if not found:
        return
    table = Table("TIME", "WHO", "WHAT", "DONE", "BEFORE", "AFTER", box=None)
    for one in found:
        table.add_row(
            one.time,
            _who(one),
            printable(f"{one.kind} {one.key}".strip()),
            one.action,
            _state(one.before, one.after),
            _state(one.after, one.before),
        )
    Console(width=_WIDTH, markup=False).print(table)


def _who(change: Change) -> str:
    return printable(change.caller) or "unknown"


def _state(state: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return what of a state is not so in the other."""
    told = {key: state[key] for key in state if state[key] != other.get(key)}
    texts = (f"{key}={json.dumps(told[key], ensure_ascii=False)}" for key in told)
    return printable(" ".join(texts))
