"""A zip's central directory, entry by entry, as its bytes say.

It is walked before `zipfile` makes an object of each entry: what is refused here are
directories that hold more than they say, and names that readers take for different
ones.
"""

import dataclasses
import struct
import zipfile
from collections.abc import Iterator
from typing import BinaryIO, Final

from homeport.archive import members
from homeport.errors import InvalidArgumentError

_HEADER: Final = struct.Struct("<4s6H3L5H2L")  # APPNOTE 4.3.12
_SIGNATURE: Final = b"PK\x01\x02"
_EXTRA: Final = struct.Struct("<2H")  # APPNOTE 4.5.1: id and length
_ZIP64_EXTRA_ID: Final = 1
# APPNOTE 4.6.9, Info-ZIP: another name for the member, which some readers prefer.
_UNICODE_PATH_EXTRA_ID: Final = 0x7075
_SENTINEL: Final = 0xFFFFFFFF
_UTF8_FLAG: Final = 0x800
_LOCAL_HEADER_BYTES: Final = 30


@dataclasses.dataclass(frozen=True, slots=True)
class End:
    """What the end record says.

    Attributes:
        members: Entries of the central directory.
        directory_offset: Where it begins, in bytes from the archive's start.
        directory_bytes: Its length.
    """

    members: int
    directory_offset: int
    directory_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a central directory.

    Attributes:
        name: Its bytes, in whatever encoding.
        flags: General purpose bits.
        method: Of compression.
        compressed_bytes: As it lies in the archive.
        size_bytes: Uncompressed.
        header_offset: Of its local header, in bytes from the archive's start.
        extra: Its extra fields.
    """

    name: bytes
    flags: int
    method: int
    compressed_bytes: int
    size_bytes: int
    header_offset: int
    extra: bytes

    @property
    def is_stored(self) -> bool:
        """Whether its bytes lie in the archive as they are."""
        stored = self.method == zipfile.ZIP_STORED
        return stored and self.compressed_bytes == self.size_bytes


def check(file: BinaryIO, end: End) -> None:
    """Refuse a directory that lies about itself.

    Raises:
        InvalidArgumentError: It is damaged, has not as many entries as its end record
            says, points behind itself, or has a name that readers may take for two.
    """
    file.seek(end.directory_offset)
    found = 0
    for entry in walk(file.read(end.directory_bytes)):
        found += 1
        if found > end.members:
            break
        _check_name(entry)
        taken_bytes = _LOCAL_HEADER_BYTES + len(entry.name) + entry.compressed_bytes
        if entry.header_offset + taken_bytes > end.directory_offset:
            raise members.refused(
                _shown(entry.name), "lies outside the archive", remedy="copy it again"
            )
    if found != end.members:
        more = "more" if found > end.members else f"{found}"
        raise InvalidArgumentError(
            f"the archive's directory has {more} members, its end record says "
            f"{end.members}: pack the archive again"
        )


def walk(raw: bytes) -> Iterator[Entry]:
    """Yield the entries that `raw`, a whole central directory, holds.

    Raises:
        InvalidArgumentError: It is damaged.
    """
    offset = 0
    while offset < len(raw):
        entry, offset = _entry(raw, offset)
        yield entry


def has_other_name(extra: bytes) -> bool:
    """Tell whether extra fields, of either header, hold a second name."""
    return any(kind == _UNICODE_PATH_EXTRA_ID for kind, _ in _fields(extra))


def _entry(raw: bytes, offset: int) -> tuple[Entry, int]:
    if len(raw) - offset < _HEADER.size or not raw.startswith(_SIGNATURE, offset):
        raise _damaged("an entry is cut short")
    fixed = _HEADER.unpack_from(raw, offset)
    flags, method, compressed, size = fixed[3], fixed[4], fixed[8], fixed[9]
    name_bytes, extra_bytes, comment_bytes = fixed[10:13]
    name_begin = offset + _HEADER.size
    extra_begin = name_begin + name_bytes
    behind = extra_begin + extra_bytes + comment_bytes
    if behind > len(raw):
        raise _damaged("an entry is cut short")
    extra = raw[extra_begin : extra_begin + extra_bytes]
    size, compressed, header_offset = _wide(extra, (size, compressed, fixed[-1]))
    name = raw[name_begin:extra_begin]
    entry = Entry(name, flags, method, compressed, size, header_offset, extra)
    return entry, behind


def _wide(extra: bytes, narrow: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return size, compressed size and offset, from zip64's field where it is."""
    # APPNOTE 4.5.3: only those that do not fit into 32 bits, in this order.
    wide = b"".join(field for kind, field in _fields(extra) if kind == _ZIP64_EXTRA_ID)
    values: list[int] = []
    for value in narrow:
        if value != _SENTINEL:
            values.append(value)
            continue
        if len(wide) < 8:  # noqa: PLR2004  # a 64-bit number
            raise _damaged("a size over 4 GiB is missing")
        values.append(int.from_bytes(wide[:8], "little"))
        wide = wide[8:]
    size, compressed, header_offset = values
    return size, compressed, header_offset


def _fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    while len(extra) >= _EXTRA.size:
        kind, length = _EXTRA.unpack_from(extra)
        yield kind, extra[_EXTRA.size : _EXTRA.size + length]
        extra = extra[_EXTRA.size + length :]


def _check_name(entry: Entry) -> None:
    shown = _shown(entry.name)
    if has_other_name(entry.extra):
        raise members.refused(shown, "has a second name in an extra field")
    if entry.flags & _UTF8_FLAG:
        try:
            entry.name.decode("utf-8")
        except UnicodeDecodeError as error:
            raise members.refused(
                shown,
                "has a name that is not UTF-8",
                remedy="rename it, and pack again",
            ) from error
    elif not entry.name.isascii():
        raise members.refused(
            shown,
            "has a name in an unknown encoding",
            remedy="mark the name as UTF-8, or use ASCII letters",
        )


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def _damaged(problem: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"the archive's directory cannot be read ({problem}): pack or copy it again"
    )
