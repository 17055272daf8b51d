"""`homeport publish`: a version into Vertex AI's registry."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from homeport.archive import mar
from homeport.cli import options, signals, waiting
from homeport.cli.texts import printable
from homeport.client import objects, session
from homeport.client.connection import Connection
from homeport.errors import FailedPreconditionError, HomeportError
from homeport.publishing import plan, source
from homeport.publishing.plan import Publication, Target
from homeport.resources import images

if TYPE_CHECKING:
    from homeport.publishing.vertex import Vertex

_VERTEX: Final = "vertex"
_EPILOG: Final = """\b
Examples:
  homeport publish digits@2 --to vertex --project my-project --region us-central1 \\
      --bucket gs://my-models --dry-run
  homeport publish digits --to vertex --project my-project --region us-central1 \\
      --bucket gs://my-models/homeport \\
      --container-image-uri \\
      us-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-4:latest
"""
# As the extra has them; a test compares the two.
_CLIENTS: Final = "'google-cloud-aiplatform>=1.165' 'google-cloud-storage>=3.0'"
_MIB: Final = 1 << 20
_BEGUN: Final = (
    "Vertex AI may go on registering the version: once its operation has ended, say it "
    "again, which looks for the version first"
)


@click.command(epilog=_EPILOG)
@click.argument("model", metavar="MODEL[@VERSION]")
@click.option("--to", "service", type=click.Choice([_VERTEX]), required=True)
@click.option("--project", required=True, help="Of Google Cloud: its id.")
@click.option("--region", required=True, help="Of Vertex AI, such as us-central1.")
@click.option(
    "--bucket",
    required=True,
    metavar="gs://BUCKET[/PREFIX]",
    help="Where the files go, into a folder of their own.",
)
@click.option(
    "--container-image-uri",
    "image_uri",
    default="",
    help="The image that serves it there. Default: the version's own.",
)
@click.option(
    "--parent-model",
    default="",
    help="The model there that gets the version, by id or full name. Default: the one "
    "with the same display name, or a new one.",
)
@click.option(
    "--api-endpoint",
    default="",
    help="Another service than Vertex AI's of that region: a host, or the URL of a "
    "Homeport.",
)
@click.option(
    "--dry-run", "dry", is_flag=True, help="Print the calls, and touch nothing."
)
@click.option(
    "--url",
    envvar="HOMEPORT_URL",
    default=session.DEFAULT_URL,
    show_default=True,
    show_envvar=True,
    help="The server that has the version.",
)
@click.option(
    "--from-project",
    envvar="HOMEPORT_PROJECT",
    default=session.DEFAULT_PROJECT,
    show_default=True,
    show_envvar=True,
    help="Of that server.",
)
@click.option(
    "--from-region",
    envvar="HOMEPORT_REGION",
    default=session.DEFAULT_REGION,
    show_default=True,
    show_envvar=True,
    help="Of that server.",
)
def publish(  # one parameter for each option
    model: str,
    *,
    service: str,
    url: str,
    from_project: str,
    from_region: str,
    dry: bool,
    **target: str,
) -> None:
    """Copy a version to a bucket, and register it in Vertex AI's Model Registry.

    Its archive, labels, aliases, descriptions and container go along. A model of the
    same display name gets a new version, and a version that is there already is only
    named: while Vertex AI still registers it, it is not there yet. Credentials are
    those of the environment, as for any of Google's clients. Nothing is registered
    before all files are there; what broke off goes on when it is said again.
    """
    del service
    objects.parse_uri(target["bucket"])
    with options.connect(url, from_project, from_region) as connection:
        found = source.find(connection, model)
        publication = plan.make(found, Target(**target))
        if dry:
            click.echo("\n".join(map(printable, plan.told(publication))))
        else:
            with signals.ending_on_sigterm():
                _publish(connection, publication)


def _vertex(publication: Publication) -> "Vertex":
    try:
        # Deferred: an extra, and seconds.
        from homeport.publishing.vertex import Vertex  # noqa: PLC0415
    except ImportError as error:
        raise FailedPreconditionError(
            f"publishing needs Google's own clients ({error}): pip install {_CLIENTS} "
            "(the extra homeport[vertex])"
        ) from error
    return Vertex(publication)


def _publish(connection: Connection, publication: Publication) -> None:
    found = publication.source
    mib = found.size_bytes / _MIB
    click.echo(f"found       {found.name}: {len(found.files)} files, {mib:.1f} MiB")
    for one in found.left:
        click.echo(f"note        {one} stays behind", err=True)
    with waiting.shown("looking at Vertex AI"):
        vertex = _vertex(publication)
        parent = vertex.parent()
        there = vertex.version(parent)
    if there:
        click.echo(f"there       {there}")
        return
    if publication.objects:
        with waiting.telling("nothing was registered: say it again, and it goes on"):
            _copy(connection, publication, vertex)
    with waiting.telling(_BEGUN), waiting.shown("Vertex AI registers it"):
        name = vertex.register(parent)
    click.echo(f"published   {name}")


def _copy(connection: Connection, publication: Publication, vertex: "Vertex") -> None:
    with tempfile.TemporaryDirectory(prefix="homeport-publish-") as name:
        folder = Path(name)
        with waiting.shown("the files come out of the registry"):
            source.fetch(connection, publication.source, folder)
        _warn(publication, folder)
        with waiting.shown("the files go to the bucket"):
            for address in vertex.copy(folder):
                click.echo(f"copied      {address}")


def _warn(publication: Publication, folder: Path) -> None:
    """Say what Vertex AI's prebuilt image does otherwise than our worker."""
    image = str(publication.upload["serving_container_image_uri"])
    if not images.runs_archives(image):
        return
    for path, name in publication.objects.items():
        if os.path.basename(name) != "model.mar":  # noqa: PTH119  # of an object
            continue
        requirements = _requirements(folder / path)
        if requirements:
            click.echo(
                f"warning     {image} installs none of the archive's {requirements}: "
                "what is missing there needs an image of your own",
                err=True,
            )


def _requirements(archive: Path) -> str:
    try:
        return printable(mar.inspect(archive).manifest.requirements_file)
    except HomeportError:
        # The service says what is wrong with it.
        return ""
