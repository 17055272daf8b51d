"""`homeport backup` and `homeport restore`: a copy of everything, and back from it."""

from pathlib import Path
from typing import Final

import click

from homeport import maintenance
from homeport.cli import datadir
from homeport.registry.backup import Summary
from homeport.settings import Settings

_BACKUP_EPILOG: Final = """\b
Examples:
  homeport backup /backups/registry
  homeport restore /backups/registry --check

A second backup into the same folder brings it up to now, and copies what is new alone.
"""
_RESTORE_EPILOG: Final = """\b
Examples:
  homeport restore /backups/registry --data-dir /srv/homeport
From a laptop's SQLite to a team's PostgreSQL, with an empty database:
  homeport restore /backups/laptop --data-dir /srv/homeport \\
    --database-url postgresql+psycopg://me@localhost/registry
"""
_directory = click.argument(
    "directory", type=click.Path(path_type=Path, file_okay=False)
)


@click.command(epilog=_BACKUP_EPILOG)
@_directory
@datadir.with_rows(exists=True)
@datadir.with_bytes
@click.option(
    "--rows-only",
    is_flag=True,
    help="Name the blobs and leave their bytes: in a bucket with backups of its own.",
)
def backup(directory: Path, *, rows_only: bool, **values: object) -> None:
    """Copy everything that a server remembers to DIRECTORY; it may run meanwhile.

    Rows, bytes, and the secret, keys and certificates of this installation: keep it
    where only you can read it. Environments, logs and uploads under way are left out.
    """
    settings = Settings(**values)  # type: ignore[arg-type]  # the options are its fields
    summary = maintenance.take_backup(settings, directory, with_blobs=not rows_only)
    if summary.with_blobs:
        click.echo(f"{_told(summary)}, {summary.new_bytes} bytes of them new.")
    else:
        click.echo(
            f"{summary.rows} rows, and the names of {summary.blobs} blobs, whose bytes "
            "stay in the bucket."
        )
    _tell_private(summary, "It holds")


@click.command(epilog=_RESTORE_EPILOG)
@_directory
@datadir.with_rows(exists=False)
@datadir.with_bytes
@click.option("--check", is_flag=True, help="Read the backup through, restore nothing.")
def restore(directory: Path, *, check: bool, **values: object) -> None:
    """Make a new data directory, and the rows of an empty database, of a backup.

    Every byte is verified before anything is there.
    """
    if check:
        click.echo(f"{_told(maintenance.check_backup(directory))}: as they were.")
        return
    settings = Settings(**values)  # type: ignore[arg-type]  # the options are its fields
    summary = maintenance.restore_backup(directory, settings)
    click.echo(f"{_told(summary)} are in {settings.data_dir}.")
    _tell_private(summary, "With")
    click.echo(f"Next: homeport serve --data-dir {settings.data_dir}", err=True)


def _told(summary: Summary) -> str:
    return (
        f"{summary.rows} rows and {summary.blobs} blobs of {summary.blob_bytes} bytes"
    )


def _tell_private(summary: Summary, how: str) -> None:
    if summary.private:
        click.echo(
            f"{how} private files of this installation: {', '.join(summary.private)}.",
            err=True,
        )
