"""`homeport endpoints history`: what changed of an endpoint, who did it, and when."""

import dataclasses
import itertools

import click

from homeport.cli import historyview, options, output
from homeport.cli.output import Output
from homeport.client import history as histories


@click.command("history")
@click.argument("endpoint")
@click.option(
    "--filter", "filter_text", default="", help="AIP-160, such as kind=deployed_model"
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Lines."
)
@output.option(named=False)
@options.server_options
def history(
    endpoint: str, *, filter_text: str, limit: int, form: Output, **server: str
) -> None:
    """Show what changed of ENDPOINT, newest first, and who changed it.

    An endpoint that is gone is named by its id.
    """
    with options.connect(**server) as connection:
        name = historyview.name_of(connection, "endpoints", endpoint)
        changes = histories.changes(connection, name, filter_text)
        found = list(itertools.islice(changes, limit))
    if form is Output.TABLE:
        historyview.show(found)
    else:
        output.show_document([dataclasses.asdict(one) for one in found], form)
