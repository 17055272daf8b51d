"""`homeport undeploy`: take a version out of service."""

from typing import Final

import click

from homeport.cli import options
from homeport.client import registry, traffic

_EPILOG: Final = """\b
Examples:
  homeport undeploy digits v2
  homeport undeploy digits 4711
"""


@click.command(epilog=_EPILOG)
@click.argument("endpoint")
# Without it, what could be meant is told.
@click.argument("deployed_model", metavar="DEPLOYED_MODEL", required=False)
@options.server_options
def undeploy(endpoint: str, deployed_model: str | None, **server: str) -> None:
    """Undeploy DEPLOYED_MODEL (id, or version as v2) from ENDPOINT (name or id).

    DEPLOYED_MODEL is named even where it is the only one; without it nothing is done
    and what is deployed is told. Its share of the traffic goes to the others, in the
    proportions of theirs. If these are zero, a single one that is left gets
    everything, and of several you choose first, with `homeport traffic`. What it has
    accepted is still answered; its log goes.
    """
    with options.connect(**server) as connection:
        found = registry.find_endpoint(connection, endpoint)
        if deployed_model is None:
            raise click.UsageError(
                f"name what leaves {endpoint}: it has {traffic.told(found) or 'none'}"
            )
        leaving = traffic.find_deployed(found, deployed_model)
        split = traffic.without(found, leaving)
        registry.undeploy(connection, found, leaving.id, split)
        click.echo(f"undeployed  {leaving.id} (version {leaving.version})")
        options.show_left(found, registry.find_endpoint(connection, found.name))
