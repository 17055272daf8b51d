"""`homeport logs`: what the replicas of an endpoint printed."""

import click

from homeport.cli import options
from homeport.client import registry


@click.command()
@click.argument("endpoint")
@click.option(
    "-n", "--lines", type=click.IntRange(1, 1000), default=100, show_default=True
)
@options.server_options
def logs(endpoint: str, *, lines: int, **server: str) -> None:
    """Print the last log lines of ENDPOINT (name or id), for each deployed model."""
    with options.connect(**server) as connection:
        found = registry.find_endpoint(connection, endpoint)
        tails = registry.logs(connection, found, lines)
    for deployed_id, tail in tails.items():
        click.echo(f"== deployed model {deployed_id} ==")
        for line in tail:
            click.echo(line)
    if not tails:
        click.echo(f"nothing is deployed to {found.display_name}", err=True)
