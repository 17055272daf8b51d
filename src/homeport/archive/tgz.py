"""Reading one `.tar.gz`: the archiver's format `tgz`, one root folder in a tar.

As hostile as a zip, and refused for the same reasons. It is read once from the front
in constant memory; nothing is written.
"""

import contextlib
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from homeport.archive import inventory, manifest, members
from homeport.archive.inventory import Inventory
from homeport.archive.manifest import Manifest
from homeport.archive.members import DEFAULT_LIMITS, Limits, Member
from homeport.errors import InvalidArgumentError, NotFoundError

MAGIC: Final = b"\x1f\x8b"

_BLOCK_BYTES: Final = tarfile.BLOCKSIZE
_CHUNK_BYTES: Final = 1 << 18
_PACKED_BYTES: Final = 1 << 16
_GZIP: Final = 31  # zlib: a gzip header, and its sums at the end
_MAX_RECORD_BYTES: Final = 1 << 16  # a long name, or pax's own header
_MAX_RECORDS: Final = 8  # in front of one member
_MAX_SIZE_DIGITS: Final = 20  # 64 bits
# What a record changes that is read here; the rest (times, owners) has no effect.
_PAX_KEYS: Final = frozenset({"path", "size", "linkpath"})
_SPARSE: Final = "GNU.sparse"
_RECORDS: Final = frozenset(
    {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME}
)
_REGULAR: Final = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})


def check(path: Path, limits: Limits = DEFAULT_LIMITS) -> Inventory:
    """Return what lies in the archive, once all of it has been read.

    Args:
        path: The archive.
        limits: How much of it is believed.

    Raises:
        NotFoundError: There is no such file.
        InvalidArgumentError: It is damaged, no tar of one folder, has no valid
            manifest, names a file that is not in it, or has a member that is refused.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise NotFoundError(
            f"there is no archive {path.name!r}: make it with 'homeport pack'"
        ) from error
    with file, _damage_told():
        found = _Reader(_Stream(file, limits), limits)
        found.read()
    if found.declared is None:
        raise inventory.missing_manifest("a tar")
    result = Inventory(
        found.declared, tuple(sorted(found.members)), path.stat().st_size
    )
    result.check_named_files()
    return result


@contextlib.contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError, zlib.error) as error:
        raise InvalidArgumentError(
            "the archive is cut short or damaged: copy it again"
        ) from error


class _Stream:
    """Unpacked bytes from the front, counted; too many of them are refused."""

    def __init__(self, packed: BinaryIO, limits: Limits) -> None:
        self._packed = packed
        self._inflater = zlib.decompressobj(_GZIP)
        self._limits = limits
        self._read_bytes = 0
        self._unread = memoryview(b"")

    def read(self, size_bytes: int) -> bytes:
        """Return at most `size_bytes`, fewer only at the end."""
        taken = bytearray()
        while len(taken) < size_bytes:
            if not self._unread:
                self._unread = memoryview(self._inflate())
                if not self._unread:
                    break
            wanted = size_bytes - len(taken)
            taken += self._unread[:wanted]
            self._unread = self._unread[wanted:]
        return bytes(taken)

    def _inflate(self) -> bytes:
        """Return the next bytes, none only at the end."""
        chunk = b""
        while not (chunk or self._inflater.eof):
            packed = self._inflater.unconsumed_tail or self._packed.read(_PACKED_BYTES)
            chunk = self._inflater.decompress(packed, _CHUNK_BYTES)
            if not (packed or chunk):
                raise EOFError
        # A second gzip stream is another archive to readers that stop at the first.
        if self._inflater.eof and (self._inflater.unused_data or self._packed.read(1)):
            raise _more_behind()
        self._count(len(chunk))
        return chunk

    def _count(self, size_bytes: int) -> None:
        self._read_bytes += size_bytes
        members.check_total(self._read_bytes, self._limits)
        if members.is_bomb(self._read_bytes, self._packed.tell(), self._limits):
            raise InvalidArgumentError(
                f"the archive unpacks to over {self._limits.max_ratio} times its "
                "size: pack it with 'homeport pack', which stores"
            )

    def read_exactly(self, size_bytes: int) -> bytes:
        """Return `size_bytes`, a small number."""
        chunk = self.read(size_bytes)
        if len(chunk) != size_bytes:
            raise EOFError
        return chunk

    def skip(self, size_bytes: int) -> None:
        """Read on by `size_bytes`."""
        while size_bytes:
            size_bytes -= len(self.read_exactly(min(size_bytes, _CHUNK_BYTES)))


class _Reader:
    """Takes the headers of a tar one after the other.

    Attributes:
        declared: The manifest, once it has come by.
        members: The files so far.
    """

    def __init__(self, stream: _Stream, limits: Limits) -> None:
        self.declared: Manifest | None = None
        self.members: list[Member] = []
        self._stream = stream
        self._limits = limits
        self._paths: list[str] = []
        self._root = ""

    def read(self) -> None:
        """Read the archive to its end."""
        while (header := self._header()) is not None:
            self._take(header)
        members.check_collisions(self._paths)
        while rest := self._stream.read(_CHUNK_BYTES):
            if rest.strip(b"\0"):
                raise _more_behind()

    def _header(self) -> tarfile.TarInfo | None:
        """Return the next member's header, None at the end."""
        overrides: dict[str, str] = {}
        for _ in range(_MAX_RECORDS + 1):
            block = self._stream.read_exactly(_BLOCK_BYTES)
            if not block.strip(b"\0"):
                return None
            header = _parse(block, first=not self._paths)
            if header.type not in _RECORDS:
                return _overridden(header, overrides)
            record = self._record(header)
            if header.type == tarfile.XHDTYPE:
                overrides |= _pax(record)
            elif header.type == tarfile.GNUTYPE_LONGNAME:
                overrides["path"] = _text(record.rstrip(b"\0"))
            else:
                _check_global(_pax(record))
        raise InvalidArgumentError(
            f"the archive has over {_MAX_RECORDS} extended headers in front of one "
            "member: pack it again"
        )

    def _record(self, header: tarfile.TarInfo) -> bytes:
        if header.size > _MAX_RECORD_BYTES:
            raise members.refused(
                header.name, f"has a header of over {_MAX_RECORD_BYTES} bytes"
            )
        record = self._stream.read_exactly(header.size)
        self._stream.skip(_padding(header.size))
        return record

    def _take(self, header: tarfile.TarInfo) -> None:
        path = self._below_root(header)
        if header.type == tarfile.DIRTYPE:
            if header.size:
                raise members.refused(header.name, "is a directory that holds bytes")
            if path:
                self._paths.append(f"{path}/")
        elif header.type in _REGULAR and path:
            self._paths.append(path)
            self.members.append(Member(path, header.size, header.size, False, None))  # noqa: FBT003  # compressed as a whole
            self._read_content(path, header.size)
        elif header.type in _REGULAR:
            raise members.refused(header.name, "lies beside the archive's one folder")
        else:
            raise members.refused(
                header.name, "is a link, device or other special entry"
            )
        members.check_count(len(self._paths), self._limits)

    def _below_root(self, header: tarfile.TarInfo) -> str:
        """Return the path without the archive's one folder, "" for that folder."""
        members.check_path(header.name)
        root, _, path = header.name.removesuffix("/").partition("/")
        self._root = self._root or root
        if root != self._root:
            raise members.refused(
                header.name, f"does not lie in the archive's folder {self._root!r:.80}"
            )
        return path

    def _read_content(self, path: str, size_bytes: int) -> None:
        if path != manifest.PATH:
            self._stream.skip(size_bytes)
        elif size_bytes > manifest.MAX_BYTES:
            raise InvalidArgumentError(
                f"{manifest.PATH} has {size_bytes} bytes, the limit is "
                f"{manifest.MAX_BYTES}: keep descriptions in a file of their own"
            )
        else:
            self.declared = manifest.parse(self._stream.read_exactly(size_bytes))
        self._stream.skip(_padding(size_bytes))


