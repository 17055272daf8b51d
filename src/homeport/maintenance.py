"""What is done to a server's data by commands: its shape, backups and their return.

A second composition root beside `wiring`, of no server.
"""

import contextlib
import dataclasses
import datetime as dt
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from homeport import opening
from homeport.errors import FailedPreconditionError
from homeport.metadata.database import Database, is_empty, revision_of, revisions
from homeport.registry import (
    backup,
    blob_sweep,
    holding,
    possession,
    session_sweep,
    tenancy,
    verification,
)
from homeport.settings import Settings


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """Which shape a database has.

    Attributes:
        revision: The number of its last migration, "" for a database without tables.
        newest: That of this Homeport.
        missing: The numbers of the migrations it lacks, oldest first.
    """

    revision: str
    newest: str
    missing: tuple[str, ...]

    @property
    def is_newer(self) -> bool:
        """Whether a newer Homeport has changed it."""
        return bool(self.revision) and self.revision not in revisions()


def database_shape(settings: Settings) -> Shape:
    """Return which shape the database has; nothing changes, a server may run.

    Raises:
        FailedPreconditionError: There is no database.
        UnavailableError: It cannot be reached.
    """
    with _rows(settings) as database:
        return _shape(database)


def upgrade_database(settings: Settings) -> Shape:
    """Bring the database to the newest shape; return which one it had.

    Raises:
        FailedPreconditionError: A server uses it, there is none, or a newer Homeport
            has changed it.
        UnavailableError: It cannot be reached.
    """
    with holding.held(settings.data_dir), _rows(settings) as database:
        tenancy.hold(database)
        before = _shape(database)
        database.upgrade()
    return before


@dataclasses.dataclass(frozen=True, slots=True)
class Garbage:
    """What nothing needs.

    Attributes:
        blobs: By digest.
        uploads: Of how many uploads that are over something was left.
    """

    blobs: tuple[blob_sweep.Unused, ...] = ()
    uploads: int = 0


def collect_garbage(settings: Settings, *, dry_run: bool) -> Garbage:
    """Return the bytes that nothing needs, and remove them unless it is a dry run.

    What another clock has dated within a day is not removed, nor returned as if.

    Raises:
        FailedPreconditionError: A server uses the data directory.
    """
    with opening.apart(settings) as (database, stored):
        unused = blob_sweep.unused(database, stored.blobs)
        over = session_sweep.find(database, stored, dt.datetime.now(dt.UTC))
        if not dry_run:
            gone = opening.sweep(database, stored)
            unused = tuple(blob for blob in unused if blob.sha256 in gone)
    return Garbage(unused, len(over))


def verify(settings: Settings) -> Iterator[verification.Verified]:
    """Yield every blob that is needed, read through.

    Raises:
        FailedPreconditionError: A server uses the data directory.
    """
    with opening.apart(settings) as (database, stored):
        yield from verification.verify(database, stored.blobs)


def take_backup(
    settings: Settings, directory: pathlib.Path, *, with_blobs: bool = True
) -> backup.Summary:
    """Write a backup of a registry whose server may run; see `registry.backup`."""
    with _rows(settings) as database:
        blobs = opening.blobs_beside_a_server(settings)
        source = backup.Source(database, blobs, settings.data_dir, with_blobs)
        return backup.take(source, directory, dt.datetime.now(dt.UTC))


def check_backup(directory: pathlib.Path) -> backup.Summary:
    """Read a backup through; see `registry.backup`."""
    return backup.check(directory)


def restore_backup(directory: pathlib.Path, settings: Settings) -> backup.Summary:
    """Make a data directory, and the rows of an empty database, of a backup.

    Nothing is there before everything is.

    Args:
        directory: The backup's.
        settings: Where it goes.

    Raises:
        FailedPreconditionError: The data directory, the database or the bucket has
            something in it; or the backup is a newer Homeport's.
        InvalidArgumentError: There is no backup.
        DataLossError: A file of the backup is lost, or not as it was written.
        ResourceExhaustedError: The disk is full.
    """
    data_dir = settings.data_dir
    _check_empty(data_dir)
    with _private(data_dir.parent, data_dir.name) as staging:
        url = settings.database_url
        database = Database(url or f"sqlite:///{staging / 'homeport.db'}")
        try:
            stored = opening.bytes_of(settings, staging)
            tenancy.hold(database)
            with database.transaction() as transaction:
                if not is_empty(transaction):
                    raise FailedPreconditionError(
                        "the database has tables already: make an empty one and name it"
                    )
                into = backup.Source(database, stored.blobs, staging)
                summary = backup.restore(directory, into, transaction)
                if stored.bucket is not None:
                    possession.begin_in_bucket(
                        transaction,
                        staging,
                        stored.bucket,
                        again=not summary.with_blobs,
                    )
                if url is not None:
                    possession.begin(transaction, staging)
                    # The rows are there when the transaction ends, a moment later.
                    staging.replace(data_dir)
        finally:
            database.close()
        if url is None:
            staging.replace(data_dir)
    return summary


def _shape(database: Database) -> Shape:
    with database.snapshot() as transaction:
        revision = revision_of(transaction)
    known = revisions()
    done = known.index(revision) + 1 if revision in known else 0
    return Shape(revision, known[-1], known[done:])


@contextlib.contextmanager
def _rows(settings: Settings) -> Iterator[Database]:
    """Yield the rows as they are, whoever else uses them."""
    url, data_dir = settings.database_url, settings.data_dir
    if url is None:
        possession.refuse_foreign_rows(data_dir)
        if not (data_dir / "homeport.db").exists():
            raise FailedPreconditionError(
                f"the data directory {data_dir} has no database: name that of a server"
            )
    database = Database(url or f"sqlite:///{data_dir / 'homeport.db'}")
    try:
        yield database
    finally:
        database.close()


def _check_empty(data_dir: pathlib.Path) -> None:
    if data_dir.exists() and (not data_dir.is_dir() or any(data_dir.iterdir())):
        raise FailedPreconditionError(
            f"the data directory {data_dir} has something in it, and a backup is "
            "restored into a new or empty one: name another --data-dir"
        )


@contextlib.contextmanager
def _private(parent: pathlib.Path, name: str) -> Iterator[pathlib.Path]:
    """Yield an empty directory; gone at the end if it is still there."""
    before = os.umask(0o077)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        staging = pathlib.Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise FailedPreconditionError(
            f"cannot keep anything in {parent} ({error.strerror}): choose another "
            "--data-dir"
        ) from error
    finally:
        os.umask(before)
