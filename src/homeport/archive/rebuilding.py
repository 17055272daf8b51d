"""A file that is kept as pieces, read as if it lay there whole."""

import bisect
import io
import itertools
from collections.abc import Callable
from typing import BinaryIO, Final

from homeport.archive import skeleton
from homeport.archive.placed import Placed
from homeport.archive.skeleton import Here, Piece
from homeport.errors import DataLossError

_BUFFER_BYTES: Final = 1 << 16


def rebuilt(text: BinaryIO, open_piece: Callable[[str], BinaryIO]) -> BinaryIO:
    """Return the file that a skeleton stands for, seekable, in constant memory.

    Its reads raise DATA_LOSS where a piece is gone or too short; what they return is
    not compared with a digest.

    Args:
        text: The skeleton; it is closed with the file that is returned.
        open_piece: Opens a piece by its sha256; one is open at a time.

    Raises:
        DataLossError: The skeleton is damaged.
    """
    try:
        return io.BufferedReader(_Rebuilt(text, open_piece), _BUFFER_BYTES)
    except BaseException:
        text.close()
        raise


class _Rebuilt(Placed):
    def __init__(self, text: BinaryIO, open_piece: Callable[[str], BinaryIO]) -> None:
        found = skeleton.read(text)
        super().__init__(found.whole.size_bytes)
        self._text = text
        self._open_piece = open_piece
        self._segments = [one for one in found.segments if one.size_bytes]
        sizes = (one.size_bytes for one in self._segments)
        self._begins = list(itertools.accumulate(sizes, initial=0))
        self._piece: BinaryIO | None = None
        self._piece_sha256 = ""

    def read_at(self, place: int, size_bytes: int) -> bytes:
        index = bisect.bisect_right(self._begins, place) - 1
        segment = self._segments[index]
        offset = place - self._begins[index]
        block = self._read(
            segment, offset, min(size_bytes, segment.size_bytes - offset)
        )
        if not block:
            raise DataLossError(
                f"the bytes of {_named(segment)} are fewer than were kept: restore "
                "them from a backup, or upload the file again"
            )
        return block

    def close(self) -> None:
        if not self.closed:
            self._close_piece()
            self._text.close()
        super().close()

    def _read(self, segment: Piece | Here, offset: int, wanted: int) -> bytes:
        if isinstance(segment, Here):
            self._text.seek(segment.begin + offset)
            return self._text.read(wanted)
        if self._piece is None or self._piece_sha256 != segment.sha256:
            self._close_piece()
            self._piece = self._open_piece(segment.sha256)
            self._piece_sha256 = segment.sha256
        self._piece.seek(offset)
        return self._piece.read(wanted)

    def _close_piece(self) -> None:
        if self._piece is not None:
            self._piece.close()
            self._piece = None


def _named(segment: Piece | Here) -> str:
    return f"piece {segment.sha256}" if isinstance(segment, Piece) else "a skeleton"
