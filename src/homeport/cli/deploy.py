"""`homeport deploy`: from an archive to an endpoint that answers."""

import contextlib
import hashlib
import shlex
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

from homeport.archive import mar
from homeport.cli import options, pairs
from homeport.cli.texts import printable
from homeport.client import registry
from homeport.client import traffic as splits
from homeport.client.connection import Connection
from homeport.client.registry import Endpoint
from homeport.errors import HomeportError, InvalidArgumentError, NotFoundError
from homeport.resources.lineage import METADATA_KEY

_BAR_FROM_BYTES: Final = 20_000_000
_EPILOG: Final = """\b
Examples:
  homeport deploy digits.mar
  homeport deploy digits.mar --traffic 20          # a canary beside what serves now
  homeport deploy digits.mar --endpoint checks --replicas 2 --env THRESHOLD=0.5
  homeport deploy digits@3                         # a version that is registered
"""


def _subject(ctx: click.Context, parameter: click.Parameter, value: str) -> Path | str:
    """Return an archive's path, or MODEL@VERSION where there is no such file."""
    del ctx
    path = Path(value)
    if path.is_file():
        return path
    if "@" not in value or path.exists():
        raise click.BadParameter(
            f"{value!r} is no file, and no MODEL@VERSION such as digits@3",
            param=parameter,
        )
    return value


@click.command(epilog=_EPILOG)
@click.argument("subject", metavar="ARCHIVE|MODEL@VERSION", callback=_subject)
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
    help="Percent for the new version, if others have traffic; at 100 the older ones "
    "are undeployed.",
)
@click.option("--description", default="", help="Of this version.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    callback=options.labels,
    help="KEY=VALUE; may be repeated.",
)
@click.option(
    "--lineage",
    multiple=True,
    callback=pairs.parse,
    help="KEY=VALUE, where the version comes from, beside what its archive says; may "
    "be repeated.",
)
@click.option(
    "--env",
    "environment",
    multiple=True,
    callback=options.variables,
    help="KEY=VALUE for the handler; may be repeated.",
)
@options.server_options
def deploy(  # noqa: PLR0913  # one parameter for each option
    *,
    subject: Path | str,
    display_name: str | None,
    endpoint_name: str | None,
    replicas: int,
    traffic: int,
    description: str,
    labels: dict[str, str],
    lineage: dict[str, str],
    environment: dict[str, str],
    **server: str,
) -> None:
    """Upload an archive, register it, deploy it, and wait until it answers.

    MODEL@VERSION (an id or alias) deploys what is registered already.
    """
    began = time.monotonic()
    words = {
        "displayName": display_name,
        "versionDescription": description,
        "labels": labels,
        "metadata": {METADATA_KEY: lineage} if lineage else {},
        "containerSpec": {
            "env": [{"name": key, "value": environment[key]} for key in environment]
        }
        if environment
        else {},
    }
    with options.connect(**server) as connection:
        if isinstance(subject, Path):
            name, version = _registered(connection, subject, words)
        else:
            name, version = _found(connection, subject, words)
        endpoint = _deploy(
            connection, version, endpoint_name or name, (traffic, replicas)
        )
        seconds = time.monotonic() - began
        click.echo(f"ready after {seconds:.1f} s\n")
        click.echo(_next_steps(connection, endpoint, endpoint_name or name))


def _registered(
    connection: Connection, archive: Path, words: Mapping[str, Any]
) -> tuple[str, str]:
    """Upload and register an archive; return its display name and the version."""
    with archive.open("rb") as file:
        name = words["displayName"] or mar.inspect(file).manifest.model_name
    uri = _upload(connection, archive)
    click.echo(f"uploaded    {uri}")
    # Without an alias: what the plain name means moves when the version answers.
    given = {key: value for key, value in words.items() if value}
    model = {**given, "displayName": name, "artifactUri": uri}
    return name, _register(connection, model)