def _more_behind() -> InvalidArgumentError:
    return InvalidArgumentError(
        "the archive has bytes behind its end: pack or copy it again"
    )


def _parse(block: bytes, *, first: bool) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError) as error:
        if not first:
            raise InvalidArgumentError(
                "the archive has a tar header that cannot be read: copy or pack it "
                "again"
            ) from error
        raise InvalidArgumentError(
            "the archive is a gzip file and no tar in it: make it with "
            "'homeport pack --archive-format tgz'"
        ) from error
    if header.size < 0:
        raise members.refused(header.name, "has a size below zero")
    return header


def _overridden(header: tarfile.TarInfo, overrides: dict[str, str]) -> tarfile.TarInfo:
    header.name = overrides.get("path", header.name)
    if _SPARSE in overrides:
        raise members.refused(header.name, "is sparse")
    if "size" in overrides:
        digits = overrides["size"]
        is_number = digits.isascii() and digits.isdigit()
        if not is_number or len(digits) > _MAX_SIZE_DIGITS:
            raise members.refused(header.name, "has a size that is no number")
        header.size = int(digits)
    return header


def _check_global(keywords: dict[str, str]) -> None:
    """Refuse a header that changes every member: some readers pass over it."""
    if keywords:
        raise InvalidArgumentError(
            f"the archive has a global header with {min(keywords)!r}: pack it again"
        )


def _pax(record: bytes) -> dict[str, str]:
    """Return what matters of a pax header: lines of `length keyword=value`."""
    found: dict[str, str] = {}
    while record:
        length, separator, _ = record.partition(b" ")
        if not (separator and length.isdigit()) or not (
            len(length) < int(length[:6]) <= len(record)
        ):
            raise InvalidArgumentError(
                "the archive has a pax header that cannot be read: pack it again"
            )
        line = record[len(length) + 1 : int(length[:6])]
        keyword, _, value = line.removesuffix(b"\n").partition(b"=")
        if keyword.startswith(_SPARSE.encode()):
            found[_SPARSE] = ""
        elif _text(keyword) in _PAX_KEYS:
            found[_text(keyword)] = _text(value)
        record = record[int(length[:6]) :]
    return found


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _padding(size_bytes: int) -> int:
    return -size_bytes % _BLOCK_BYTES
