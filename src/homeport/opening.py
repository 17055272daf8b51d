"""From settings to rows and bytes: for a server, and for commands beside none.

Below both composition roots; nothing here serves anything.
"""

import contextlib
import dataclasses
import datetime as dt
import os
import pathlib
from collections.abc import Iterator
from typing import final

from homeport.metadata import artifact_rows
from homeport.metadata.database import Database, is_embedded
from homeport.objects.addresses import StoreAddress
from homeport.objects.blobs import Blobs, FileBlobs
from homeport.objects.bucket_blobs import BucketBlobs
from homeport.registry import (
    blob_sweep,
    byte_stores,
    holding,
    possession,
    session_sweep,
    tenancy,
)
from homeport.registry.byte_stores import ByteStores, Reach
from homeport.registry.leases import Lease, identify
from homeport.settings import Settings


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """Rows and bytes for one server.

    Attributes:
        database: The rows, of the newest shape.
        stored: The bytes.
        server: The id of this server.
        secret: What every server on the rows signs with.
        lease: That it is alive, renewed once; None where it is alone by its data
            directory.
    """

    database: Database
    stored: ByteStores
    server: str
    secret: bytes
    lease: Lease | None


def for_server(settings: Settings) -> Opened:
    """Return rows and bytes, without the bytes that nothing refers to.

    Raises:
        FailedPreconditionError: Others use them, and this server cannot be beside them;
            or rows and bytes do not belong together.
    """
    url, data_dir = settings.database_url, settings.data_dir
    server = identify(data_dir)
    database = _database(settings)
    alone = tenancy.enter(database, server, shared=settings.blob_store is not None)
    stored = _bytes(settings, database)
    if alone:
        sweep(database, stored)
    secret = tenancy.shared_secret(database, data_dir)
    lease = None
    if url is not None and not is_embedded(url):
        lease = Lease(database, server)
        lease.renew()
        database.share()
    return Opened(database, stored, server, secret, lease)


@contextlib.contextmanager
def apart(settings: Settings) -> Iterator[tuple[Database, ByteStores]]:
    """Yield rows and bytes as they are, which no server uses meanwhile.

    Raises:
        FailedPreconditionError: A server uses them, or they do not belong together.
    """
    with holding.held(settings.data_dir):
        database = _database(settings)
        try:
            tenancy.hold(database)
            database.upgrade()
            yield database, _bytes(settings, database)
        finally:
            database.close()


def blobs_beside_a_server(settings: Settings) -> Blobs:
    """Return the bytes to be read, whoever else uses them; nothing is cleared away.

    Raises:
        FailedPreconditionError: They are in a bucket, and nobody says in which.
    """
    directory = settings.data_dir / "blobs"
    if settings.blob_store is None:
        possession.refuse_bytes_elsewhere(settings.data_dir)
        return FileBlobs(directory)
    address = StoreAddress.parse(settings.blob_store)
    return BucketBlobs(reach(settings).store(address), directory)


def sweep(database: Database, stored: ByteStores) -> set[str]:
    """Remove the bytes that nothing refers to; return which blobs, by digest.

    Nobody else uses those in the data directory yet. Another server may be writing to
    a bucket, by another clock.
    """
    with database.transaction() as transaction:
        artifact_rows.delete_unreferenced(transaction)
    now, grace = dt.datetime.now(dt.UTC), byte_stores.grace(stored)
    session_sweep.sweep(database, stored, now)
    return blob_sweep.sweep(database, stored.blobs, now, grace=grace)


def bytes_of(settings: Settings, data_dir: pathlib.Path) -> ByteStores:
    """Return the bytes in a bucket or a data directory, whosesoever they are."""
    bucket = None
    if settings.blob_store is not None:
        bucket = reach(settings).store(StoreAddress.parse(settings.blob_store))
    return byte_stores.opened(
        data_dir, bucket, keep_free_bytes=settings.keep_free_bytes
    )


def reach(settings: Settings) -> Reach:
    """Return how outside stores are reached."""
    return Reach(os.environ, settings.private_endpoints)


def _database(settings: Settings) -> Database:
    data_dir, url = settings.data_dir, settings.database_url
    if url is None:
        possession.refuse_foreign_rows(data_dir)
    return Database(url or f"sqlite:///{data_dir / 'homeport.db'}")


def _bytes(settings: Settings, database: Database) -> ByteStores:
    """Return the bytes that belong to these rows, wherever they are."""
    data_dir = settings.data_dir
    if settings.blob_store is None:
        possession.refuse_bytes_elsewhere(data_dir)
        if settings.database_url is not None:
            possession.claim(database, data_dir)
    stored = bytes_of(settings, data_dir)
    if stored.bucket is not None:
        possession.claim_bucket(database, data_dir, stored.bucket)
        if settings.database_url is not None:
            possession.join(database, data_dir)
    return stored
