"""`homeport models export`: the bytes of a version, out of the registry again."""

from pathlib import Path

import click

from homeport.cli import options, waiting
from homeport.client import resources
from homeport.errors import InvalidArgumentError


@click.command("export")
@click.argument("model", metavar="MODEL[@VERSION]")
@click.argument("destination", metavar="gs://BUCKET[/PREFIX]|FOLDER")
@options.server_options
def export(model: str, destination: str, **server: str) -> None:
    """Copy the files of a version, as they were uploaded, to a bucket or a folder.

    In a bucket they get a folder of their own below the prefix. Files of their names
    that are in FOLDER are replaced.
    """
    # Deferred: what copies bytes is for this command of its group alone.
    from homeport.client import exporting  # noqa: PLC0415

    if "://" not in destination and Path(destination).is_file():
        raise InvalidArgumentError(
            f"{destination} is a file: give a folder, or gs://BUCKET/PREFIX"
        )
    with options.connect(**server) as connection:
        name = resources.find_version(connection, model)
        found = resources.get(connection, name)
        version = f"{found['name'].partition('@')[0]}@{found['versionId']}"
        with waiting.shown("the server copies it"):
            where = exporting.export(connection, version, destination)
    click.echo(f"exported    {version} to {where}")
