"""Rereading every byte that a row needs, and saying what is not as it was."""

import dataclasses
from collections.abc import Iterator

from homeport.errors import DataLossError
from homeport.metadata import blob_rows
from homeport.metadata.database import Database
from homeport.objects.blobs import Blobs
from homeport.registry.pieces import PiecedBlobs


@dataclasses.dataclass(frozen=True, slots=True)
class Verified:
    """One blob, or one file that is kept as pieces, that was read through.

    Attributes:
        sha256: Its digest.
        size_bytes: How many bytes there were; 0 if it is lost.
        fault: What is wrong, one sentence; "" if nothing is.
        users: The objects and versions that need it, if something is.
    """

    sha256: str
    size_bytes: int
    fault: str = ""
    users: tuple[str, ...] = ()


def verify(database: Database, blobs: Blobs) -> Iterator[Verified]:
    """Yield every blob that an object or a version needs, and every file of pieces.

    First the blobs in the order of their digests, then the files that are kept as
    pieces, each put together.

    Args:
        database: The rows.
        blobs: The bytes as they lie there; all of them are read.
    """
    with database.snapshot() as transaction:
        needed = blob_rows.all_needed(transaction)
        divided = blob_rows.all_divided(transaction)
    pieced = PiecedBlobs(database, blobs)
    for kept, digests in ((blobs, needed), (pieced, divided)):
        for sha256 in digests:
            yield _verified(database, kept, sha256)


def _verified(database: Database, blobs: Blobs, sha256: str) -> Verified:
    try:
        return Verified(sha256, blobs.measure(sha256).size_bytes)
    except DataLossError as error:
        with database.snapshot() as transaction:
            users = blob_rows.users(transaction, sha256)
        return Verified(sha256, 0, error.message, tuple(users))
