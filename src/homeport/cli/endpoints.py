"""`homeport endpoints`: what serves, as `gcloud ai endpoints` has it, and more."""

from typing import Any, Final

import click

from homeport.cli import changes, listing, options, output, values, waiting
from homeport.cli.endpointdeploy import deploy_model, undeploy_model
from homeport.cli.endpointpredict import (
    explain,
    predict,
    raw_predict,
    stream_raw_predict,
)
from homeport.cli.endpointstates import rollback, states
from homeport.cli.output import Column, Output
from homeport.client import registry, resources, traffic
from homeport.client.connection import Connection
from homeport.client.resources import Document
from homeport.errors import FailedPreconditionError


def _share(one: Document) -> str:
    if not one["deployed"]:
        return ""
    return f"{one.get('trafficSplit', {}).get(one['deployed']['id'], 0)} %"


_COLUMNS: Final[tuple[Column, ...]] = (
    ("ENDPOINT", lambda one: output.last_segment(one["name"])),
    ("DISPLAY NAME", lambda one: one.get("displayName")),
    ("DEPLOYED MODEL", lambda one: one["deployed"].get("id")),
    ("VERSION", lambda one: _version(one["deployed"])),
    ("TRAFFIC", _share),
)
_SHARES: Final = "DEPLOYED_MODEL=PERCENT,..."


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
            rows = [row for one in found for row in _rows(one)]
            output.show_list(rows, form, _COLUMNS)
        else:
            output.show_list(found, form, _COLUMNS)


@endpoints.command("describe")
@click.argument("endpoint")
@output.option(Output.YAML)
@options.server_options
def describe(endpoint: str, *, form: Output, **server: str) -> None:
    """Show everything the server tells of ENDPOINT."""
    with options.connect(**server) as connection:
        name = resources.find(connection, "endpoints", endpoint)
        found = resources.get(connection, name)
    _show(found, form)


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
            _show(resources.get(connection, ended["response"]["name"]), form)


@endpoints.command("update")
@click.argument("endpoint")
@click.option("--display-name")
@click.option("--description")
@changes.label_options
@click.option(
    "--traffic-split",
    multiple=True,
    callback=values.items,
    metavar=_SHARES,
    help="DEPLOYED_MODEL is an id, or a version as v2; the others get none.",
)
@click.option("--clear-traffic-split", is_flag=True, help="No traffic for anybody.")
@click.option("--traffic-percent", metavar="DEPLOYED_MODEL=PERCENT",
              help="For this one; the others share the rest as before, those at 0 "
              "get none.")  # fmt: skip
@output.option()
@options.server_options
def update(endpoint: str, *, form: Output, **given: Any) -> None:
    """Change the words, labels or traffic of ENDPOINT."""
    changed, paths = changes.of(given)
    splits = ("traffic_split", "clear_traffic_split", "traffic_percent")
    if sum(bool(given[one]) for one in splits) > 1:
        raise click.UsageError(
            "give one of --traffic-split, --clear-traffic-split and --traffic-percent"
        )
    if not paths and not any(given[one] for one in splits):
        raise click.UsageError("nothing to change: give --traffic-split or another")
    with options.connection(given) as connection:
        name = resources.find(connection, "endpoints", endpoint)
        current = resources.get(connection, name)
        fields, mask = changes.with_whole_labels(changed, paths, current)
        if any(given[one] for one in splits):
            fields["trafficSplit"] = _split(connection, name, given)
            mask = (*mask, "trafficSplit")
        found = connection.patch(f"/v1/{name}", fields, updateMask=",".join(mask))
    _show(found, form)


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
    deploy_model,
    undeploy_model,
    predict,
    raw_predict,
    stream_raw_predict,
    explain,
    rollback,
    states,
):
    endpoints.add_command(_command)


def _split(connection: Connection, name: str, given: dict[str, Any]) -> dict[str, int]:
    if given["clear_traffic_split"]:
        return {}
    found = registry.find_endpoint(connection, name)
    if given["traffic_split"]:
        return traffic.of_shares(found, given["traffic_split"])
    return traffic.with_share(found, given["traffic_percent"])


def _show(found: Document, form: Output) -> None:
    if form is Output.TABLE:
        output.show_list(_rows(found), form, _COLUMNS)
    else:
        output.show(found, form, _COLUMNS)


def _rows(endpoint: Document) -> list[Document]:
    """Return an endpoint as a row for each deployed model, or one for none."""
    return [
        {**endpoint, "deployed": deployed}
        for deployed in endpoint.get("deployedModels") or [{}]
    ]


def _version(deployed: Document) -> str:
    if not deployed:
        return ""
    return f"{output.last_segment(deployed['model'])}@{deployed['modelVersionId']}"
