"""`homeport traffic`: promote a canary, or roll it back."""

from typing import Final

import click

from homeport.cli import options
from homeport.client import registry
from homeport.client import traffic as splits

_EPILOG: Final = """\b
Examples:
  homeport traffic digits v2=100                # promote
  homeport traffic digits v1=100                # roll back
  homeport traffic digits 4711=80 4712=20
"""


@click.command(epilog=_EPILOG)
@click.argument("endpoint")
@click.argument("shares", metavar="DEPLOYED_MODEL=PERCENT...", nargs=-1, required=True)
@options.server_options
def traffic(endpoint: str, shares: tuple[str, ...], **server: str) -> None:
    """Share the traffic of ENDPOINT (name or id) between its deployed models.

    DEPLOYED_MODEL is an id, or a version as v2. The percents add up to 100; what is not
    named gets none and stays deployed.
    """
    with options.connect(**server) as connection:
        found = registry.find_endpoint(connection, endpoint)
        registry.set_traffic(connection, found, splits.of_shares(found, shares))
        options.show_traffic(registry.find_endpoint(connection, found.name))
