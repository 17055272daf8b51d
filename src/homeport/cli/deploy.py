"""`homeport deploy`: from an archive to an endpoint that answers."""

import hashlib
import json
import time
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

from homeport.archive import mar
from homeport.cli import options
from homeport.client import registry
from homeport.client.connection import Connection
from homeport.client.registry import Endpoint
from homeport.errors import NotFoundError

_BAR_FROM_BYTES: Final = 20_000_000
_EPILOG: Final = """\b
Examples:
  homeport deploy digits.mar
  homeport deploy digits.mar --traffic 20          # a canary beside what serves now
  homeport deploy digits.mar --endpoint checks --replicas 2 --env THRESHOLD=0.5
"""


@click.command(epilog=_EPILOG)
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--display-name",
    help="Default: the archive's model name. A model of this name gets a new version.",
)
@click.option(
    "--endpoint",
    "endpoint_name",
    help="Name or id; made if missing. Default: the display name.",
)
@click.option("--replicas", type=click.IntRange(min=1), default=1, show_default=True)
@click.option(
    "--traffic",
    type=click.IntRange(1, 100),
    default=100,
    show_default=True,
    help="Percent for the new version; at 100 the older ones are undeployed.",
)
@click.option("--description", default="", help="Of this version.")
@click.option("--label", "labels", multiple=True, callback=options.pairs)
@click.option(
    "--env",
    "environment",
    multiple=True,
    callback=options.pairs,
    help="KEY=VALUE for the handler; may be repeated.",
)
@options.server_options
def deploy(  # noqa: PLR0913  # one parameter for each option
    *,
    archive: Path,
    display_name: str | None,
    endpoint_name: str | None,
    replicas: int,
    traffic: int,
    description: str,
    labels: dict[str, str],
    environment: dict[str, str],
    **server: str,
) -> None:
    """Upload an archive, register it, deploy it, and wait until it answers."""
    began = time.monotonic()
    with archive.open("rb") as file:
        name = display_name or mar.inspect(file).manifest.model_name
    with options.connect(**server) as connection:
        uri = _upload(connection, archive)
        click.echo(f"uploaded    {uri}")
        model = {
            "displayName": name,
            "versionDescription": description,
            "artifactUri": uri,
            "labels": labels,
            # The new version becomes the one that the model's plain name means.
            "versionAliases": ["default"],
            "containerSpec": {
                "env": [{"name": key, "value": environment[key]} for key in environment]
            },
        }
        model_name, version = registry.register(
            connection, model, _existing(connection, name)
        )
        click.echo(f"registered  {model_name}@{version}")
        endpoint = _endpoint(connection, endpoint_name or name)
        split = _split(endpoint, traffic)
        deployed = registry.deploy(
            connection, endpoint, f"{model_name}@{version}", split, replicas
        )
        click.echo(f"deployed    {endpoint.name} as {deployed.id}, {traffic} %")
        for older in endpoint.deployed if traffic == 100 else ():  # noqa: PLR2004  # percent
            registry.undeploy(connection, endpoint, older.id)
            click.echo(f"undeployed  {older.id} (version {older.version})")
        seconds = time.monotonic() - began
        click.echo(f"ready after {seconds:.1f} s. Predict with:\n")
        click.echo(_curl(connection, endpoint))


def _upload(connection: Connection, archive: Path) -> str:
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = archive.stat().st_size
    console = Console(stderr=True)
    columns = ("uploading", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    shown = console.is_terminal and size > _BAR_FROM_BYTES
    with Progress(
        *columns, console=console, disable=not shown, transient=True
    ) as progress:
        task = progress.add_task("upload", total=size)
        return registry.upload_archive(
            connection, archive, digest, lambda sent: progress.advance(task, sent)
        )


def _existing(connection: Connection, display_name: str) -> str:
    """Return the model that carries this display name, the oldest; "" for none."""
    wanted = registry.display_name_filter(display_name)
    for model in registry.models(connection, wanted):
        if model.display_name == display_name:
            return model.name
    return ""


def _endpoint(connection: Connection, wanted: str) -> Endpoint:
    try:
        return registry.find_endpoint(connection, wanted)
    except NotFoundError:
        return registry.create_endpoint(connection, wanted)


def _split(endpoint: Endpoint, traffic: int) -> dict[str, int]:
    """Return a split that gives `traffic` to the new one, the rest as it was shared.

    Shares are whole percents: what rounding leaves goes to the largest.
    """
    serving = {one.id: one.percent for one in endpoint.deployed if one.percent}
    if not serving:
        return {"0": 100}
    rest = 100 - traffic
    split = {id_: percent * rest // 100 for id_, percent in serving.items()}
    largest = max(serving, key=lambda id_: serving[id_])
    split[largest] += rest - sum(split.values())
    return {"0": traffic, **split}


def _curl(connection: Connection, endpoint: Endpoint) -> str:
    url = f"{connection.address.url}/v1/{endpoint.name}:predict"
    body = json.dumps({"instances": ["..."]})
    return (
        f"  curl -X POST {url} \\\n    -H 'Content-Type: application/json' -d '{body}'"
    )
