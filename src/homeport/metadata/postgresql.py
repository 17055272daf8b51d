"""PostgreSQL: its connections, its write lock, and what its errors mean.

Whoever writes holds one advisory lock from the beginning of the transaction to its
end, as on SQLite: what a verb has read is still true when it writes, no version id is
given twice, and there are no deadlocks or serialization failures to be retried.
Readers neither take it nor wait for it.
"""

from typing import Any, Final

import orjson
import sqlalchemy as sa

from homeport.errors import FailedPreconditionError

# Advisory locks are numbers, one space of them in each database.
_WRITING: Final = int.from_bytes(b"homeport")
_SERVING: Final = _WRITING + 1
# How long a server waits for one that is alone: it upgrades, or sweeps unused bytes.
_START_S: Final = 30
# How long the place of one that has ended lasts, at most.
_ENDING_S: Final = 1
_LOCK_NOT_AVAILABLE: Final = "55P03"
_GLANCE: Final = "homeport_glance"
_KEPT_READERS: Final = 16
_MOST_READERS: Final = 40
_CONNECT_TIMEOUT_S: Final = 10
# SQLSTATE classes: no connection; resources; an operator's hand; the system.
_OF_THE_MOMENT: Final = frozenset({"08", "53", "55", "57", "58"})


def connect(
    url: sa.URL, busy_timeout_s: float
) -> tuple[sa.Engine, sa.Engine, sa.Engine]:
    """Return where transactions that write begin, where snapshots do, and glances.

    Writers have connections of their own, so that no reader keeps them waiting.

    Args:
        url: `postgresql+psycopg://...`.
        busy_timeout_s: How long to wait for what another process has locked.

    Raises:
        FailedPreconditionError: The driver is not installed.
    """
    # One of this process writes at a time: `Database` sees to it.
    writing = _engine(url, pool_size=1, max_overflow=1)
    reading = _engine(
        url,
        pool_size=_KEPT_READERS,
        max_overflow=_MOST_READERS - _KEPT_READERS,
    )

    def prepare_writer(connection: Any, record: object) -> None:  # noqa: ANN401  # psycopg's, not imported
        del record
        connection.execute(f"SET lock_timeout = {int(busy_timeout_s * 1000)}")
        # Whatever the database's own is: one view for the whole transaction would be
        # that of before the lock was waited for.
        connection.execute("SET default_transaction_isolation = 'read committed'")
        connection.commit()

    def prepare_reader(connection: Any, record: object) -> None:  # noqa: ANN401  # the same
        del record
        # No implicit BEGIN by the driver, ours instead.
        connection.autocommit = True

    sa.event.listen(writing, "connect", prepare_writer)
    sa.event.listen(writing, "begin", _lock)
    sa.event.listen(reading, "connect", prepare_reader)
    sa.event.listen(reading, "begin", _begin_snapshot)
    return writing, reading, reading.execution_options(**{_GLANCE: True})


def is_our_fault(error: sa.exc.DBAPIError) -> bool:
    """Tell whether the SQL is wrong, and not the moment."""
    state = getattr(error.orig, "sqlstate", None)
    return state is not None and state[:2] not in _OF_THE_MOMENT


def check_encoding(transaction: sa.Connection) -> None:
    """Refuse a database that cannot hold every text.

    Raises:
        FailedPreconditionError: Its encoding is not UTF-8.
    """
    encoding = transaction.scalar(sa.text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise FailedPreconditionError(
            f"the PostgreSQL database has the encoding {encoding}: make one with "
            "CREATE DATABASE ... TEMPLATE template0 ENCODING 'UTF8'"
        )


def hold(url: sa.URL) -> sa.Connection | None:
    """Return a connection that keeps servers away while it is open.

    None if a server has the database.
    """
    connection = _apart(url)
    # PostgreSQL lets go of what a process has held a moment after its end.
    connection.exec_driver_sql(f"SET lock_timeout = '{_ENDING_S}s'")
    try:
        connection.execute(sa.select(sa.func.pg_advisory_lock(_SERVING)))
    except sa.exc.DBAPIError as error:
        connection.close()
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        return None
    return connection


def join(url: sa.URL) -> sa.Connection:
    """Return a connection that is one server's among several, while it is open.

    Raises:
        FailedPreconditionError: One keeps the others away for long.
    """
    connection = _apart(url)
    try:
        connection.exec_driver_sql(f"SET lock_timeout = '{_START_S}s'")
        connection.execute(sa.select(sa.func.pg_advisory_lock_shared(_SERVING)))
    except sa.exc.DBAPIError as error:
        connection.close()
        raise FailedPreconditionError(
            "another homeport server uses this database for itself, or a command "
            "upgrades it: stop it, or give this one another --database-url"
        ) from error
    return connection


def share(connection: sa.Connection) -> None:
    """Let other servers in beside the one that was alone."""
    connection.execute(sa.select(sa.func.pg_advisory_lock_shared(_SERVING)))
    connection.execute(sa.select(sa.func.pg_advisory_unlock(_SERVING)))


def collate_bytewise(transaction: sa.Connection) -> None:
    """Give every text column the order of its bytes, whatever the database's own is.

    Lists and prefixes then are in one order everywhere, and an index serves them.
    """
    columns = transaction.execute(
        sa.text(
            "SELECT table_name, column_name, character_maximum_length AS longest "
            "FROM information_schema.columns WHERE table_schema = current_schema() "
            "AND data_type = 'character varying' "
            "AND collation_name IS DISTINCT FROM 'C'"
        )
    ).all()
    quote = transaction.dialect.identifier_preparer.quote
    for column in columns:
        length = f"({column.longest})" if column.longest else ""
        transaction.exec_driver_sql(
            f"ALTER TABLE {quote(column.table_name)} ALTER COLUMN "
            f'{quote(column.column_name)} TYPE VARCHAR{length} COLLATE "C"'
        )


def _apart(url: sa.URL) -> sa.Connection:
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    return engine.connect()


def _engine(url: sa.URL, **options: Any) -> sa.Engine:  # noqa: ANN401  # as SQLAlchemy has them
    try:
        return sa.create_engine(
            url,
            pool_timeout=_CONNECT_TIMEOUT_S,
            json_deserializer=orjson.loads,
            connect_args={
                "connect_timeout": _CONNECT_TIMEOUT_S,
                "client_encoding": "utf8",
            },
            **options,
        )
    except ImportError as error:
        raise FailedPreconditionError(
            "PostgreSQL needs the driver psycopg: pip install 'psycopg[binary]' (the "
            "extra homeport[postgres])"
        ) from error


def _begin_snapshot(connection: sa.Connection) -> None:
    if connection.get_execution_options().get(_GLANCE, False):
        return
    connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _lock(connection: sa.Connection) -> None:
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITING)))
