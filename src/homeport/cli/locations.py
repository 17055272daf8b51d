"""`homeport locations`: in which regions a project has something."""

from typing import Final

import click

from homeport.cli import options, output
from homeport.cli.output import Column, Output
from homeport.client import resources

_COLUMNS: Final[tuple[Column, ...]] = (
    ("REGION", lambda one: one["locationId"]),
    ("NAME", lambda one: one["name"]),
)


@click.command()
@output.option()
@options.server_options
def locations(*, form: Output, **server: str) -> None:
    """List the regions in which --project has models or endpoints."""
    with options.connect(**server) as connection:
        path = f"projects/{connection.address.project}/locations"
        output.show_list(resources.listed(connection, path), form, _COLUMNS)
