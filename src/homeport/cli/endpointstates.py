"""`homeport endpoints states` and `rollback`: the traffic an endpoint had."""

from typing import Final

import click

from homeport.cli import options, output
from homeport.cli.output import Column, Output
from homeport.client import registry
from homeport.client.resources import Document


def _shares(state: Document) -> str:
    versions = state["models"]
    shares = (
        f"{versions[id_].rpartition('/')[2]}={percent}"
        for id_, percent in state["trafficSplit"].items()
        if percent
    )
    return " ".join(shares) or "none"


_COLUMNS: Final[tuple[Column, ...]] = (
    ("STATE", lambda one: one["state"]),
    ("SINCE", lambda one: one["time"]),
    ("CALLER", lambda one: one["caller"]),
    ("TRAFFIC", _shares),
)


@click.command("states")
@click.argument("endpoint")
@output.option(named=False)
@options.server_options
def states(endpoint: str, *, form: Output, **server: str) -> None:
    """List the traffic that ENDPOINT had, the newest state first."""
    with options.connect(**server) as connection:
        found = registry.find_endpoint(connection, endpoint)
        told = registry.traffic_states(connection, found)
    output.show_list(told, form, _COLUMNS)


@click.command("rollback")
@click.argument("endpoint")
@click.option(
    "--state",
    type=click.IntRange(min=1),
    help="As `homeport endpoints states` lists them. Default: the one before this.",
)
@options.server_options
def rollback(endpoint: str, *, state: int | None, **server: str) -> None:
    """Give ENDPOINT the traffic it had, and what served it then."""
    with options.connect(**server) as connection:
        found = registry.find_endpoint(connection, endpoint)
        number = registry.roll_back(connection, found, state or 0)
        click.echo(f"back at     state {number}")
        options.show_traffic(registry.find_endpoint(connection, found.name))
