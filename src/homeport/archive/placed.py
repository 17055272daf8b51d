"""A file of bytes that are read by their place."""

import abc
import io
import os


class Placed(io.RawIOBase, abc.ABC):
    """A file for reading, seekable; a subclass says which bytes lie where.

    Args:
        size_bytes: How long it is.
    """

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._at = 0

    @abc.abstractmethod
    def read_at(self, place: int, size_bytes: int) -> bytes:
        """Return bytes that begin at a place within the file.

        Args:
            place: From the file's beginning.
            size_bytes: How many at the most, at least one and none behind the end.
        """

    def readable(self) -> bool:
        """Return True: it is for reading."""
        return True

    def seekable(self) -> bool:
        """Return True: every place can be read."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, from the start, the present place or the end; return the new place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size_bytes}
        self._at = max(0, base[whence] + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed's WriteableBuffer has no length
        """Fill the buffer as far as there are bytes."""
        wanted = min(len(buffer), self._size_bytes - self._at)
        if wanted <= 0:
            return 0
        block = self.read_at(self._at, wanted)
        buffer[: len(block)] = block
        self._at += len(block)
        return len(block)
