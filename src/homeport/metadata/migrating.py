"""Migrating: a database brought from one shape to another, by Alembic.

This module and the migrations alone import Alembic.
"""

import pathlib
from typing import Final

import alembic.command
import alembic.config
import alembic.util
import sqlalchemy as sa

from homeport.errors import FailedPreconditionError

_MIGRATIONS: Final = pathlib.Path(__file__).parent / "migrations"


def migrate(transaction: sa.Connection, revision: str) -> None:
    """Bring an empty or older database to one shape, in the caller's transaction.

    Args:
        transaction: One that writes.
        revision: The number of a migration.

    Raises:
        FailedPreconditionError: A newer Homeport has already changed its shape, or
            knows this one.
    """
    config = alembic.config.Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = transaction
    try:
        alembic.command.upgrade(config, revision)
    except alembic.util.CommandError as error:
        raise FailedPreconditionError(
            "the database was written by a newer Homeport: "
            "start that version or restore a backup"
        ) from error
