"""Rereading every byte that a row needs, and saying what is not as it was."""

import dataclasses
from collections.abc import Iterator

from homeport.errors import DataLossError
from homeport.metadata import bucket_rows
from homeport.metadata.database import Database
from homeport.objects.blobs import Blobs


@dataclasses.dataclass(frozen=True, slots=True)
class Verified:
    """One blob that was read through.

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
    """Yield every blob that an object or a version needs, in the order of digests.

    Args:
        database: The rows.
        blobs: The bytes; all of them are read.
    """
    with database.snapshot() as transaction:
        needed = bucket_rows.needed_blobs(transaction)
    for sha256 in needed:
        try:
            yield Verified(sha256, blobs.measure(sha256).size_bytes)
        except DataLossError as error:
            with database.snapshot() as transaction:
                users = bucket_rows.blob_users(transaction, sha256)
            yield Verified(sha256, 0, error.message, tuple(users))
