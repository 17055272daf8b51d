"""Blobs of which some are kept as pieces, behind the same Protocol as the others."""

import datetime as dt
import functools
import io
from collections.abc import Iterator
from typing import BinaryIO, final

from homeport.archive import rebuilding
from homeport.errors import DataLossError
from homeport.metadata import skeleton_rows
from homeport.metadata.database import Database
from homeport.metadata.skeleton_rows import Kept
from homeport.objects.blobs import Blobs, BlobWriter
from homeport.objects.spool import measured
from homeport.registry import moving
from homeport.resources.bucket import Content


@final
class PiecedBlobs:
    """Reads files whole, however they are kept; writes them whole.

    What is written here is divided later, if it is worth it (`splitting`).

    Args:
        database: Which files are kept as pieces.
        blobs: The bytes.
    """

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def begin(self, *, md5: bool = True) -> BlobWriter:
        """Return a writer of a new blob; a restart forgets it."""
        return self._blobs.begin(md5=md5)

    def resume(self, upload: str) -> BlobWriter:
        """Return the writer of an upload that lasts over requests and restarts."""
        return self._blobs.resume(upload)

    def open(self, sha256: str) -> BinaryIO:
        """Return a file's bytes, seekable.

        It is read to its end also where it is divided meanwhile. One that is kept as
        pieces raises DATA_LOSS later, when it is read, if one of them is lost.

        Raises:
            DataLossError: No such file.
        """
        file = self._opened(sha256)
        if _outlives_its_name(file):
            return file
        return moving.followed(file, functools.partial(self._opened, sha256))

    def _opened(self, sha256: str) -> BinaryIO:
        kept = self._kept(sha256)
        if kept is not None and kept.skeleton is not None and not kept.rewritten:
            return self._rebuilt(kept.skeleton)
        try:
            return self._blobs.open(sha256)
        except DataLossError:
            # Divided since its row was read, or not there whole after all.
            kept = self._kept(sha256)
            if kept is None or kept.skeleton is None:
                raise
            return self._rebuilt(kept.skeleton)

    def measure(self, sha256: str) -> Content:
        """Return the size and digests of a file, read through.

        Raises:
            DataLossError: No such file, or its bytes are not those that were kept.
        """
        with self.open(sha256) as file:
            return measured(file, sha256)

    def delete(self, sha256: str, *, unused_since: dt.datetime) -> bool:
        """Remove a blob unless it was written (again) since; tell whether it went."""
        return self._blobs.delete(sha256, unused_since=unused_since)

    def iterate(self) -> Iterator[str]:
        """Yield the sha256 of every blob, in no order: also skeletons and pieces."""
        return self._blobs.iterate()

    def uploads(self) -> Iterator[str]:
        """Yield every unfinished upload that `resume` would go on with, in no order."""
        return self._blobs.uploads()

    def _kept(self, sha256: str) -> Kept | None:
        with self._database.snapshot() as transaction:
            return skeleton_rows.find(transaction, sha256)

    def _rebuilt(self, skeleton: str) -> BinaryIO:
        return rebuilding.rebuilt(self._blobs.open(skeleton), self._blobs.open)


def _outlives_its_name(file: BinaryIO) -> bool:
    """Tell whether a file is one of this machine, readable also when removed."""
    try:
        file.fileno()
    except io.UnsupportedOperation:
        return False
    return True
