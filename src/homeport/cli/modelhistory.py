"""`homeport models history`: what changed of a model, who did it, and when."""

import dataclasses
import datetime as dt
import itertools
from typing import Final

import click

from homeport.cli import historyview, options, output
from homeport.cli.output import Output
from homeport.client import history as histories
from homeport.client.connection import Connection
from homeport.client.history import Change
from homeport.errors import NotFoundError

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
@output.option(named=False)
@options.server_options
def history(  # one parameter for each option
    *,
    model: str,
    alias: str,
    moment: dt.datetime | None,
    filter_text: str,
    limit: int,
    form: Output,
    **server: str,
) -> None:
    """Show what changed of MODEL (name or id), newest first, and who changed it.

    With --alias, which version carried that alias; for a day, also what moved it then.
    A model that is gone is named by its id.
    """
    if moment is not None and not alias:
        raise click.UsageError("--at asks for an alias: give --alias too")
    with options.connect(**server) as connection:
        name = historyview.name_of(connection, "models", model)
        if alias:
            found = _told_alias(connection, name, alias, moment, form)
        else:
            changes = histories.changes(connection, name, filter_text)
            found = list(itertools.islice(changes, limit))
    if form is Output.TABLE:
        historyview.show(found)
    elif not alias:
        output.show_document([dataclasses.asdict(one) for one in found], form)


def _told_alias(
    connection: Connection,
    model: str,
    alias: str,
    moment: dt.datetime | None,
    form: Output,
) -> list[Change]:
    """Print which version carried an alias; return what moved it that day."""
    time = "" if moment is None else f"{moment.isoformat()}Z"
    whole_day = moment is not None and moment.time() == dt.time()
    told_day = whole_day and form is Output.TABLE
    try:
        version, change = histories.alias_at(connection, model, alias, time)
    except NotFoundError:
        if not told_day:
            raise
        click.echo(f"{time}  {alias} is not known")
    else:
        if form is not Output.TABLE:
            told = {"model": model, "alias": alias, "versionId": version}
            whole = {**told, "change": dataclasses.asdict(change)}
            output.show_document(whole, form)
            return []
        carried = f"version {version}" if version else "no version"
        since = f"since {change.time} ({historyview.who(change)})"
        click.echo(f"{time or 'now'}  {alias} is {carried}, {since}")
    if moment is None or not whole_day:
        return []
    until = (moment + _DAY).isoformat()
    within = f'kind=alias AND key={alias} AND time>"{time}" AND time<"{until}Z"'
    return list(histories.changes(connection, model, within))
