"""`homeport db`: the shape of a server's database."""

from pathlib import Path
from typing import Final

import click

from homeport import maintenance
from homeport.cli import datadir
from homeport.errors import FailedPreconditionError
from homeport.settings import Settings

_EPILOG: Final = """\b
Examples:
  homeport db status
  homeport backup /backups/registry && homeport db upgrade

A server that is alone with its database upgrades it by itself when it starts.
"""


@click.group(epilog=_EPILOG)
def db() -> None:
    """Show which shape the database has, and bring it to the newest."""


@db.command()
@datadir.with_rows(exists=True)
def status(data_dir: Path, database_url: str | None) -> None:
    """Tell which shape the database has; the server may run.

    Ends with 1 if it is not the newest.
    """
    shape = maintenance.database_shape(Settings(data_dir, database_url))
    click.echo(f"database  {shape.revision or 'no tables'}")
    click.echo(f"homeport  {shape.newest}")
    if shape.is_newer:
        raise FailedPreconditionError(
            f"the database is of shape {shape.revision}, of a newer Homeport: start "
            "that version or restore a backup"
        )
    if shape.missing:
        raise FailedPreconditionError(
            f"the database lacks {', '.join(shape.missing)}: take a backup (homeport "
            "backup), then homeport db upgrade"
        )


@db.command()
@datadir.with_rows(exists=True)
def upgrade(data_dir: Path, database_url: str | None) -> None:
    """Bring the database to the newest shape: all of it, or nothing.

    There is no way back but a backup: take one first (homeport backup). Servers that
    use the database must be stopped.
    """
    before = maintenance.upgrade_database(Settings(data_dir, database_url))
    if before.missing:
        came = f"from {before.revision}" if before.revision else "from nothing"
        click.echo(f"The database is now of shape {before.newest}, {came}.")
    else:
        click.echo(f"The database was of shape {before.newest} already.")
