"""`homeport import`: a TorchServe model store into the registry."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

import click

from homeport.cli import exitcodes, options, waiting
from homeport.cli.texts import printable
from homeport.client import progress, registry
from homeport.client import traffic as splits
from homeport.client.connection import Connection
from homeport.errors import FailedPreconditionError, HomeportError
from homeport.modelstores import bringing, configuration, plan
from homeport.modelstores.configuration import StoreConfig
from homeport.modelstores.plan import Plan, Planned, Problem

_STORE: Final = "torchserve-model-store"
_AGAIN: Final = "say it again: what is there is known, and the rest goes on"
_EPILOG: Final = """\b
Examples:
  homeport import --from torchserve-model-store model-store --dry-run
  homeport import --from torchserve-model-store model-store \\
      --config config.properties --deploy

\b
Exit codes: 0 all is there; 1 something could not be imported, and the rest was;
2 the command was not understood; 4 no server answers: say it again, and it goes on.
"""


@final
class _Earlier:
    """What other runs have left to the server, waited for once in a run.

    Args:
        connection: The server.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_awaited = False

    def wait(self) -> bool:
        """Tell whether there may be more now than before; the first call waits."""
        if self._is_awaited:
            return False
        self._is_awaited = True
        begun = bringing.under_way(self._connection)
        waiting.for_others(self._connection, begun, "still registers a version")
        # Also what ended before it was asked for.
        return True


@dataclasses.dataclass(frozen=True, slots=True)
class _Run:
    """What was asked for.

    Attributes:
        connection: The server.
        dry: Whether nothing is to be changed.
        deploy: Whether what TorchServe served is to be served.
        contested: The endpoints that several versions would be deployed to.
        earlier: What other runs may have left to the server.
    """

    connection: Connection
    dry: bool
    deploy: bool
    contested: frozenset[str]
    earlier: _Earlier


@click.command("import", epilog=_EPILOG)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "source",
    type=click.Choice([_STORE]),
    required=True,
    help="What DIR is: the folder of TorchServe's --model-store.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The config.properties, or a snapshot of it, that TorchServe was started "
    "with: names, workers, batches, time limits, and what it served.",
)
@click.option(
    "--deploy",
    is_flag=True,
    help="Deploy, too, what TorchServe served: default versions to endpoints of their "
    "models' names, others to NAME-VERSION.",
)
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would be done.")
@options.server_options
def import_(
    folder: Path,
    *,
    source: str,
    config: Path | None,
    deploy: bool,
    dry: bool,
    **server: str,
) -> None:
    """Register every archive of DIR as a version of the model that it names.

    What cannot be imported is told at the end, and the others go on. A second run adds
    nothing: an archive is known again by its bytes and what the configuration says of
    it. It waits for what the server still registers, which may be the first one's; two
    runs at the same time may register an archive twice.
    """
    del source
    told = configuration.read(config) if config else StoreConfig()
    found = plan.make(folder, told)
    _introduce(folder, found, told)
    problems = list(found.problems)
    try:
        with options.connect(**server) as connection, waiting.telling(_AGAIN):
            contested = bringing.contested(found.planned)
            run = _Run(connection, dry, deploy, contested, _Earlier(connection))
            _import(run, found.planned, problems)
    finally:
        _tell(problems)
    if problems:
        sys.exit(exitcodes.REFUSED)


def _introduce(folder: Path, found: Plan, told: StoreConfig) -> None:
    count = len(found.planned)
    refused = len(found.problems)
    click.echo(f"{folder}: {count} can be imported or are there, {refused} cannot be")
    if told.without_effect:
        names = printable(", ".join(told.without_effect))
        click.echo(f"no effect   {names}", err=True)


def _import(run: _Run, planned: Sequence[Planned], problems: list[Problem]) -> None:
    """Import one after the other; add what goes wrong."""
    for number, one in enumerate(planned, 1):
        place = f"{number}/{len(planned)} {printable(one.path.name)}"
        version = ""
        try:
            version = _version(run, one, place)
            if run.deploy and one.is_loaded:
                _served(run, one, version)
        except HomeportError as error:
            if exitcodes.is_silence(error) and not _answers(run.connection):
                # Then no other archive fares better.
                raise
            click.echo(f"failed      {place}")
            left = f"{version} is registered and not deployed: " if version else ""
            problems.append(Problem(one.path.name, left + error.message))


def _version(run: _Run, one: Planned, place: str) -> str:
    """Return the full name of an archive's version, "" if it is not made for now."""
    said = f"{printable(one.name)}, version {printable(one.declared.version)}"
    digest = bringing.identify(one)
    found = bringing.find(run.connection, one, digest)
    if not (found.version or run.dry) and run.earlier.wait():
        found = bringing.find(run.connection, one, digest)
    if found.version:
        click.echo(f"there       {place}: {found.version} ({said})")
        return found.version
    if run.dry:
        click.echo(f"to register {place} ({said})")
        for line in one.words.splitlines():
            click.echo(f"            with {printable(line)}")
        return ""
    with progress.bar("uploading") as on_progress:
        uri = bringing.upload(run.connection, one, digest, on_progress)
    operation = bringing.begin_registering(run.connection, one, digest, found, uri)
    what = "the server checks it; a new environment takes a while"
    ended = waiting.for_operation(run.connection, operation, what)
    registered = registry.registered(ended)
    click.echo(f"registered  {place}: {registered.name} ({said})")
    for warning in registered.warnings:
        click.echo(f"warning     {printable(warning)}", err=True)
    return registered.name


def _answers(connection: Connection) -> bool:
    """Tell whether the server is there, whatever it could not do in time."""
    try:
        connection.get("/healthz")
    except HomeportError:
        return False
    return True


def _served(run: _Run, one: Planned, version: str) -> None:
    name = bringing.endpoint_of(one)
    endpoint = printable(name)
    if name in run.contested and not one.is_default:
        raise FailedPreconditionError(
            f"endpoint {endpoint} is that of another model's version, too: deploy this "
            "one to another endpoint with `homeport endpoints deploy-model`"
        )
    if run.dry:
        click.echo(f"to deploy   to endpoint {endpoint}, if it is not there")
        return
    place = bringing.endpoint(run.connection, one)
    is_new = not bringing.serves(place, version)
    if is_new:
        # All of the traffic where nothing else has any, and none otherwise.
        split = splits.with_new(place, 0)
        operation = registry.begin_deploying(run.connection, place, version, split, 1)
        what = f"replicas of {endpoint} come up"
        waiting.for_operation(run.connection, operation, what)
    click.echo(f"{'deployed' if is_new else 'serving':<12}{endpoint}: {place.name}")


def _tell(problems: Sequence[Problem]) -> None:
    if not problems:
        return
    click.echo(f"not imported, {len(problems)}:", err=True)
    for one in problems:
        # With a deployment's failure come the last lines of its replica.
        first, *more = map(printable, one.reason.splitlines())
        click.echo(f"  {printable(one.file)}: {first}", err=True)
        for line in more:
            click.echo(f"    {line}", err=True)
