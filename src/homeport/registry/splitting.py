"""Stored archives become pieces, so that versions share what they have in common.

An archive is taken in and registered whole. Later its stored members are kept as blobs
of their own beside a skeleton that puts them together again, once that has been seen
to give the same bytes; then the whole goes. Each step leaves the archive readable: the
pieces are whole before the row that names them, and that row before the whole goes.
"""

import datetime as dt
import hashlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Final, final

from homeport.archive import extents, rebuilding
from homeport.archive.extents import Extent
from homeport.archive.skeleton import Piece, SkeletonWriter
from homeport.errors import (
    CancelledError,
    DataLossError,
    HomeportError,
    NotFoundError,
)
from homeport.metadata import blob_rows, skeleton_rows
from homeport.metadata.database import Database
from homeport.objects.blobs import Blobs

_log: Final = logging.getLogger(__name__)
_BLOCK_BYTES: Final = 1 << 20
# A full disk has room again, a store answers again, a lost file was sent again.
_TRY_AGAIN: Final = dt.timedelta(hours=1)
# Bytes that no row needs are let be for an hour by whoever sweeps.
_SAFE_UNNEEDED: Final = dt.timedelta(minutes=30)


@final
class Splitting:
    """Divides archives of versions, one after the other.

    Args:
        database: The rows.
        blobs: The bytes as they lie there.
        now: The time, aware.
        min_part_bytes: Shorter members of an archive stay in its skeleton.
    """

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        now: Callable[[], dt.datetime],
        min_part_bytes: int = extents.MIN_PART_BYTES,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._now = now
        self._min_part_bytes = min_part_bytes
        self._stopped = threading.Event()
        # Files that could not be divided -> when they are tried again.
        self._again: dict[str, dt.datetime] = {}

    def stop(self) -> None:
        """Give up within a moment, for good; what is half divided stays whole."""
        self._stopped.set()

    def divide_all(self) -> None:
        """Divide every archive that is there whole and is to be kept as pieces."""
        after = ""
        while not self._stopped.is_set():
            with self._database.snapshot() as transaction:
                found = skeleton_rows.next_to_divide(
                    transaction, after=after, min_bytes=self._min_part_bytes
                )
            if found is None:
                return
            after = found[0]
            if after not in self._again or self._again[after] <= self._now():
                self._try(Piece(*found))

    def _try(self, whole: Piece) -> None:
        try:
            self._divide(whole)
        except CancelledError:
            return
        except HomeportError as error:
            if self._is_divided(whole):
                return  # by another server, which removed what was being read here
            self._again[whole.sha256] = self._now() + _TRY_AGAIN
            _log.warning("%s stays whole for now: %s", whole.sha256, error.message)

    def _is_divided(self, whole: Piece) -> bool:
        with self._database.snapshot() as transaction:
            kept = skeleton_rows.find(transaction, whole.sha256)
        return kept is not None and kept.skeleton is not None and not kept.rewritten

    def _divide(self, whole: Piece) -> None:
        """Divide a file, or note that it is best kept whole.

        Raises:
            CancelledError: The server stops.
            DataLossError: Its bytes are not those that were kept.
            ResourceExhaustedError: The disk is full.
        """
        began = self._now()
        try:
            file = self._blobs.open(whole.sha256)
        except DataLossError:
            self._settle_missing(whole)
            return
        with file:
            parts = extents.find(file, self._min_part_bytes)
            if not parts:
                with self._database.transaction() as transaction:
                    skeleton_rows.put(transaction, whole.sha256, None)
                return
            # A piece that was there and is damaged is written anew, the second time.
            for anew in (False, True):
                is_kept = _nothing if anew else self._is_needed
                division = _Division(self._blobs, self._blocks, is_kept)
                skeleton = division.carry_out(file, whole, parts)
                if self._rebuilds(skeleton, whole):
                    self._record(whole, skeleton, division, began)
                    return
        raise DataLossError(
            f"the bytes kept as {whole.sha256} have changed: send them again"
        )

    def _is_needed(self, sha256: str) -> bool:
        """Tell whether a row needs these bytes; so they are there, if undamaged."""
        with self._database.snapshot() as transaction:
            return bool(blob_rows.referenced(transaction, [sha256]))

    def _settle_missing(self, whole: Piece) -> None:
        """Note that a file that was sent again is there as its pieces alone."""
        with self._database.transaction() as transaction:
            kept = skeleton_rows.find(transaction, whole.sha256)
            if kept is not None and kept.skeleton is not None:
                skeleton_rows.forget_written(transaction, whole.sha256)
                return
        raise DataLossError(f"the bytes of sha256 {whole.sha256} are gone")

    def _rebuilds(self, skeleton: str, whole: Piece) -> bool:
        digest = hashlib.sha256()
        try:
            text = self._blobs.open(skeleton)
            with rebuilding.rebuilt(text, self._blobs.open) as file:
                for block in self._blocks(file, 0, whole.size_bytes):
                    digest.update(block)
        except (DataLossError, NotFoundError):
            return False
        return digest.hexdigest() == whole.sha256

    def _record(
        self, whole: Piece, skeleton: str, division: "_Division", began: dt.datetime
    ) -> None:
        doubtful = division.found
        if self._now() - began > _SAFE_UNNEEDED:
            doubtful = {skeleton, *division.pieces}
        with self._database.transaction() as transaction:
            # Nothing is swept meanwhile. What some row needs is there; what none
            # needs by now may have gone since it was found, or long since written.
            for sha256 in doubtful - blob_rows.referenced(transaction, list(doubtful)):
                self._blobs.open(sha256).close()
            skeleton_rows.put(transaction, whole.sha256, skeleton, division.pieces)
        with self._database.transaction() as transaction:
            kept = skeleton_rows.find(transaction, whole.sha256)
            if kept is not None and kept.skeleton == skeleton and not kept.rewritten:
                self._blobs.delete(whole.sha256, unused_since=began)

    def _blocks(self, file: BinaryIO, begin: int, size_bytes: int) -> Iterator[bytes]:
        """Yield a part of a file.

        Raises:
            CancelledError: The server stops.
            DataLossError: The file is shorter.
        """
        file.seek(begin)
        left_bytes = size_bytes
        while left_bytes:
            if self._stopped.is_set():
                raise CancelledError("the server stops")
            block = file.read(min(left_bytes, _BLOCK_BYTES))
            if not block:
                raise DataLossError("the stored bytes are fewer than were kept")
            left_bytes -= len(block)
            yield block


