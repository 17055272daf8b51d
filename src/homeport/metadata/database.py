"""The database: opened, brought to the newest shape, and used in transactions."""

import contextlib
import pathlib
import sqlite3
import threading
from collections.abc import Iterator
from typing import Final

import alembic.command
import alembic.config
import sqlalchemy as sa

from homeport.errors import FailedPreconditionError, UnavailableError

Transaction = sa.Connection
"""What the `*_rows` functions work in; open one with `Database.transaction`."""

_MIGRATIONS: Final = pathlib.Path(__file__).parent / "migrations"
_READ_ONLY: Final = "homeport_read_only"
_BUSY_TIMEOUT_S: Final = 10.0
# Writers of this process queue up here instead of polling SQLite's lock, where under
# load one may find it taken each time it looks.
_TURN_TIMEOUT_S: Final = 60.0
_KEPT_CONNECTIONS: Final = 64


class DatabaseUnavailableError(UnavailableError):
    """The database could not be read or written now; the same may succeed later."""


class Database:
    """A SQL database of registry rows.

    Args:
        url: A SQLAlchemy URL; `sqlite:///path` is the embedded default.
        busy_timeout_s: How long SQLite waits for what another process has locked.
    """

    def __init__(self, url: str, *, busy_timeout_s: float = _BUSY_TIMEOUT_S) -> None:
        self._turn: threading.Lock | None = None
        if sa.make_url(url).get_backend_name() != "sqlite":
            self._engine = sa.create_engine(url)
            return
        self._turn = threading.Lock()
        # Every thread may have one: a thread that waits for a connection could hold
        # up the one that has the turn to write.
        self._engine = sa.create_engine(
            url,
            poolclass=sa.QueuePool,
            pool_size=_KEPT_CONNECTIONS,
            max_overflow=-1,
            connect_args={"timeout": busy_timeout_s},
        )
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
        true when it writes. Never open one inside another.

        Raises:
            DatabaseUnavailableError: It is locked, full or cannot be reached.
        """
        with (
            _translated(),
            self._own_turn(),
            self._engine.connect() as connection,
            connection.begin(),
        ):
            yield connection

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """Yield a transaction that only reads, one consistent view of all rows.

        Raises:
            DatabaseUnavailableError: It is locked or cannot be reached.
        """
        engine = self._engine.execution_options(**{_READ_ONLY: True})
        with _translated(), engine.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _own_turn(self) -> Iterator[None]:
        """Let one writer of this process after the other into SQLite."""
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=_TURN_TIMEOUT_S):
            raise DatabaseUnavailableError(
                f"the database was busy for {_TURN_TIMEOUT_S:g} s: retry in a moment"
            )
        try:
            yield
        finally:
            self._turn.release()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sa.exc.OperationalError as error:
        code = getattr(error.orig, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_ERROR:  # of our SQL, not of the moment
            raise
        raise DatabaseUnavailableError(
            f"the database cannot be used right now ({error.orig}): retry in a moment, "
            "and see that its disk has room"
        ) from error


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    del record
    # SQLAlchemy's advice for SQLite: no implicit BEGIN by the driver, ours instead.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    # As `=` and as PostgreSQL's LIKE.
    connection.execute("PRAGMA case_sensitive_like=ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
