"""A gzip file that stores: the same bytes whatever zlib the machine has."""

import struct
import zlib
from typing import BinaryIO, Final

_HEADER: Final = struct.Struct("<2s2BL2B")  # RFC 1952, 2.3
_MAGIC: Final = b"\x1f\x8b"
_DEFLATE: Final = 8
_UNKNOWN_SYSTEM: Final = 255
_BLOCK: Final = struct.Struct("<B2H")  # RFC 1951, 3.2.4
_BLOCK_BYTES: Final = 0xFFFF
_TRAILER: Final = struct.Struct("<2L")
_MASK: Final = 0xFFFFFFFF


class StoredGzip:
    """Writes what it is given into `file` as one gzip member, in stored blocks.

    Args:
        file: Written to from where it stands; stays open.
        time_s: Seconds since 1970, for the header.
    """

    def __init__(self, file: BinaryIO, time_s: int) -> None:
        self._file = file
        self._pending = bytearray()
        self._crc32 = 0
        self._size_bytes = 0
        modified = max(0, min(time_s, _MASK))
        file.write(_HEADER.pack(_MAGIC, _DEFLATE, 0, modified, 0, _UNKNOWN_SYSTEM))

    def write(self, chunk: bytes | memoryview) -> None:
        """Take bytes, which lie in blocks of one length however they came."""
        view = memoryview(chunk)
        self._crc32 = zlib.crc32(view, self._crc32)
        self._size_bytes += len(view)
        self._pending += view
        begin = 0
        while len(self._pending) - begin > _BLOCK_BYTES:
            self._block(begin, _BLOCK_BYTES, final=False)
            begin += _BLOCK_BYTES
        del self._pending[:begin]

    def finish(self) -> None:
        """Write the last block and the sums."""
        self._block(0, len(self._pending), final=True)
        self._file.write(_TRAILER.pack(self._crc32, self._size_bytes & _MASK))

    def _block(self, begin: int, size_bytes: int, *, final: bool) -> None:
        self._file.write(_BLOCK.pack(final, size_bytes, size_bytes ^ 0xFFFF))
        with memoryview(self._pending) as pending:
            self._file.write(pending[begin : begin + size_bytes])
