"""Removing what is left of uploads that are over: their rows, what arrived of them."""

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable

from homeport.errors import UnavailableError
from homeport.metadata import upload_rows
from homeport.metadata.database import Database
from homeport.registry.byte_stores import ByteStores
from homeport.registry.object_uploads import SESSION_LIFETIME


@dataclasses.dataclass(frozen=True, slots=True)
class Leftovers:
    """Uploads of which something arrived that no session needs any more.

    Attributes:
        received: Those over several requests.
        in_parts: Those in parts.
    """

    received: tuple[str, ...] = ()
    in_parts: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return how many uploads they are."""
        return len(self.received) + len(self.in_parts)


def find(database: Database, stored: ByteStores, now: dt.datetime) -> Leftovers:
    """Return what `sweep` would remove; nothing changes."""
    # Before the rows are read: a session has its row before it has bytes.
    received, in_parts = list(stored.blobs.uploads()), list(stored.parts.uploads())
    with database.snapshot() as transaction:
        needed = upload_rows.unfinished(transaction, now - SESSION_LIFETIME)
    return Leftovers(
        tuple(upload for upload in received if upload not in needed),
        tuple(upload for upload in in_parts if upload not in needed),
    )


def sweep(
    database: Database,
    stored: ByteStores,
    now: dt.datetime,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Leftovers:
    """Remove what no upload session needs any more; return of which uploads.

    While the server runs too: an upload that a request is writing to is let be, and
    goes the next time.

    Args:
        database: The rows; sessions older than a week are deleted.
        stored: The bytes.
        now: The time, aware.
        is_stopped: Asked before each upload; what is left then goes the next time.
    """
    with database.transaction() as transaction:
        upload_rows.delete_before(transaction, now - SESSION_LIFETIME)
    found = find(database, stored, now)
    for upload in found.received:
        if is_stopped():
            return found
        with contextlib.suppress(UnavailableError), stored.claims.hold(upload):
            stored.blobs.resume(upload).abort()
    for upload in found.in_parts:
        if is_stopped():
            return found
        stored.parts.discard(upload)
    return found
