"""Removing bytes that nothing refers to any more."""

import dataclasses
import datetime as dt
import io
import itertools
from collections.abc import Iterator
from typing import Final

from homeport.metadata import blob_rows, skeleton_rows, upload_rows
from homeport.metadata.database import Database
from homeport.objects.blobs import Blobs
from homeport.objects.parts import Parts
from homeport.registry.object_uploads import SESSION_LIFETIME

_BATCH: Final = 500  # SQLite before 3.32 takes at most 999 parameters


def sweep(
    database: Database, blobs: Blobs, now: dt.datetime, *, grace: dt.timedelta
) -> int:
    """Delete what no object, artifact or upload session needs; return how many blobs.

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
        upload_rows.delete_before(transaction, now - SESSION_LIFETIME)
        sessions = upload_rows.unfinished(transaction)
        skeleton_rows.delete_unneeded(transaction)
    for upload in list(blobs.uploads()):
        if upload not in sessions:
            blobs.resume(upload).abort()
    swept = 0
    for batch in _batches(blobs.iterate()):
        # The write lock is held while files go: no row for them can appear meanwhile.
        with database.transaction() as transaction:
            unused = set(batch) - blob_rows.referenced(transaction, batch)
            swept += sum(
                blobs.delete(sha256, unused_since=now - grace) for sha256 in unused
            )
    return swept


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


def sweep_parts(database: Database, parts: Parts) -> None:
    """Remove the parts of uploads that are over, completed or not.

    Run it when the server starts, after `sweep`.

    Args:
        database: The rows.
        parts: The bytes.
    """
    with database.snapshot() as transaction:
        sessions = upload_rows.unfinished(transaction)
    for upload in list(parts.uploads()):
        if upload not in sessions:
            parts.discard(upload)


def _batches(digests: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(itertools.islice(digests, _BATCH)):
        yield batch
