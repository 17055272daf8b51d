"""Where a server's bytes are: in its data directory, or in a bucket."""

import dataclasses
import datetime as dt
import pathlib
from collections.abc import Collection, Mapping
from typing import Final

from homeport.archive import extents
from homeport.objects.addresses import StoreAddress
from homeport.objects.blobs import Blobs, FileBlobs
from homeport.objects.bucket_blobs import BucketBlobs
from homeport.objects.bucket_parts import BucketParts
from homeport.objects.parts import FileParts, Parts
from homeport.objects.stores import Store, open_store
from homeport.registry.claims import Claims


@dataclasses.dataclass(frozen=True, slots=True)
class Reach:
    """What is needed to reach outside stores.

    Attributes:
        variables: Those of the server's environment.
        private_endpoints: `HOST:PORT` of endpoints that may be other than public.
    """

    variables: Mapping[str, str]
    private_endpoints: Collection[str] = ()

    def store(self, address: StoreAddress) -> Store:
        """Return the store at an address; nothing is asked of it yet.

        Raises:
            FailedPreconditionError: Its endpoint is none that may be used, or its
                credentials cannot be read.
            InvalidArgumentError: Its endpoint is no URL.
        """
        return open_store(address, self.variables, self.private_endpoints)


@dataclasses.dataclass(frozen=True, slots=True)
class ByteStores:
    """The bytes of one server.

    Attributes:
        blobs: Of objects and artifacts.
        parts: Of uploads in parts.
        bucket: The blobs once more where they are in a bucket, else None.
        claims: The uploads that requests are writing to.
    """

    blobs: Blobs
    parts: Parts
    bucket: BucketBlobs | None = None
    claims: Claims = dataclasses.field(default_factory=Claims)


# What the first request for an object of a bucket brings.
_BUCKET_PART_BYTES: Final = 1 << 20


def min_part_bytes(stored: ByteStores) -> int:
    """Return the length from which on a part of an archive is worth keeping apart."""
    return _BUCKET_PART_BYTES if stored.bucket else extents.MIN_PART_BYTES


def grace(stored: ByteStores) -> dt.timedelta:
    """Return how long a blob may be without a row.

    Other servers write to a bucket, and its clock dates what is there.
    """
    return dt.timedelta(days=1) if stored.bucket else dt.timedelta()


def opened(
    data_dir: pathlib.Path,
    bucket: Store | None = None,
    *,
    keep_free_bytes: int = 0,
) -> ByteStores:
    """Return a server's bytes, without what dead requests of it left.

    Args:
        data_dir: The server's.
        bucket: Where bytes are kept, None for in the data directory.
        keep_free_bytes: What receiving leaves free on the disk of the data directory.

    Raises:
        ResourceExhaustedError: The disk is full.
        NotFoundError: There is no such bucket.
        PermissionDeniedError: It lets this server not in.
        UnavailableError: The store does not answer.
    """
    directory = data_dir / "blobs"
    parts_dir = directory / "parts"
    if bucket is None:
        files = FileBlobs(directory, keep_free_bytes=keep_free_bytes)
        file_parts = FileParts(parts_dir, keep_free_bytes=keep_free_bytes)
        files.start()
        file_parts.start()
        return ByteStores(files, file_parts)
    blobs = BucketBlobs(bucket, directory, keep_free_bytes=keep_free_bytes)
    parts = BucketParts(bucket, parts_dir, keep_free_bytes=keep_free_bytes)
    blobs.start()
    parts.start()
    return ByteStores(blobs, parts, blobs)
