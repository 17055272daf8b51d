"""`homeport endpoints update`: other words, labels, traffic or deadline."""

from typing import Any, Final

import click

from homeport.cli import changes, endpointview, options, output, values, waiting
from homeport.cli.output import Output
from homeport.client import registry, resources, traffic
from homeport.client.connection import Connection
from homeport.client.resources import Document

_SHARES: Final = "DEPLOYED_MODEL=PERCENT,..."
_SPLITS: Final = ("traffic_split", "clear_traffic_split", "traffic_percent")


@click.command("update")
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
@click.option(
    "--inference-timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="How long a prediction may take. It goes with none of the others.",
)
@output.option()
@options.server_options
def update(endpoint: str, *, form: Output, **given: Any) -> None:
    """Change the words, labels, traffic or deadline of ENDPOINT."""
    changed, paths = changes.of(given)
    said = [one for one in _SPLITS if given[one]]
    timeout_s = given["inference_timeout"]
    if len(said) > 1:
        raise click.UsageError(
            "give one of --traffic-split, --clear-traffic-split and --traffic-percent"
        )
    if timeout_s is not None and (paths or said):
        raise click.UsageError(
            "--inference-timeout is a change of its own: give the others in another "
            "command"
        )
    if timeout_s is None and not paths and not said:
        raise click.UsageError("nothing to change: give --traffic-split or another")
    with options.connection(given) as connection:
        name = resources.find(connection, "endpoints", endpoint)
        if timeout_s is not None:
            found = _with_timeout(connection, name, timeout_s)
        else:
            found = _patched(connection, name, (changed, paths), given)
    endpointview.show(found, form)


def _with_timeout(connection: Connection, name: str, timeout_s: float) -> Document:
    timeout = {"inferenceTimeout": f"{timeout_s:g}s"}
    request = {"endpoint": {"clientConnectionConfig": timeout}}
    operation = connection.post(f"/v1/{name}:update", request)
    waiting.conclude(connection, operation, "it is changed", wait=True)
    return resources.get(connection, name)


def _patched(
    connection: Connection,
    name: str,
    change: tuple[dict[str, Any], tuple[str, ...]],
    given: dict[str, Any],
) -> Document:
    current = resources.get(connection, name)
    fields, mask = changes.with_whole_labels(*change, current)
    if any(given[one] for one in _SPLITS):
        fields["trafficSplit"] = _split(connection, name, given)
        mask = (*mask, "trafficSplit")
    return connection.patch(f"/v1/{name}", fields, updateMask=",".join(mask))


def _split(connection: Connection, name: str, given: dict[str, Any]) -> dict[str, int]:
    if given["clear_traffic_split"]:
        return {}
    found = registry.find_endpoint(connection, name)
    if given["traffic_split"]:
        return traffic.of_shares(found, given["traffic_split"])
    return traffic.with_share(found, given["traffic_percent"])
