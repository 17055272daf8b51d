"""The database: opened, brought to the newest shape, and used in transactions."""

import contextlib
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Final

import sqlalchemy as sa

from homeport.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    UnavailableError,
)
from homeport.metadata import postgresql, sqlite

Transaction = sa.Connection
"""What the `*_rows` functions work in; open one with `Database.transaction`."""

_MIGRATIONS: Final = pathlib.Path(__file__).parent / "migrations" / "versions"
_HEAD: Final = "head"
# Alembic's own table.
_VERSION: Final = sa.table("alembic_version", sa.column("version_num", sa.String()))
_BUSY_TIMEOUT_S: Final = 10.0
# Writers of this process queue up here instead of polling the database's lock, where
# under load one may find it taken each time it looks.
_TURN_TIMEOUT_S: Final = 60.0


class DatabaseUnavailableError(UnavailableError):
    """The database could not be read or written now; the same may succeed later."""


class Database:
    """A SQL database of registry rows.

    Args:
        url: `sqlite:///path`, the embedded default, or `postgresql+psycopg://...`.
        busy_timeout_s: How long to wait for what another process has locked.

    Raises:
        InvalidArgumentError: Another kind of URL.
        FailedPreconditionError: The database's driver is not installed.
    """

    def __init__(self, url: str, *, busy_timeout_s: float = _BUSY_TIMEOUT_S) -> None:
        self._url = parse_url(url)
        self._kind = sqlite if is_embedded(url) else postgresql
        self._writing, self._reading, self._glancing = self._kind.connect(
            self._url, busy_timeout_s
        )
        self._turn = threading.Lock()
        # The transaction whose turn it is, and what follows its commit.
        self._writes: Transaction | None = None
        self._calls: list[Callable[[], None]] = []
        self._held: sa.Connection | None = None
        self._closed = False

    def hold(self) -> None:
        """Keep servers away from a PostgreSQL database until `share` or `close`.

        Raises:
            FailedPreconditionError: A server has it.
            DatabaseUnavailableError: It cannot be reached.
        """
        if not self._try_to_hold():
            raise FailedPreconditionError(
                "another homeport server uses this database: stop every server that "
                "does, then try again"
            )

    def enter(self) -> bool:
        """Use the database as a server until `close`; tell whether it is alone.

        One that is alone keeps the others waiting until `share`. An embedded database
        has one server at a time by its data directory.

        Raises:
            FailedPreconditionError: A server of an older Homeport has it, or one that
                is starting has kept it for long.
            DatabaseUnavailableError: It cannot be reached.
        """
        if self._try_to_hold():
            return True
        with self._translated():
            self._held = postgresql.join(self._url)
        return False

    def share(self) -> None:
        """Let other servers in."""
        if self._held is not None:
            with self._translated():
                postgresql.share(self._held)

    def upgrade(self) -> None:
        """Bring an empty or older database to the newest shape, all or nothing.

        Two at once wait for each other, and the second finds nothing to do.

        Raises:
            FailedPreconditionError: A newer Homeport has already changed its shape, or
                its encoding is not UTF-8.
        """
        with self.transaction() as transaction:
            self.shape(transaction, _HEAD)

    def shape(self, transaction: Transaction, revision: str) -> None:
        """Bring an empty or older database to one shape, in the caller's transaction.

        Args:
            transaction: One that writes.
            revision: The number of a migration, or "head" for the newest.

        Raises:
            FailedPreconditionError: A newer Homeport has already changed its shape, or
                knows this one; or its encoding is not UTF-8.
        """
        if self._kind is postgresql:
            postgresql.check_encoding(transaction)
        wanted = revisions()[-1] if revision == _HEAD else revision
        if revision_of(transaction) == wanted:
            return
        # Deferred: Alembic takes a tenth of a start, and most starts need it not.
        from homeport.metadata import migrating  # noqa: PLC0415

        migrating.migrate(transaction, wanted)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Yield a transaction that writes: committed at the end, undone on a raise.

        It holds the one write lock from its start, so what it read is still true when
        it writes. Never open one inside another.

        Raises:
            DatabaseUnavailableError: It is locked, full or cannot be reached.
            InvalidArgumentError: A text that the database cannot hold.
        """
        with self._translated(), self._own_turn():
            calls = self._calls = []
            with self._begun(self._writing) as connection:
                self._writes = connection
                try:
                    yield connection
                finally:
                    self._writes = None
        for call in calls:
            call()

    def after_commit(self, transaction: Transaction, call: Callable[[], None]) -> None:
        """Have a function called once a transaction that writes is committed.

        Args:
            transaction: The one that writes now.
            call: Called on the transaction's thread, and never if that is undone. It
                raises nothing: what was committed would look as if it had failed.

        Raises:
            RuntimeError: It does not write, or has ended.
        """
        if transaction is not self._writes:
            raise RuntimeError("only a transaction that writes is ever committed")
        self._calls.append(call)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """Yield a transaction that only reads, one consistent view of all rows.

        Raises:
            DatabaseUnavailableError: It is locked or cannot be reached.
            InvalidArgumentError: A text that the database cannot hold.
        """
        with self._translated(), self._begun(self._reading) as connection:
            yield connection

    @contextlib.contextmanager
    def glance(self) -> Iterator[Transaction]:
        """Yield what reads by one statement: each sees a moment of its own.

        Sooner than a snapshot, which asks the database to begin and to end it.

        Raises:
            DatabaseUnavailableError: It is locked or cannot be reached.
            InvalidArgumentError: A text that the database cannot hold.
        """
        with self._translated(), self._begun(self._glancing) as connection:
            yield connection

    def close(self) -> None:
        """Close every connection, those in use when they are given back."""
        self._closed = True
        self.let_go()
        self._writing.dispose()
        self._reading.dispose()

    def _try_to_hold(self) -> bool:
        if self._kind is not postgresql:
            return True
        with self._translated():
            self._held = postgresql.hold(self._url)
        return self._held is not None

    def stay(self) -> None:
        """Take the place among other servers again if the connection to it was cut.

        Raises:
            FailedPreconditionError: Another has the database for itself by now.
            DatabaseUnavailableError: It cannot be reached.
        """
        if self._held is None:
            return
        try:
            self._held.execute(sa.select(1))
        except sa.exc.DBAPIError:
            self._held.invalidate()
            self._held.close()
            with self._translated():
                self._held = postgresql.join(self._url)

    def let_go(self) -> None:
        """Leave the database to other servers, though it stays open."""
        if self._held is not None:
            self._held.close()
            self._held = None

    @contextlib.contextmanager
    def _begun(self, engine: sa.Engine) -> Iterator[Transaction]:
        connection, transaction = _begin(engine)
        with connection:
            try:
                with transaction:
                    yield connection
            finally:
                if self._closed:
                    # There is no pool any more that would close it.
                    connection.detach()

    @contextlib.contextmanager
    def _own_turn(self) -> Iterator[None]:
        """Let one writer of this process after the other into the database."""
        if not self._turn.acquire(timeout=_TURN_TIMEOUT_S):
            raise DatabaseUnavailableError(
                f"the database was busy for {_TURN_TIMEOUT_S:g} s: retry in a moment"
            )
        try:
            yield
        finally:
            self._turn.release()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.TimeoutError as error:
            raise DatabaseUnavailableError(
                "every connection to the database is in use: retry in a moment"
            ) from error
        except sa.exc.DataError as error:
            raise InvalidArgumentError(
                f"the database cannot hold this text ({_cause(error)})"
            ) from error
        except sa.exc.OperationalError as error:
            if self._kind.is_our_fault(error):
                raise
            raise DatabaseUnavailableError(
                f"the database cannot be used right now ({_cause(error)}): retry in a "
                "moment, and see that its disk has room"
            ) from error


def _begin(engine: sa.Engine) -> tuple[sa.Connection, sa.RootTransaction]:
    """Begin a transaction, on another connection if the first one was cut meanwhile.

    A restarted database costs no request, and no request asks first whether there is
    one.
    """
    for last in (False, True):
        connection = engine.connect()
        try:
            return connection, connection.begin()
        except sa.exc.DBAPIError as error:
            connection.close()
            if last or not error.connection_invalidated:
                raise
        except BaseException:
            connection.close()
            raise
    raise AssertionError


def revisions() -> tuple[str, ...]:
    """Return the numbers that the files of migrations begin with, oldest first."""
    files = _MIGRATIONS.glob("[0-9]*.py")
    return tuple(sorted(file.name.partition("_")[0] for file in files))


def revision_of(transaction: Transaction) -> str:
    """Return the number of the last migration a database went through, "" if none."""
    if not sa.inspect(transaction).has_table(_VERSION.name):
        return ""
    return transaction.scalar(sa.select(_VERSION.c.version_num)) or ""


def is_empty(transaction: Transaction) -> bool:
    """Tell whether a database has no tables."""
    return not sa.inspect(transaction).get_table_names()


def parse_url(url: str) -> sa.URL:
    """Return a database's URL with the driver that Homeport uses.

    Raises:
        InvalidArgumentError: Neither SQLite's nor PostgreSQL's; says nothing of what
            the URL holds, which may be a password.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        parsed = sa.URL.create("unknown")
    if parsed.drivername in {"sqlite", "sqlite+pysqlite"} and parsed.database:
        return parsed
    if parsed.drivername in {"postgresql", "postgresql+psycopg"}:
        return parsed.set(drivername="postgresql+psycopg")
    raise InvalidArgumentError(
        "the database URL is none that Homeport knows: expected "
        "postgresql+psycopg://USER@HOST/NAME or sqlite:///PATH"
    ) from None


def is_embedded(url: str) -> bool:
    """Tell whether a URL is of SQLite, which lives in this process."""
    return parse_url(url).get_backend_name() == "sqlite"


def _cause(error: sa.exc.DBAPIError) -> str:
    """Return the driver's own words, of which libpq has several lines."""
    return " ".join(str(error.orig).split())
