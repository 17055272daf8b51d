"""Which parts of a stored zip are worth keeping by themselves.

A part is the bytes of one stored member; of a member that is itself a stored zip, as a
torch `.pt`, the bytes of each of its members; or what lies between two of them, the
headers and the short members, where that is long. Hostile input: what is found is only
ever a division of the file's bytes, whatever its headers claim, and a file that is not
plainly a stored zip has no parts.
"""

import dataclasses
import io
import itertools
import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from homeport.archive import central, layout
from homeport.archive.central import Entry
from homeport.archive.content import Region
from homeport.archive.members import Limits
from homeport.errors import InvalidArgumentError

# Measured on state dicts of 180 MB: shorter parts save nothing worth a file of their
# own, each of which takes some 5 ms to bring to the disk.
MIN_PART_BYTES: Final = 64 << 10
MAX_PARTS: Final = 4096
# What lies between parts is one by itself from this share of their least length on.
_GAP_SHARE: Final = 4
# What is in no stored member of some length: more than this share is no stored archive.
_MAX_REST_SHARE: Final = 2
_MAX_DEPTH: Final = 3
_MAX_DIRECTORY_BYTES: Final = 16 << 20
_LIMITS: Final = Limits(max_members=100_000)
_LOCAL: Final = struct.Struct("<4s22x2H")  # APPNOTE 4.3.7: signature, name, extra


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Extent:
    """A part of a file.

    Attributes:
        begin: Its first byte, from the start of the file.
        size_bytes: How long it is.
    """

    begin: int
    size_bytes: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.begin + self.size_bytes


def find(file: BinaryIO, min_part_bytes: int = MIN_PART_BYTES) -> tuple[Extent, ...]:
    """Return the parts of a file in order, none if it is best kept as it is.

    Reads the directories and a header for each part, nothing else.

    Args:
        file: Seekable; any bytes at all.
        min_part_bytes: Shorter members are no parts; it is doubled until there are at
            most `MAX_PARTS`.
    """
    size_bytes = file.seek(0, io.SEEK_END)
    found = _found(file, size_bytes, min_part_bytes, _MAX_DEPTH)
    parts = tuple(_with_gaps(found, size_bytes, min_part_bytes // _GAP_SHARE))
    if len(parts) > MAX_PARTS:
        return find(file, 2 * min_part_bytes)
    return parts


def _with_gaps(
    parts: Sequence[Extent], size_bytes: int, min_gap_bytes: int
) -> Iterator[Extent]:
    """Yield the parts and the long gaps before, between and behind them, in order."""
    at = 0
    for part in (*parts, Extent(size_bytes, 0)):
        if parts and part.begin - at >= min_gap_bytes:
            yield Extent(at, part.begin - at)
        if part.size_bytes:
            yield part
        at = part.end


def _found(
    file: BinaryIO, size_bytes: int, min_part_bytes: int, depth: int
) -> tuple[Extent, ...]:
    try:
        members = sorted(_members(file, min_part_bytes))
    except (InvalidArgumentError, OverflowError):
        return ()
    if _overlap(members):
        return ()
    parts = tuple(
        part
        for member in members
        for part in _divided(file, member, min_part_bytes, depth)
    )
    rest_bytes = size_bytes - sum(part.size_bytes for part in parts)
    return parts if rest_bytes <= size_bytes // _MAX_REST_SHARE else ()


def _divided(
    file: BinaryIO, member: Extent, min_part_bytes: int, depth: int
) -> tuple[Extent, ...]:
    """Return the parts of a member that is a stored zip; of another one, itself."""
    if depth == 1:
        return (member,)
    inner = io.BufferedReader(Region(file, member.begin, member.size_bytes))
    parts = _found(inner, member.size_bytes, min_part_bytes, depth - 1)
    if not parts:
        return (member,)
    return tuple(Extent(member.begin + part.begin, part.size_bytes) for part in parts)


def _members(file: BinaryIO, min_part_bytes: int) -> Iterator[Extent]:
    """Yield where the long stored members of a zip lie.

    Raises:
        InvalidArgumentError: It is none, or one that says what cannot be.
    """
    end = layout.read_end(file, _LIMITS)
    if end.directory_bytes > _MAX_DIRECTORY_BYTES:
        return
    file.seek(end.directory_offset)
    entries = central.walk(file.read(end.directory_bytes))
    long = [
        one for one in entries if one.is_stored and one.size_bytes >= min_part_bytes
    ]
    long.sort(key=lambda entry: entry.header_offset)
    # Before a header is read: then there are no more than the file has room for.
    if any(
        one.header_offset + one.size_bytes > following.header_offset
        for one, following in itertools.pairwise(long)
    ):
        raise InvalidArgumentError("two members lie over each other")
    for entry in long:
        member = _extent(file, entry)
        if member.end > end.directory_offset:
            raise InvalidArgumentError("a member lies outside of its archive")
        yield member


def _extent(file: BinaryIO, entry: Entry) -> Extent:
    file.seek(entry.header_offset)
    fixed = file.read(_LOCAL.size)
    if len(fixed) < _LOCAL.size or not fixed.startswith(layout.LOCAL_SIGNATURE):
        raise InvalidArgumentError("a member has no header of its own")
    _, name_bytes, extra_bytes = _LOCAL.unpack(fixed)
    begin = entry.header_offset + _LOCAL.size + name_bytes + extra_bytes
    return Extent(begin, entry.size_bytes)


def _overlap(members: Sequence[Extent]) -> bool:
    return any(
        one.end > following.begin for one, following in itertools.pairwise(members)
    )
