"""`homeport endpoints mutate-deployed-model`: other replicas for what serves."""

from collections.abc import Mapping
from typing import Any, Final

import click

from homeport.cli import options, output, scaling, waiting
from homeport.cli.output import Column, Output
from homeport.client import registry, traffic

_EPILOG: Final = """\b
Examples:
  homeport endpoints mutate-deployed-model shop --deployed-model-id 76 \\
    --min-replica-count 2 --max-replica-count 5
"""
# Of dedicatedResources, as a field mask names them.
_PATHS: Final = {
    "minReplicaCount": "dedicatedResources.minReplicaCount",
    "maxReplicaCount": "dedicatedResources.maxReplicaCount",
    "requiredReplicaCount": "dedicatedResources.requiredReplicaCount",
    "autoscalingMetricSpecs": "dedicatedResources.autoscalingMetricSpecs",
}
_COLUMNS: Final[tuple[Column, ...]] = (
    ("DEPLOYED MODEL", lambda one: one["id"]),
    ("MIN REPLICAS", lambda one: _counts(one).get("minReplicaCount")),
    ("MAX REPLICAS", lambda one: _counts(one).get("maxReplicaCount")),
    ("SCALED ON", lambda one: _scaled_on(_counts(one))),
)


@click.command("mutate-deployed-model", epilog=_EPILOG)
@click.argument("endpoint")
@click.option("--deployed-model-id", required=True, help="Or its version, as v2.")
@scaling.options
@click.option(
    "--disable-container-logging/--enable-container-logging",
    default=None,
    help="Kept, without effect.",
)
@waiting.option
@output.option(named=False)
@options.server_options
def mutate_deployed_model(
    endpoint: str, *, deployed_model_id: str, wait: bool, form: Output, **given: Any
) -> None:
    """Change how many replicas a deployed model of ENDPOINT has, while it serves."""
    changed = scaling.resources(given)
    logging = given["disable_container_logging"]
    if not changed and logging is None:
        raise click.UsageError("nothing to change: give --min-replica-count or another")
    mask = [_PATHS[field] for field in changed]
    deployed: dict[str, Any] = {"dedicatedResources": changed}
    if logging is not None:
        deployed["disableContainerLogging"] = logging
        mask.append("disableContainerLogging")
    with options.connection(given) as connection:
        found = registry.find_endpoint(connection, endpoint)
        deployed["id"] = traffic.find_deployed(found, deployed_model_id).id
        request = {"deployedModel": deployed, "updateMask": ",".join(mask)}
        path = f"/v1/{found.name}:mutateDeployedModel"
        operation = connection.post(path, request)
        ended = waiting.conclude(connection, operation, "it is changed", wait=wait)
    if ended is not None:
        output.show(ended["response"]["deployedModel"], form, _COLUMNS)


def _counts(deployed: Mapping[str, Any]) -> dict[str, Any]:
    counts: dict[str, Any] = deployed.get("dedicatedResources", {})
    return counts


def _scaled_on(counts: Mapping[str, Any]) -> str:
    specs = counts.get("autoscalingMetricSpecs", ())
    return ", ".join(
        f"{one['metricName'].partition('/')[2]}={one['target']}" for one in specs
    )
