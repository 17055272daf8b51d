"""SQLite, the embedded database: its connections, and what its errors mean."""

import sqlite3
from typing import Final

import orjson
import sqlalchemy as sa

_READ_ONLY: Final = "homeport_read_only"
# Every thread may have one: a thread that waits for a connection could hold up the one
# that has the turn to write.
_KEPT_CONNECTIONS: Final = 64
# Of the database in each connection's memory. A page of a list reads from a thousand
# places; SQLite's own 2 MB hold half of them.
_CACHED_KIB: Final = 16 * 1024


def connect(
    url: sa.URL, busy_timeout_s: float
) -> tuple[sa.Engine, sa.Engine, sa.Engine]:
    """Return where transactions that write begin, where snapshots do, and glances.

    Args:
        url: `sqlite:///path`.
        busy_timeout_s: How long to wait for what another process has locked.
    """
    writing = sa.create_engine(
        url,
        poolclass=sa.QueuePool,
        pool_size=_KEPT_CONNECTIONS,
        max_overflow=-1,
        connect_args={"timeout": busy_timeout_s},
        json_deserializer=orjson.loads,
    )
    sa.event.listen(writing, "connect", _prepare)
    sa.event.listen(writing, "begin", _begin)
    reading = writing.execution_options(**{_READ_ONLY: True})
    return writing, reading, reading


def is_our_fault(error: sa.exc.DBAPIError) -> bool:
    """Tell whether the SQL is wrong, and not the moment."""
    return getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR


def _prepare(connection: sqlite3.Connection, record: object) -> None:
    del record
    # SQLAlchemy's advice for SQLite: no implicit BEGIN by the driver, ours instead.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA cache_size=-{_CACHED_KIB}")
    # As `=` and as PostgreSQL's LIKE.
    connection.execute("PRAGMA case_sensitive_like=ON")


def _begin(connection: sa.Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
