"""The database: opened, brought to the newest shape, and used in transactions."""

import contextlib
import pathlib
import sqlite3
from collections.abc import Iterator
from typing import Final

import alembic.command
import alembic.config
import sqlalchemy as sa

from homeport.errors import FailedPreconditionError

Transaction = sa.Connection
"""What the `*_rows` functions work in; open one with `Database.transaction`."""

_MIGRATIONS: Final = pathlib.Path(__file__).parent / "migrations"
_READ_ONLY: Final = "homeport_read_only"
_BUSY_TIMEOUT_MS: Final = 10_000


class Database:
    """A SQL database of registry rows.

    Args:
        url: A SQLAlchemy URL; `sqlite:///path` is the embedded default.
    """

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(url)
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)

    def upgrade(self) -> None:
        """Bring an empty or older database to the newest shape, all or nothing.

        Raises:
            FailedPreconditionError: A newer Homeport has already changed its shape.
        """
        config = alembic.config.Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with self.transaction() as transaction:
            config.attributes["connection"] = transaction
            try:
                alembic.command.upgrade(config, "head")
            except alembic.util.CommandError as error:
                raise FailedPreconditionError(
                    "the database was written by a newer Homeport: "
                    "start that version or restore a backup"
                ) from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Yield a transaction that writes: committed at the end, undone on a raise.

        On SQLite it holds the one write lock from its start, so what it read is still
        true when it writes.
        """
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """Yield a transaction that only reads, one consistent view of all rows."""
        engine = self._engine.execution_options(**{_READ_ONLY: True})
        with engine.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    del record
    # SQLAlchemy's advice for SQLite: no implicit BEGIN by the driver, ours instead.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    # As `=` and as PostgreSQL's LIKE.
    connection.execute("PRAGMA case_sensitive_like=ON")
    connection.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")


def _begin_sqlite(connection: sa.Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
