"""An object of a store as a file: read where it is asked, in windows that grow."""

import io
from typing import TYPE_CHECKING, BinaryIO, Final, cast, final

from homeport.errors import NotFoundError
from homeport.objects.stores import Stat, Store

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_FIRST_BYTES: Final = 1 << 20
_MOST_BYTES: Final = 8 << 20


@final
class RemoteFile(io.RawIOBase):
    """The bytes of one object as it was when it was opened; used by one thread.

    Reading on doubles what the next request fetches, up to 8 MiB; seeking begins with
    1 MiB again. One window is in memory. The first comes with opening, so a short
    object stays readable whatever becomes of it.

    Args:
        store: Where it is.
        stat: What it is; a read fails once it is another.
        first: Its first bytes.
    """

    def __init__(self, store: Store, stat: Stat, first: bytes) -> None:
        super().__init__()
        self._store = store
        self._stat = stat
        self._position = 0
        self._start = 0
        self._window = memoryview(first)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move the position; asks the store for nothing."""
        base = {
            io.SEEK_SET: 0,
            io.SEEK_CUR: self._position,
            io.SEEK_END: self._stat.size_bytes,
        }[whence]
        if base + offset < 0:
            raise ValueError("a position before the beginning of the file")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill the buffer from the position on, as far as one window goes.

        Raises:
            NotFoundError: The object was deleted meanwhile.
            AbortedError: It is another one by now.
            UnavailableError: The store does not answer.
        """
        target = memoryview(buffer).cast("B")
        if not target or self._position >= self._stat.size_bytes:
            return 0
        if not self._start <= self._position < self._start + len(self._window):
            self._fetch()
        found = self._window[self._position - self._start :][: len(target)]
        target[: len(found)] = found
        self._position += len(found)
        return len(found)

    def _fetch(self) -> None:
        goes_on = self._position == self._start + len(self._window)
        grown = min(2 * len(self._window), _MOST_BYTES) if goes_on else 0
        end = min(self._position + max(grown, _FIRST_BYTES), self._stat.size_bytes)
        self._start = self._position
        self._window = memoryview(
            self._store.read(self._stat.key, self._position, end, self._stat.etag)
        )


def opened(store: Store, key: str) -> BinaryIO:
    """Return the bytes of an object, seekable.

    Raises:
        NotFoundError: There is none.
        UnavailableError: The store does not answer.
    """
    begun = store.begin(key, _FIRST_BYTES)
    if begun is None:
        raise NotFoundError(f"nothing is stored at {store}{key}")
    return cast("BinaryIO", io.BufferedReader(RemoteFile(store, *begun)))
