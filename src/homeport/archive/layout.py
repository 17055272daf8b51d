"""Where a zip's parts lie: its end record, and the header before each member.

Two readers may see two archives in one zip: ours begins at the central directory,
TorchServe's streams from the front. What is refused here is every byte they could
differ on: junk before, between and behind the members, and headers that disagree.
"""

import dataclasses
import os
import struct
import zipfile
from collections.abc import Sequence
from typing import BinaryIO, Final

from homeport.archive import central
from homeport.archive.central import End
from homeport.archive.members import Limits
from homeport.errors import InvalidArgumentError

LOCAL_SIGNATURE: Final = b"PK\x03\x04"

# APPNOTE 4.3.16: end of central directory; 4.3.14, 4.3.15: its zip64 kin.
_END: Final = struct.Struct("<4s4H2LH")
_END_SIGNATURE: Final = b"PK\x05\x06"
_MAX_COMMENT_BYTES: Final = 0xFFFF
_LOCATOR: Final = struct.Struct("<4sLQL")
_LOCATOR_SIGNATURE: Final = b"PK\x06\x07"
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_END64_SIGNATURE: Final = b"PK\x06\x06"
_LOCAL: Final = struct.Struct("<4s5H3L2H")  # APPNOTE 4.3.7
_ZIP64_EXTRA_ID: Final = 1
_ZIP64_SENTINEL: Final = 0xFFFFFFFF
_DESCRIPTOR_FLAG: Final = 0x8
_UTF8_FLAG: Final = 0x800
_COMPARED_FLAGS: Final = 0x1 | _DESCRIPTOR_FLAG | _UTF8_FLAG
# APPNOTE 4.3.9: with or without a signature, sizes of 4 or of 8 bytes.
_DESCRIPTOR_BYTES: Final = frozenset({12, 16, 20, 24})
_GZIP_MAGIC: Final = b"\x1f\x8b"
_DIRECTORY_BYTES_PER_MEMBER: Final = 2048  # generous: a header of 46, a path, extras


@dataclasses.dataclass(frozen=True, slots=True)
class _LocalHeader:
    flags: int
    method: int
    crc32: int
    compressed_bytes: int
    size_bytes: int
    name: bytes
    extra: bytes
    data_offset: int


def read_end(file: BinaryIO, limits: Limits) -> End:
    """Return the end record of the zip in `file`, read before any of its directory.

    Raises:
        InvalidArgumentError: Not a zip, cut short, bytes before or behind the archive,
            more members than `limits` allows, or a zip in several parts.
    """
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    _check_magic(file.read(4), size_bytes)
    offset = _end_offset(file, size_bytes)
    file.seek(offset)
    end = _END.unpack(file.read(_END.size))
    _, disk, directory_disk, here, members, directory_bytes, directory_offset, _ = end
    directory_end = offset
    end64 = _read_end64(file, offset)
    if end64 is not None:
        _check_same(end[4:7], end64)
        disk = directory_disk = 0
        here = members = end64[0]
        _, directory_bytes, directory_offset, directory_end = end64
    if disk or directory_disk or here != members:
        raise _in_parts()
    if directory_offset + directory_bytes != directory_end:
        raise InvalidArgumentError(
            "the archive's directory is not where its end record says, as after a cut "
            "or with bytes put in front: pack or copy the archive again"
        )
    most = limits.max_members
    if members > most:
        raise InvalidArgumentError(
            f"the archive has {members} members, the limit is {most} members: leave "
            "out what the model does not need"
        )
    if directory_bytes > members * _DIRECTORY_BYTES_PER_MEMBER:
        raise InvalidArgumentError(
            f"the archive has {members} members in a directory of {directory_bytes} "
            f"bytes, the limit is {_DIRECTORY_BYTES_PER_MEMBER} bytes a member: pack "
            "the archive again"
        )
    return End(members, directory_offset, directory_bytes)


def check_local_headers(
    file: BinaryIO, entries: Sequence[zipfile.ZipInfo], end: End
) -> None:
    """Check that the members, in file order, fill the archive without gap or overlap.

    Raises:
        InvalidArgumentError: A local header disagrees with the central directory, or
            bytes belong to two members or to none.
    """
    expected_offset = 0
    descriptor = False
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        _check_gap(entry.header_offset - expected_offset, entry.filename, descriptor)
        local = _read_local(file, entry)
        _compare(local, entry)
        descriptor = bool(entry.flag_bits & _DESCRIPTOR_FLAG)
        expected_offset = local.data_offset + entry.compress_size
    _check_gap(end.directory_offset - expected_offset, "the directory", descriptor)


