"""`homeport endpoints`: what serves."""

from typing import Final

import click
from rich.console import Console
from rich.table import Table

from homeport.cli import options
from homeport.client import registry

# Wide enough that no id is ever cut, in a pipe as on a terminal.
_WIDTH: Final = 1000


@click.group()
def endpoints() -> None:
    """See what serves."""


@endpoints.command("list")
@click.option(
    "--filter",
    "filter_text",
    default="",
    help="""AIP-160, such as 'display_name="digits"'.""",
)
@options.server_options
def list_endpoints(filter_text: str, **server: str) -> None:
    """List the endpoints with the versions they serve."""
    with options.connect(**server) as connection:
        found = list(registry.endpoints(connection, filter_text))
    table = Table(
        "ENDPOINT", "DISPLAY NAME", "DEPLOYED MODEL", "VERSION", "TRAFFIC", box=None
    )
    for endpoint in found:
        first = (endpoint.id, endpoint.display_name)
        for deployed in endpoint.deployed:
            model = deployed.model.rpartition("/")[2]
            version = f"{model}@{deployed.version}"
            table.add_row(*first, deployed.id, version, f"{deployed.percent} %")
        if not endpoint.deployed:
            table.add_row(*first, "", "", "")
    Console(width=_WIDTH).print(table)
