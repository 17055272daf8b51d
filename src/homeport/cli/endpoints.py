"""`homeport endpoints`: what serves, as `gcloud ai endpoints` has it, and more."""

import itertools
from typing import Any

import click

from homeport.cli import endpointview, listing, options, output, values, waiting
from homeport.cli.endpointdeploy import deploy_model, undeploy_model
from homeport.cli.endpointdirect import (
    direct_predict,
    direct_raw_predict,
    invoke,
    server_streaming_predict,
)
from homeport.cli.endpointhistory import history
from homeport.cli.endpointmutate import mutate_deployed_model
from homeport.cli.endpointpredict import (
    explain,
    predict,
    raw_predict,
    stream_raw_predict,
)
from homeport.cli.endpointstates import rollback, states
from homeport.cli.endpointupdate import update
from homeport.cli.output import Output
from homeport.client import registry, resources, traffic
from homeport.errors import FailedPreconditionError


@click.group()
def endpoints() -> None:
    """Make, see, change and delete endpoints; deploy to them and ask them.

    ENDPOINT is an id, a display name or a full name.
    """


@endpoints.command("list")
@listing.options("""'display_name="digits"'""")
@output.option()
@options.server_options
def list_endpoints(*, form: Output, **given: Any) -> None:
    """List the endpoints with the versions they serve."""
    asked = listing.asked(given)
    with options.connection(given) as connection:
        path = f"{connection.address.parent}/endpoints"
        found = resources.listed(connection, path, asked)
        if form is Output.TABLE:
            found = itertools.chain.from_iterable(map(endpointview.rows, found))
        output.show_list(found, form, endpointview.COLUMNS)


@endpoints.command("describe")
@click.argument("endpoint")
@output.option(Output.YAML)
@options.server_options
def describe(endpoint: str, *, form: Output, **server: str) -> None:
    """Show everything the server tells of ENDPOINT."""
    with options.connect(**server) as connection:
        name = resources.find(connection, "endpoints", endpoint)
        found = resources.get(connection, name)
    endpointview.show(found, form)


@endpoints.command("create")
@click.option("--display-name", required=True)
@click.option("--endpoint-id", help="Chosen by the server if absent.")
@click.option("--description")
@click.option("--labels", multiple=True, callback=values.labels, metavar="KEY=VALUE,..")
@click.option("--network", help="Kept, without effect.")
@click.option("--encryption-kms-key-name", help="Kept; nothing is encrypted by it.")
@waiting.option
@output.option()
@options.server_options
def create(*, form: Output, wait: bool, **given: Any) -> None:
    """Make an endpoint."""
    key = given["encryption_kms_key_name"]
    fields = {
        "displayName": given["display_name"],
        "description": given["description"],
        "labels": given["labels"],
        "network": given["network"],
        "encryptionSpec": {"kmsKeyName": key} if key else None,
    }
    said = {name: value for name, value in fields.items() if value}
    with options.connection(given) as connection:
        path = f"/v1/{connection.address.parent}/endpoints"
        chosen = given["endpoint_id"]
        query = {"endpointId": chosen} if chosen else {}
        operation = connection.post(path, said, **query)
        ended = waiting.conclude(connection, operation, "it is made", wait=wait)
        if ended is not None:
            endpointview.show(
                resources.get(connection, ended["response"]["name"]), form
            )


@endpoints.command("delete")
@click.argument("endpoint")
@click.option("--force", is_flag=True, help="Undeploy what is deployed to it first.")
@options.server_options
def delete_endpoint(endpoint: str, *, force: bool, **server: str) -> None:
    """Delete ENDPOINT."""
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


for _command in (
    update,
    deploy_model,
    undeploy_model,
    mutate_deployed_model,
    predict,
    raw_predict,
    stream_raw_predict,
    direct_predict,
    direct_raw_predict,
    server_streaming_predict,
    invoke,
    explain,
    rollback,
    states,
    history,
):
    endpoints.add_command(_command)