def data_offset(file: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """Return where a member's bytes begin.

    Raises:
        InvalidArgumentError: Its local header disagrees with the central directory.
    """
    local = _read_local(file, entry)
    _compare(local, entry)
    return local.data_offset


def _check_magic(head: bytes, size_bytes: int) -> None:
    if head == LOCAL_SIGNATURE:
        return
    if size_bytes == 0:
        raise InvalidArgumentError("the archive is empty: pack or copy it again")
    if head.startswith(_GZIP_MAGIC):
        raise InvalidArgumentError(
            "the archive is a gzip file where a .mar is a zip: "
            "pack it with 'homeport pack', or without --archive-format tgz"
        )
    raise InvalidArgumentError(
        "the archive is not a zip file with members: make it with 'homeport pack' or "
        "torch-model-archiver"
    )


def _end_offset(file: BinaryIO, size_bytes: int) -> int:
    tail_bytes = min(size_bytes, _END.size + _MAX_COMMENT_BYTES)
    file.seek(size_bytes - tail_bytes)
    tail = file.read(tail_bytes)
    # The archive's comment, of the length in the last two bytes, ends the file.
    position = tail.rfind(_END_SIGNATURE)
    if position < 0 or len(tail) - position < _END.size:
        raise InvalidArgumentError(
            f"the archive is cut short after {size_bytes} bytes: copy it again"
        )
    comment_bytes = _END.unpack_from(tail, position)[-1]
    if position + _END.size + comment_bytes != len(tail):
        raise InvalidArgumentError(
            "the archive has bytes behind its end: pack or copy it again"
        )
    return size_bytes - tail_bytes + position


def _read_end64(file: BinaryIO, end_offset: int) -> tuple[int, int, int, int] | None:
    """Return members, directory bytes and offset, and where the record begins."""
    locator_offset = end_offset - _LOCATOR.size
    record_offset = locator_offset - _END64.size
    if record_offset < 0:
        return None
    file.seek(record_offset)
    record = file.read(_END64.size)
    signature, _, offset, _ = _LOCATOR.unpack(file.read(_LOCATOR.size))
    if signature != _LOCATOR_SIGNATURE:
        return None
    if offset != record_offset or not record.startswith(_END64_SIGNATURE):
        raise InvalidArgumentError(
            "the archive's zip64 end record is not where its locator says: "
            "pack it again"
        )
    *_, disk, directory_disk, here, members, directory_bytes, directory_offset = (
        _END64.unpack(record)
    )
    if disk or directory_disk or here != members:
        raise _in_parts()
    return members, directory_bytes, directory_offset, record_offset


def _check_same(narrow: Sequence[int], wide: Sequence[int]) -> None:
    """Refuse two end records that say two things; a reader may believe either."""
    sentinels = (0xFFFF, _ZIP64_SENTINEL, _ZIP64_SENTINEL)
    for ours, theirs, sentinel in zip(narrow, wide, sentinels, strict=False):
        if ours not in (theirs, sentinel):
            raise InvalidArgumentError(
                "the archive's two end records disagree: pack it again"
            )


def _check_gap(gap_bytes: int, path: str, after_descriptor: bool) -> None:  # noqa: FBT001  # read from the header before
    if gap_bytes == 0 or (after_descriptor and gap_bytes in _DESCRIPTOR_BYTES):
        return
    problem = "bytes of no member" if gap_bytes > 0 else "bytes of two members"
    raise InvalidArgumentError(
        f"the archive has {problem} before {path!r:.120}: pack the archive again"
    )


def _read_local(file: BinaryIO, entry: zipfile.ZipInfo) -> _LocalHeader:
    file.seek(entry.header_offset)
    fixed = file.read(_LOCAL.size)
    if len(fixed) < _LOCAL.size or not fixed.startswith(LOCAL_SIGNATURE):
        raise _disagrees(entry)
    _, _, flags, method, _, _, crc32, compressed, size, name_bytes, extra_bytes = (
        _LOCAL.unpack(fixed)
    )
    name = file.read(name_bytes)
    extra = file.read(extra_bytes)
    if _ZIP64_SENTINEL in (compressed, size):
        size, compressed = _zip64_sizes(extra) or (size, compressed)
    begin = entry.header_offset + _LOCAL.size + name_bytes + extra_bytes
    return _LocalHeader(flags, method, crc32, compressed, size, name, extra, begin)


def _zip64_sizes(extra: bytes) -> tuple[int, int] | None:
    while len(extra) >= 4:  # noqa: PLR2004  # APPNOTE 4.5.1: id and length
        kind, length = struct.unpack_from("<2H", extra)
        if kind == _ZIP64_EXTRA_ID and 16 <= length <= len(extra) - 4:  # noqa: PLR2004  # APPNOTE 4.5.3
            size, compressed = struct.unpack_from("<2Q", extra, 4)
            return size, compressed
        extra = extra[4 + length :]
    return None


def _compare(local: _LocalHeader, entry: zipfile.ZipInfo) -> None:
    encoding = "utf-8" if entry.flag_bits & _UTF8_FLAG else "cp437"
    same_member = (
        local.name == entry.orig_filename.encode(encoding, "replace")
        and local.method == entry.compress_type
        and not (local.flags ^ entry.flag_bits) & _COMPARED_FLAGS
        and not central.has_other_name(local.extra)
    )
    declared = (entry.CRC, entry.compress_size, entry.file_size)
    said = (local.crc32, local.compressed_bytes, local.size_bytes)
    if entry.flag_bits & _DESCRIPTOR_FLAG:
        # APPNOTE 4.4.4: the true values follow the data, zeros stand here.
        same_values = all(
            ours in (0, theirs) for ours, theirs in zip(said, declared, strict=True)
        )
    else:
        same_values = said == declared
    if not (same_member and same_values):
        raise _disagrees(entry)


def _in_parts() -> InvalidArgumentError:
    return InvalidArgumentError(
        "the archive is one part of several: pack it again as one file"
    )


def _disagrees(entry: zipfile.ZipInfo) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"archive member {entry.filename!r:.120}: its own header and the archive's "
        "directory disagree: pack the archive again"
    )
