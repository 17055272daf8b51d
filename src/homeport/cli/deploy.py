"""`homeport deploy`: from an archive, or a model, to an endpoint that answers."""

import contextlib
import hashlib
import json
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from homeport.archive import mar
from homeport.checking import report as reports
from homeport.cli import deploysources, options, pairs, values, waiting, words
from homeport.cli.deploysources import Source
from homeport.cli.texts import printable
from homeport.client import progress, registry, staging
from homeport.client import traffic as splits
from homeport.client.connection import Connection
from homeport.client.registry import Deployed, Endpoint
from homeport.errors import HomeportError, InvalidArgumentError, NotFoundError
from homeport.resources.lineage import METADATA_KEY, check_lineage

_EPILOG: Final = """\b
Examples:
  homeport deploy digits.mar
  homeport deploy digits.mar --traffic 20          # a canary beside what serves now
  homeport deploy digits.mar --endpoint checks --replicas 2 --env THRESHOLD=0.5
  homeport deploy digits@3                         # a version that is registered
  homeport deploy model.pt --handler handler.py    # packed on the way
  homeport deploy digits/                          # a folder with a model and more

\b
In a folder these names mean something: one model file, handler.py, model.py,
requirements.txt, sample.json; whatever else is there goes along.
"""


def _subject(ctx: click.Context, parameter: click.Parameter, value: str) -> Path | str:
    """Return an archive's path, or MODEL@VERSION where there is no such file."""
    del ctx
    path = Path(value)
    if path.exists():
        return path
    model, _, version = value.rpartition("@")
    if not model or not version:
        raise click.BadParameter(
            f"{value!r} is not there, and no MODEL@VERSION such as digits@3"
            + deploysources.nearest(path),
            param=parameter,
        )
    return value