class _Division:
    """One file being divided.

    Args:
        blobs: Where the pieces go.
        blocks: Yields a part of a file, given its begin and size.
        is_kept: Tells by its sha256 whether a piece need not be written.
    """

    def __init__(
        self,
        blobs: Blobs,
        blocks: Callable[[BinaryIO, int, int], Iterator[bytes]],
        is_kept: Callable[[str], bool],
    ) -> None:
        self._blobs = blobs
        self._blocks = blocks
        self._is_kept = is_kept
        # Every piece, and those of them that were there before.
        self.pieces: set[str] = set()
        self.found: set[str] = set()

    def carry_out(self, file: BinaryIO, whole: Piece, parts: Iterable[Extent]) -> str:
        """Return the sha256 of the skeleton, which is a blob, as the pieces are."""
        writer = self._blobs.begin(md5=False)
        try:
            text = SkeletonWriter(writer.write, whole)
            at = 0
            for part in parts:
                self._write_here(text, file, at, part.begin)
                text.piece(Piece(self._piece(file, part), part.size_bytes))
                at = part.end
            self._write_here(text, file, at, whole.size_bytes)
            text.end()
            return writer.commit().sha256
        finally:
            writer.abort()

    def _write_here(
        self, text: SkeletonWriter, file: BinaryIO, begin: int, end: int
    ) -> None:
        if begin < end:
            text.here(self._blocks(file, begin, end - begin), end - begin)

    def _piece(self, file: BinaryIO, part: Extent) -> str:
        """Return the sha256 of a part, which is a blob now."""
        digest = hashlib.sha256()
        for block in self._blocks(file, part.begin, part.size_bytes):
            digest.update(block)
        sha256 = digest.hexdigest()
        if sha256 in self.pieces:
            return sha256
        if self._is_kept(sha256):
            self.found.add(sha256)
        else:
            self._write(file, part)
        self.pieces.add(sha256)
        return sha256

    def _write(self, file: BinaryIO, part: Extent) -> None:
        writer = self._blobs.begin(md5=False)
        try:
            for block in self._blocks(file, part.begin, part.size_bytes):
                writer.write(block)
            writer.commit()
        finally:
            writer.abort()


def _nothing(sha256: str) -> bool:
    del sha256
    return False
