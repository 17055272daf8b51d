"""Removing bytes that nothing refers to any more."""

import dataclasses
import datetime as dt
import io
import itertools
import threading
from collections.abc import Callable, Collection, Iterator
from typing import Final, final

from homeport.metadata import (
    artifact_rows,
    blob_rows,
    operation_rows,
    skeleton_rows,
)
from homeport.metadata.database import Database, Transaction
from homeport.objects.blobs import Blobs
from homeport.resources.names import OperationName

_BATCH: Final = 500  # SQLite before 3.32 takes at most 999 parameters
# Everybody who writes waits while so many go, each some round trips of a bucket.
_FEW: Final = 10


def sweep(
    database: Database, blobs: Blobs, now: dt.datetime, *, grace: dt.timedelta
) -> set[str]:
    """Delete what no object and no artifact needs; return which blobs, by digest.

    Run it when the server starts, before it listens: a registration that read an
    object's row and has not yet written its artifact holds no reference. What was
    written within the grace period stays, so objects being written are safe at all
    times: their blob comes first.

    Args:
        database: The rows.
        blobs: The bytes.
        now: The time, aware.
        grace: How long a blob may be without a row.
    """
    with database.transaction() as transaction:
        skeleton_rows.delete(transaction, skeleton_rows.unneeded(transaction))
    swept: set[str] = set()
    for batch in _batches(blobs.iterate()):
        # The write lock is held while files go: no row for them can appear meanwhile.
        with database.transaction() as transaction:
            unused = set(batch) - blob_rows.referenced(transaction, batch)
            swept |= {
                sha256
                for sha256 in unused
                if blobs.delete(sha256, unused_since=now - grace)
            }
    return swept


@final
class Sweeper:
    """Deletes unused bytes while the server runs: what two looks found unused.

    Who opened an object or began to register it before it was deleted has the time
    from one look to the next; an operation that takes longer holds the sweep up.

    Args:
        database: The rows.
        blobs: The bytes as they lie there.
        now: The time, aware.
        grace: How much older than the look before a blob is at least, where its time
            is of another clock.
    """

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        now: Callable[[], dt.datetime],
        *,
        grace: dt.timedelta = dt.timedelta(),
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._now = now
        self._grace = grace
        self._stopped = threading.Event()
        self._looked: dt.datetime | None = None
        self._working: set[OperationName] = set()
        self._unused: set[str] = set()
        self._unneeded: set[str] = set()

    def stop(self) -> None:
        """Give up within a moment, for good."""
        self._stopped.set()

    def look(self) -> int:
        """Delete what is unused as it was at the last look; return how many blobs."""
        began = self._now()
        with self._database.transaction() as transaction:
            since = self._removable_since(transaction)
            artifact_rows.delete_unreferenced(transaction)
            unneeded = skeleton_rows.unneeded(transaction)
            if since is not None:
                skeleton_rows.delete(transaction, unneeded & self._unneeded)
        unused: set[str] = set()
        gone: set[str] = set()
        for batch in _batches(self._blobs.iterate()):
            with self._database.snapshot() as transaction:
                found = set(batch) - blob_rows.referenced(transaction, batch)
            unused |= found
            if since is not None:
                gone |= self._deleted(found & self._unused, since)
            if self._stopped.is_set():
                return len(gone)
        with self._database.snapshot() as transaction:
            # At the end: who began during this look may need what it found unused.
            self._working = _working(transaction)
        self._looked, self._unneeded, self._unused = began, unneeded, unused - gone
        return len(gone)

    def _removable_since(self, transaction: Transaction) -> dt.datetime | None:
        """Return the time of the last look, None if nothing may go now."""
        if self._looked is None or self._working & _working(transaction):
            return None
        return self._looked - self._grace

    def _deleted(self, unused: Collection[str], since: dt.datetime) -> set[str]:
        gone: set[str] = set()
        for few in _batches(iter(unused), _FEW):
            if self._stopped.is_set():
                break
            # The write lock is held while files go, as in `sweep`.
            with self._database.transaction() as transaction:
                still = set(few) - blob_rows.referenced(transaction, few)
                gone.update(
                    sha256
                    for sha256 in still
                    if self._blobs.delete(sha256, unused_since=since)
                )
        return gone


def _working(transaction: Transaction) -> set[OperationName]:
    return {one.name for one in operation_rows.unfinished(transaction)}


@dataclasses.dataclass(frozen=True, slots=True)
class Unused:
    """A blob that nothing needs.

    Attributes:
        sha256: Its digest.
        size_bytes: How much it takes.
    """

    sha256: str
    size_bytes: int


def unused(database: Database, blobs: Blobs) -> tuple[Unused, ...]:
    """Return what `sweep` would delete, by digest; nothing changes.

    Args:
        database: The rows; artifacts of no version count for nothing.
        blobs: The bytes.
    """
    found = []
    for batch in _batches(blobs.iterate()):
        with database.snapshot() as transaction:
            needed = blob_rows.needed_of(transaction, batch)
        found += sorted(set(batch) - needed)
    return tuple(Unused(sha256, _size_bytes(blobs, sha256)) for sha256 in sorted(found))


def _size_bytes(blobs: Blobs, sha256: str) -> int:
    with blobs.open(sha256) as file:
        return file.seek(0, io.SEEK_END)


def _batches(digests: Iterator[str], most: int = _BATCH) -> Iterator[list[str]]:
    while batch := list(itertools.islice(digests, most)):
        yield batch