def _lineage(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Return KEY=VALUE arguments that may be lineage."""
    given = pairs.parse(ctx, parameter, values)
    try:
        check_lineage(given, "lineage")
    except InvalidArgumentError as error:
        raise click.BadParameter(error.message, param=parameter) from error
    return given


@click.command(epilog=_EPILOG)
@click.argument(
    "subject", metavar="ARCHIVE|MODEL_FILE|FOLDER|MODEL@VERSION", callback=_subject
)
@click.option(
    "--display-name",
    callback=words.not_empty,
    help="Default: the archive's model name. A model of this name gets a new version.",
)
@click.option(
    "--endpoint",
    "endpoint_name",
    callback=words.not_empty,
    help="Name or id; made if missing. Default: the display name.",
)
@click.option("--replicas", type=click.IntRange(min=1), default=1, show_default=True)
@click.option(
    "--traffic",
    type=values.Percent(0, 100),
    default=100,
    show_default=True,
    help="Percent for the new version, if others have traffic, else it gets "
    "everything; at 100 the older ones are undeployed.",
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
    callback=_lineage,
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
@click.option("--handler", help="With a model file: path.py, or base_handler.")
@click.option(
    "--model-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With a model file: Python source of the model's class.",
)
@click.option(
    "--extra-files",
    multiple=True,
    callback=values.items,
    metavar="PATH,...",
    help="With a model file: what its handler reads or imports.",
)
@click.option(
    "-r",
    "--requirements-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With a model file: the packages it needs.",
)
@click.option(
    "--sample",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With a model file: a request that its check and deployment predict.",
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
    **given: Any,
) -> None:
    """Pack what is no archive yet, upload, register, deploy, and wait for an answer.

    MODEL@VERSION (an id or alias) deploys what is registered already.

    A version that gets all of the traffic becomes its model's default one: the alias
    `default` moves to it. `homeport endpoints rollback` does not move it back,
    `homeport models aliases MODEL@VERSION --add default` does.
    """
    began = time.monotonic()
    said = {
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
    with contextlib.ExitStack() as stack:
        if isinstance(subject, Path):
            source = _source(subject, display_name, given)
            archive = stack.enter_context(deploysources.archive(source))
            connection = stack.enter_context(options.connection(given))
            stack.enter_context(waiting.beginning(connection))
            _check_endpoint(connection, endpoint_name)
            name, version = _registered(connection, archive, said)
        else:
            connection = stack.enter_context(options.connection(given))
            stack.enter_context(waiting.beginning(connection))
            packing = _source(Path(subject), None, given).says_how_to_pack
            name, version = _found(connection, subject, {**said, "packing": packing})
        wanted = endpoint_name or name
        is_old = isinstance(subject, str)
        endpoint = _deploy(
            connection, version, wanted, (traffic, replicas), is_old=is_old
        )
        seconds = time.monotonic() - began
        click.echo(f"ready after {seconds:.1f} s\n")
        click.echo(_next_steps(connection, endpoint, wanted))


def _check_endpoint(connection: Connection, wanted: str | None) -> None:
    """Refuse an endpoint that is neither there nor can be made, before anything is."""
    if wanted is None:
        return
    try:
        registry.find_endpoint(connection, wanted)
    except NotFoundError:
        if "/" in wanted:
            raise


def _source(path: Path, name: str | None, given: dict[str, Any]) -> Source:
    return Source(
        path=path,
        name=name,
        handler=given["handler"],
        model_file=given["model_file"],
        extra_files=given["extra_files"],
        requirements_file=given["requirements_file"],
        sample=given["sample"],
    )


def _registered(
    connection: Connection, archive: Path, said: Mapping[str, Any]
) -> tuple[str, str]:
    """Upload and register an archive; return its display name and the version."""
    with archive.open("rb") as file:
        name = said["displayName"] or mar.inspect(file).manifest.model_name
    uri = _upload(connection, archive)
    click.echo(f"uploaded    {uri}")
    # Without an alias: what the plain name means moves when the version answers.
    given = {key: value for key, value in said.items() if value}
    model = {**given, "displayName": name, "artifactUri": uri}
    return name, _register(connection, model)


def _found(
    connection: Connection, wanted: str, said: Mapping[str, Any]
) -> tuple[str, str]:
    """Return the display name and full name of a version that is registered."""
    if any(said.values()):
        raise InvalidArgumentError(
            f"{wanted} is registered, and its version never changes: --display-name, "
            "--description, --label, --lineage, --env and what is said of packing go "
            "with an archive or a model"
        )
    model, _, version = wanted.rpartition("@")
    found = registry.find_version(connection, model, version)
    click.echo(f"found       {found.name}@{found.version}")
    return found.display_name, f"{found.name}@{found.version}"


def _register(connection: Connection, model: Mapping[str, Any]) -> str:
    """Register a version, of the model of its display name; say what was found."""
    operation = registry.begin_registering(connection, model)
    ended = waiting.for_operation(
        connection, operation, "the server checks it; a new environment takes a while"
    )
    registered = registry.registered(ended)
    click.echo(f"registered  {registered.name}")
    with waiting.telling(_going_on(connection, registered.name)):
        checked = registry.check(connection, registered.name)
    click.echo(f"checked     {outcome(checked)}")
    for warning in registered.warnings:
        click.echo(f"warning     {printable(warning)}", err=True)
    return registered.name


def outcome(checked: Mapping[str, Any]) -> str:
    """Return how a check ended; one that was not carried out has no report."""
    if "report" in checked:
        # Of a server of another release it may be in another format.
        with contextlib.suppress(InvalidArgumentError):
            return reports.from_json(json.dumps(checked["report"])).outcome
    return str(checked["state"])


def _deploy(
    connection: Connection,
    version: str,
    wanted: str,
    size: tuple[int, int],
    *,
    is_old: bool,
) -> Endpoint:
    """Deploy a registered version with a percentage and replicas; say what happens."""
    traffic, replicas = size
    with waiting.telling(_going_on(connection, version)):
        endpoint, is_new = _endpoint(connection, wanted)
    split = splits.with_new(endpoint, traffic)
    try:
        deployed = _placed(connection, endpoint, version, split, replicas)
    except HomeportError:
        if not is_old:
            _tell_how_to_remove(connection, version)
        _tell_what_is_left(connection, endpoint, is_new=is_new)
        raise
    click.echo(f"deployed    {endpoint.name} as {deployed.id}, {deployed.percent} %")
    if deployed.percent != traffic:
        click.echo("            nothing else has traffic there: it gets everything")
    if not deployed.percent:
        options.tell_how_to_shift(connection.address, endpoint, deployed)
    if deployed.percent < 100:  # noqa: PLR2004  # percent
        # A canary: the model's plain name goes on meaning what it meant.
        return endpoint
    older = endpoint.deployed if traffic == 100 else ()  # noqa: PLR2004  # percent
    with waiting.telling(_serving(connection, endpoint, deployed)):
        registry.make_default(connection, version)
        for one in older:
            registry.undeploy(connection, endpoint, one.id)
            click.echo(f"undeployed  {one.id} (version {one.version})")
    return endpoint


def _placed(
    connection: Connection,
    endpoint: Endpoint,
    version: str,
    split: Mapping[str, int],
    replicas: int,
) -> Deployed:
    operation = registry.begin_deploying(connection, endpoint, version, split, replicas)
    ended = waiting.for_operation(connection, operation, "replicas come up")
    return registry.deployed(ended, split)


def _going_on(connection: Connection, version: str) -> str:
    """Return how to go on once a version is registered and not deployed."""
    there = options.naming(connection.address)
    named = version.rpartition("/")[2]
    named = named if "@" in named else f"{named}@default"
    return (
        f"{version} is registered and not deployed: `homeport deploy{there} {named}` "
        "goes on, with the same --endpoint, --traffic and --replicas"
    )


def _serving(connection: Connection, endpoint: Endpoint, deployed: Deployed) -> str:
    """Return how to go on once a version serves, and older ones may still be there."""
    there = options.naming(connection.address)
    return (
        f"{deployed.id} (version {deployed.version}) serves at {endpoint.name}: "
        f"`homeport endpoints describe{there} {endpoint.id}` shows what else is "
        "deployed there, `homeport undeploy` takes it out"
    )


def _tell_how_to_remove(connection: Connection, version: str) -> None:
    """Say how a version goes that was registered for a deployment that failed."""
    # The first version cannot be deleted alone: its model goes with it.
    model = version.rpartition("/")[2].removesuffix("@1")
    verb = "delete-version" if "@" in model else "delete"
    click.echo(
        f"registered, not deployed: {version} (`homeport models {verb}"
        f"{options.naming(connection.address)} {model}` removes it)",
        err=True,
    )


def _tell_what_is_left(
    connection: Connection, endpoint: Endpoint, *, is_new: bool
) -> None:
    """Say what a failed deployment leaves, without an endpoint made for it alone."""
    if is_new and registry.remove_empty(connection, endpoint):
        click.echo(f"removed again: {endpoint.name}", err=True)
    for one in endpoint.deployed:
        click.echo(
            f"still serving: {one.id} (version {one.version}), {one.percent} %",
            err=True,
        )


def _upload(connection: Connection, archive: Path) -> str:
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    note = "what was sent is kept: the same command goes on with it"
    with waiting.telling(note), progress.bar("uploading") as on_progress:
        return staging.stage_archive(connection, archive, digest, on_progress)


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
