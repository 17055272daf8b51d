"""One member's bytes out of a zip: in pieces, counted, their sum compared."""

import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from homeport.archive.placed import Placed
from homeport.errors import InvalidArgumentError

_CHUNK_BYTES: Final = 1 << 18  # measured: 1 MiB takes half as long again
_PACKED_BYTES: Final = 1 << 16
_RAW_DEFLATE: Final = -15


def chunks(file: BinaryIO, entry: zipfile.ZipInfo, data_offset: int) -> Iterator[bytes]:
    """Yield a member's bytes, never more than it declares.

    Args:
        file: The archive.
        entry: What its directory says, checked.
        data_offset: Where the member's bytes begin.

    Raises:
        InvalidArgumentError: They end early, are others than were packed, or are more
            or fewer than declared; also where bytes lie behind a deflated stream.
    """
    stored = entry.compress_type == zipfile.ZIP_STORED
    file.seek(data_offset)
    read = _stored if stored else _inflated
    crc32 = 0
    left = entry.file_size
    try:
        for chunk in read(file, entry.compress_size):
            left -= len(chunk)
            if left < 0:
                break
            crc32 = zlib.crc32(chunk, crc32)
            yield chunk
    except (zlib.error, EOFError) as error:
        raise _damaged(entry, "is damaged") from error
    if left:
        raise _damaged(entry, f"does not hold the {entry.file_size} bytes it declares")
    if crc32 != entry.CRC:
        raise _damaged(entry, "is damaged (its checksum is another)")


def read(
    file: BinaryIO, entry: zipfile.ZipInfo, data_offset: int, max_bytes: int
) -> bytes:
    """Return a member's first `max_bytes`; all of them are verified, a part is not.

    Raises:
        InvalidArgumentError: As `chunks`.
    """
    taken = bytearray()
    for chunk in chunks(file, entry, data_offset):
        taken += chunk
        if len(taken) > max_bytes:
            break
    return bytes(taken[:max_bytes])


class Region(Placed):
    """A stored member as a file of its own, read where it lies.

    Args:
        file: The archive, moved by every read.
        begin: Where the member's bytes begin.
        size_bytes: How many there are.
    """

    def __init__(self, file: BinaryIO, begin: int, size_bytes: int) -> None:
        super().__init__(size_bytes)
        self._file = file
        self._begin = begin

    def read_at(self, place: int, size_bytes: int) -> bytes:
        """Return the member's bytes from a place on."""
        self._file.seek(self._begin + place)
        return self._file.read(size_bytes)


def _stored(file: BinaryIO, size_bytes: int) -> Iterator[bytes]:
    left = size_bytes
    while left:
        chunk = file.read(min(left, _CHUNK_BYTES))
        if not chunk:
            raise EOFError
        left -= len(chunk)
        yield chunk


def _inflated(file: BinaryIO, packed_bytes: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(_RAW_DEFLATE)
    left = packed_bytes
    while not inflater.eof:
        packed = inflater.unconsumed_tail
        if not packed:
            packed = file.read(min(left, _PACKED_BYTES))
            left -= len(packed)
        chunk = inflater.decompress(packed, _CHUNK_BYTES)
        if not packed and not chunk:
            raise EOFError
        if chunk:
            yield chunk
    # A reader that streams from the front would take them for the next member.
    if inflater.unused_data or left:
        raise zlib.error("bytes behind the end of the deflated stream")


def _damaged(entry: zipfile.ZipInfo, problem: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"archive member {entry.filename!r:.120} {problem}: copy the archive again"
    )