def _found(
    connection: Connection, wanted: str, words: Mapping[str, Any]
) -> tuple[str, str]:
    """Return the display name and full name of a version that is registered."""
    if any(words.values()):
        raise InvalidArgumentError(
            f"{wanted} is registered, and its version never changes: --display-name, "
            "--description, --label, --lineage and --env go with an archive"
        )
    model, _, version = wanted.rpartition("@")
    found = registry.find_version(connection, model, version)
    click.echo(f"found       {found.name}@{found.version}")
    return found.display_name, f"{found.name}@{found.version}"


def _register(connection: Connection, model: Mapping[str, Any]) -> str:
    """Register a version, of the model of its display name; say what was found."""
    with _waiting("the server checks it; a new environment takes a while"):
        registered = registry.register(connection, model)
    click.echo(f"registered  {registered.name}")
    for warning in registered.warnings:
        click.echo(f"warning     {printable(warning)}", err=True)
    return registered.name


@contextlib.contextmanager
def _waiting(what: str) -> Iterator[None]:
    """Show, on a terminal alone, what is waited for."""
    console = Console(stderr=True)
    shown = console.status(what) if console.is_terminal else contextlib.nullcontext()
    with shown:
        yield


def _deploy(
    connection: Connection, version: str, wanted: str, size: tuple[int, int]
) -> Endpoint:
    """Deploy a registered version with a percentage and replicas; say what happens."""
    traffic, replicas = size
    endpoint, is_new = _endpoint(connection, wanted)
    split = splits.with_new(endpoint, traffic)
    try:
        with _waiting("replicas come up"):
            deployed = registry.deploy(connection, endpoint, version, split, replicas)
    except HomeportError:
        _tell_what_is_left(connection, version, endpoint, is_new=is_new)
        raise
    click.echo(f"deployed    {endpoint.name} as {deployed.id}, {deployed.percent} %")
    if deployed.percent != traffic:
        click.echo("            nothing else has traffic there: it gets everything")
    if deployed.percent < 100:  # noqa: PLR2004  # percent
        # A canary: the model's plain name goes on meaning what it meant.
        return endpoint
    registry.make_default(connection, version)
    for older in endpoint.deployed if traffic == 100 else ():  # noqa: PLR2004  # percent
        registry.undeploy(connection, endpoint, older.id)
        click.echo(f"undeployed  {older.id} (version {older.version})")
    return endpoint


def _tell_what_is_left(
    connection: Connection, version: str, endpoint: Endpoint, *, is_new: bool
) -> None:
    """Say what a failed deployment leaves, without an endpoint made for it alone."""
    # The first version cannot be deleted alone: its model goes with it.
    model = version.rpartition("/")[2].removesuffix("@1")
    verb = "delete-version" if "@" in model else "delete"
    click.echo(
        f"registered, not deployed: {version} (`homeport models {verb}"
        f"{options.naming(connection.address)} {model}` removes it)",
        err=True,
    )
    if is_new:
        with contextlib.suppress(HomeportError):
            registry.delete_endpoint(connection, endpoint)
            click.echo(f"removed again: {endpoint.name}", err=True)
    for one in endpoint.deployed:
        click.echo(
            f"still serving: {one.id} (version {one.version}), {one.percent} %",
            err=True,
        )


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


def _endpoint(connection: Connection, wanted: str) -> tuple[Endpoint, bool]:
    """Return the endpoint that is wanted, and whether it was made for that."""
    try:
        return registry.find_endpoint(connection, wanted), False
    except NotFoundError:
        return registry.create_endpoint(connection, wanted), True


def _next_steps(connection: Connection, endpoint: Endpoint, wanted: str) -> str:
    """Return the lines of a prediction; what stands for the input is marked."""
    url = f"{connection.address.url}/v1/{endpoint.name}:predict"
    options_text = options.naming(connection.address)
    return (
        "Predict with one of these; replace ... by your input:\n\n"
        f"  homeport predict {shlex.quote(wanted)}{options_text} --json '[...]'\n\n"
        f"  curl -X POST {url} \\\n    -H 'Content-Type: application/json' "
        "-d '{\"instances\": [...]}'"
    )
