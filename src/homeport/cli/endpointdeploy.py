"""`homeport endpoints deploy-model` and `undeploy-model`."""

from typing import Any, Final

import click

from homeport.cli import machinespecs, options, output, scaling, values, waiting
from homeport.cli.output import Output
from homeport.client import registry, resources, traffic
from homeport.client.connection import Connection

_SPLIT: Final = "DEPLOYED_MODEL=PERCENT,..."


@click.command("deploy-model")
@click.argument("endpoint")
@click.option("--model", required=True, metavar="MODEL[@VERSION]")
@click.option("--display-name", help="Of the deployed model.")
@click.option(
    "--traffic-split", multiple=True, callback=values.numbers, metavar=_SPLIT,
    help="0 is the new one.",
)  # fmt: skip
@click.option(
    "--traffic-percent", type=values.Percent(0, 100),
    help="For the new one; the others share the rest as before, those at 0 get none.",
)  # fmt: skip
@machinespecs.options
@scaling.options
@click.option("--deployed-model-id")
@click.option("--service-account", help="Kept, without effect.")
@click.option("--enable-access-logging", is_flag=True, help="Kept, without effect.")
@click.option("--disable-container-logging", is_flag=True, help="Kept, without effect.")
@click.option("--spot", is_flag=True, help="Kept, without effect.")
@waiting.option
@output.option()
@options.server_options
def deploy_model(
    endpoint: str, *, model: str, wait: bool, form: Output, **given: Any
) -> None:
    """Deploy a version to ENDPOINT; without traffic, if that is not said."""
    if given["traffic_split"] and given["traffic_percent"] is not None:
        raise click.UsageError("give either --traffic-split or --traffic-percent")
    deployed = _deployed(given)
    with options.connection(given) as connection:
        name = resources.find(connection, "endpoints", endpoint)
        deployed["model"] = resources.find_version(connection, model)
        request = {"deployedModel": deployed, "trafficSplit": dict(
            _split(connection, name, given)
        )}  # fmt: skip
        with waiting.beginning(connection):
            operation = connection.post(f"/v1/{name}:deployModel", request)
            ended = waiting.conclude(
                connection, operation, "replicas come up", wait=wait
            )
            if ended is not None:
                _show(connection, name, ended["response"]["deployedModel"], form)


@click.command("undeploy-model")
@click.argument("endpoint")
@click.option("--deployed-model-id", required=True, help="Or its version, as v2.")
@click.option(
    "--traffic-split", multiple=True, callback=values.numbers, metavar=_SPLIT,
    help="Of the others; as they shared before, if absent. A single one that is left "
    "gets everything.",
)  # fmt: skip
@waiting.option
@options.server_options
def undeploy_model(
    endpoint: str,
    *,
    deployed_model_id: str,
    traffic_split: dict[str, int],
    wait: bool,
    **server: str,
) -> None:
    """Undeploy a model from ENDPOINT; what it has accepted is still answered."""
    with options.connect(**server) as connection:
        found = registry.find_endpoint(connection, endpoint)
        leaving = traffic.find_deployed(found, deployed_model_id)
        split = traffic_split or traffic.without(found, leaving)
        request = {"deployedModelId": leaving.id, "trafficSplit": split}
        with waiting.beginning(connection):
            operation = connection.post(f"/v1/{found.name}:undeployModel", request)
            ended = waiting.conclude(connection, operation, "it drains", wait=wait)
            if ended is not None:
                click.echo(f"undeployed  {leaving.id} (version {leaving.version})")
                options.show_left(found, registry.find_endpoint(connection, found.name))


def _split(connection: Connection, name: str, given: dict[str, Any]) -> dict[str, int]:
    percent = given["traffic_percent"]
    if percent is None:
        split: dict[str, int] = given["traffic_split"]
        return split
    return traffic.with_new(registry.find_endpoint(connection, name), percent)


def _deployed(given: dict[str, Any]) -> dict[str, Any]:
    """Return the deployed model that the options describe, but for its version.

    Raises:
        UsageError: They contradict each other.
    """
    resources_wanted = {
        "minReplicaCount": 1,
        **scaling.resources(given),
        "machineSpec": machinespecs.machine_spec(given),
        "spot": given["spot"],
    }
    deployed = {
        "id": given["deployed_model_id"],
        "displayName": given["display_name"],
        "dedicatedResources": _said(resources_wanted),
        "serviceAccount": given["service_account"],
        "enableAccessLogging": given["enable_access_logging"],
        "disableContainerLogging": given["disable_container_logging"],
    }
    return _said(deployed)


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}


def _show(
    connection: Connection, name: str, made: dict[str, Any], form: Output
) -> None:
    if form in {Output.JSON, Output.YAML}:
        output.show_document(made, form)
    elif form is Output.NAME:
        click.echo(made["id"])
    else:
        click.echo(f"deployed    {name} as {made['id']}")
        options.show_traffic(registry.find_endpoint(connection, name))
