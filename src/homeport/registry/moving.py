"""A file whose bytes may come to be kept otherwise while it is read.

An object of a bucket is gone for its readers once it is deleted. A whole that was
divided is, and what it was divided into is read on in its place.
"""

import io
import os
from collections.abc import Callable
from typing import BinaryIO, Final, cast

from homeport.archive.placed import Placed
from homeport.errors import AbortedError, DataLossError, NotFoundError

_BUFFER_BYTES: Final = 1 << 16
_MAX_MOVES: Final = 3


def followed(file: BinaryIO, reopen: Callable[[], BinaryIO]) -> BinaryIO:
    """Return a file that is read on where it then lies, seekable.

    Its reads raise DATA_LOSS where it lies nowhere any more.

    Args:
        file: As it was opened; closed with the file that is returned.
        reopen: Opens it once more, however it is kept now.
    """
    return io.BufferedReader(_Followed(file, reopen), _BUFFER_BYTES)


class _Followed(Placed):
    def __init__(self, file: BinaryIO, reopen: Callable[[], BinaryIO]) -> None:
        super().__init__(file.seek(0, os.SEEK_END))
        self._file = file
        self._reopen = reopen
        self._moves = 0

    def read_at(self, place: int, size_bytes: int) -> bytes:
        while (block := self._block(place, size_bytes)) is None:
            pass
        return block

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def _block(self, place: int, size_bytes: int) -> bytes | None:
        """Return bytes from a place on, None if they are to be looked for once more."""
        try:
            self._file.seek(place)
            return self._file.read(size_bytes)
        except (NotFoundError, AbortedError) as error:
            self._move(error)
            return None

    def _move(self, error: NotFoundError | AbortedError) -> None:
        self._moves += 1
        if self._moves > _MAX_MOVES:
            raise DataLossError(
                "the stored bytes are gone while they were read: try again, and if it "
                "stays so, upload them again"
            ) from error
        self._file.close()
        self._file = cast("BinaryIO", io.BytesIO())
        self._file = self._reopen()
