"""Removing what is left of uploads that are over: their rows, what arrived of them."""

import contextlib
import datetime as dt

from homeport.errors import UnavailableError
from homeport.metadata import upload_rows
from homeport.metadata.database import Database
from homeport.registry.byte_stores import ByteStores
from homeport.registry.object_uploads import SESSION_LIFETIME


def sweep(database: Database, stored: ByteStores, now: dt.datetime) -> int:
    """Remove what no upload session needs any more; return of how many uploads.

    While the server runs too: an upload that a request is writing to is let be, and
    goes the next time.

    Args:
        database: The rows; sessions older than a week are deleted.
        stored: The bytes.
        now: The time, aware.
    """
    with database.transaction() as transaction:
        upload_rows.delete_before(transaction, now - SESSION_LIFETIME)
    # Before the rows are read: a session has its row before it has bytes.
    received, in_parts = list(stored.blobs.uploads()), list(stored.parts.uploads())
    with database.snapshot() as transaction:
        unfinished = upload_rows.unfinished(transaction)
    over = [upload for upload in received if upload not in unfinished]
    parted = [upload for upload in in_parts if upload not in unfinished]
    for upload in over:
        with contextlib.suppress(UnavailableError), stored.claims.hold(upload):
            stored.blobs.resume(upload).abort()
    for upload in parted:
        stored.parts.discard(upload)
    return len(over) + len(parted)
