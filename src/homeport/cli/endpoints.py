"""`homeport endpoints`: what serves, and its end."""

from typing import Final

import click
from rich.console import Console
from rich.table import Table

from homeport.cli import options
from homeport.cli.checkview import printable
from homeport.client import registry, traffic
from homeport.errors import FailedPreconditionError

# Wide enough that no id is ever cut, in a pipe as on a terminal.
_WIDTH: Final = 1000


@click.group()
def endpoints() -> None:
    """See what serves, roll it back, and delete it."""


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


@endpoints.command("states")
@click.argument("endpoint")
@options.server_options
def list_states(endpoint: str, **server: str) -> None:
    """List the traffic that ENDPOINT (name or id) had, the newest state first."""
    with options.connect(**server) as connection:
        found = registry.find_endpoint(connection, endpoint)
        states = registry.traffic_states(connection, found)
    table = Table("STATE", "SINCE", "CALLER", "TRAFFIC", box=None)
    for state in states:
        versions = state["models"]
        shares = [
            f"{versions[id_].rpartition('/')[2]}={percent}"
            for id_, percent in state["trafficSplit"].items()
            if percent
        ]
        shown = printable(" ".join(shares) or "none")
        table.add_row(state["state"], state["time"], printable(state["caller"]), shown)
    Console(width=_WIDTH).print(table)


@endpoints.command("rollback")
@click.argument("endpoint")
@click.option(
    "--state",
    type=click.IntRange(min=1),
    help="As `homeport endpoints states` lists them. Default: the one before this.",
)
@options.server_options
def roll_back(endpoint: str, *, state: int | None, **server: str) -> None:
    """Give ENDPOINT (name or id) the traffic it had, and what served it then."""
    with options.connect(**server) as connection:
        found = registry.find_endpoint(connection, endpoint)
        number = registry.roll_back(connection, found, state or 0)
        click.echo(f"back at     state {number}")
        options.show_traffic(registry.find_endpoint(connection, found.name))


@endpoints.command("delete")
@click.argument("endpoint")
@click.option("--force", is_flag=True, help="Undeploy what is deployed to it first.")
@options.server_options
def delete_endpoint(endpoint: str, *, force: bool, **server: str) -> None:
    """Delete ENDPOINT (name or id)."""
    with options.connect(**server) as connection:
        found = registry.find_endpoint(connection, endpoint)
        if found.deployed and not force:
            ids = ", ".join(one.id for one in found.deployed)
            raise FailedPreconditionError(
                f"endpoint {found.display_name} serves deployed models {ids}: undeploy "
                "them first, or say --force"
            )
        while found.deployed:
            # The one with the largest share last: the others' always go somewhere.
            one = min(found.deployed, key=lambda deployed: deployed.percent)
            split = traffic.without(found, one)
            registry.undeploy(connection, found, one.id, split)
            click.echo(f"undeployed  {one.id} (version {one.version})")
            found = registry.find_endpoint(connection, found.name)
        registry.delete_endpoint(connection, found)
    click.echo(f"deleted     {found.name}")
