"""The members of an archive, and what no archive's members may be.

Every check here reads names and sizes alone; for a zip, `layout` compares them with the
local headers, `extraction` with the bytes.
"""

import dataclasses
import re
import stat
import unicodedata
import zipfile
from collections.abc import Sequence
from typing import Final

from homeport.errors import InvalidArgumentError

_DRIVE_RE: Final = re.compile(r"[A-Za-z]:")
# Control characters; line ends and what turns the direction of text, by Unicode's own
# numbers, which would show another name than there is; halves of a character.
_CONTROL_RE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_MAX_COMPONENT_BYTES: Final = 255  # what Linux file systems take
_MAX_PATH_BYTES: Final = 1024
_MAX_DEPTH: Final = 32  # keeps the search for collisions linear
_READABLE: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# APPNOTE 4.4.4: encrypted, patched data, strong encryption, masked local headers.
_ENCRYPTED_FLAGS: Final = 0x1 | 0x40 | 0x2000
_PATCHED_FLAG: Final = 0x20


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """How much of an archive is believed.

    Attributes:
        max_members: Files and directories in one archive.
        max_total_bytes: All members together, uncompressed.
        max_ratio: Uncompressed to compressed bytes, of a member and of all together.
        ratio_free_bytes: Uncompressed size up to which the ratio does not matter.
    """

    max_members: int = 10_000
    max_total_bytes: int = 64 << 30
    max_ratio: int = 200
    ratio_free_bytes: int = 1 << 20


DEFAULT_LIMITS: Final = Limits()


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Member:
    """One file of an archive.

    Attributes:
        path: Relative POSIX path.
        size_bytes: Uncompressed.
        compressed_bytes: As it lies in the archive; its size where the archive is
            compressed as a whole.
        stored: Whether its bytes lie in the archive as they are.
        crc32: Of the uncompressed bytes, None where the archive does not keep it.
    """

    path: str
    size_bytes: int
    compressed_bytes: int
    stored: bool
    crc32: int | None


def check(entries: Sequence[zipfile.ZipInfo], limits: Limits) -> tuple[Member, ...]:
    """Return the files among `entries`, sorted by path, once all of them are safe.

    Raises:
        InvalidArgumentError: A path that could leave the directory or that two members
            share, a link or other special entry, encryption, a compression other than
            stored and deflated, or more members or bytes than `limits` allows.
    """
    check_count(len(entries), limits)
    for entry in entries:
        check_path(entry.orig_filename)  # zipfile cuts `filename` at a NUL
        _check_kind(entry)
        _check_coding(entry)
    check_collisions([entry.filename for entry in entries])
    _check_sizes(entries, limits)
    return tuple(sorted(_member(entry) for entry in entries if not entry.is_dir()))


def _member(entry: zipfile.ZipInfo) -> Member:
    return Member(
        path=entry.filename,
        size_bytes=entry.file_size,
        compressed_bytes=entry.compress_size,
        stored=entry.compress_type == zipfile.ZIP_STORED,
        crc32=entry.CRC,
    )


def check_count(members: int, limits: Limits) -> None:
    """Refuse more members than `limits` allows.

    Raises:
        InvalidArgumentError: There are more.
    """
    if members > limits.max_members:
        raise InvalidArgumentError(
            f"the archive has {members} members, the limit is "
            f"{limits.max_members}: leave out what the model does not need"
        )


def check_total(total_bytes: int, limits: Limits) -> None:
    """Refuse more bytes, uncompressed, than `limits` allows.

    Raises:
        InvalidArgumentError: There are more.
    """
    if total_bytes > limits.max_total_bytes:
        raise InvalidArgumentError(
            f"the archive unpacks to {total_bytes} bytes, the limit is "
            f"{limits.max_total_bytes}: split the model or raise the limit"
        )


def check_path(path: str) -> None:
    """Refuse a path that may leave the directory, or that no file system takes.

    Raises:
        InvalidArgumentError: It is such a path.
    """
    if _CONTROL_RE.search(path):
        raise refused(path, "has a control character in its name")
    if "\\" in path:
        raise refused(path, "has a backslash in its name")
    if path.startswith("/") or _DRIVE_RE.match(path):
        raise refused(path, "is an absolute path")
    components = path.removesuffix("/").split("/")
    if ".." in components:
        raise refused(path, "points outside the archive with '..'")
    if "" in components or "." in components:
        raise refused(path, "has an empty or '.' part in its path")
    if len(components) > _MAX_DEPTH:
        raise refused(path, f"lies over {_MAX_DEPTH} directories deep")
    longest = max(len(component.encode()) for component in components)
    if longest > _MAX_COMPONENT_BYTES or len(path.encode()) > _MAX_PATH_BYTES:
        raise refused(
            path,
            f"has a name over {_MAX_COMPONENT_BYTES} bytes "
            f"or a path over {_MAX_PATH_BYTES}",
        )


def _check_kind(entry: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    allowed = (0, stat.S_IFDIR) if entry.is_dir() else (0, stat.S_IFREG)
    if kind not in allowed:
        raise refused(entry.filename, "is a link, device or other special entry")
    # An empty deflated stream takes two bytes.
    if entry.is_dir() and (entry.file_size or entry.compress_size > 2):  # noqa: PLR2004
        raise refused(entry.filename, "is a directory that holds bytes")


def _check_coding(entry: zipfile.ZipInfo) -> None:
    if entry.flag_bits & _ENCRYPTED_FLAGS:
        raise refused(entry.filename, "is encrypted")
    if entry.compress_type not in _READABLE or entry.flag_bits & _PATCHED_FLAG:
        raise refused(
            entry.filename,
            f"has compression method {entry.compress_type} "
            "where only stored and deflated can be read",
        )
    stored = entry.compress_type == zipfile.ZIP_STORED
    if stored and entry.compress_size != entry.file_size:
        raise refused(entry.filename, "is stored but declares two different sizes")


def check_collisions(paths: Sequence[str]) -> None:
    """Refuse paths that a file system, of whatever kind, would lay on each other.

    Args:
        paths: A directory's ends with a slash.

    Raises:
        InvalidArgumentError: Two are one path.
    """
    seen: set[str] = set()
    files = {path for path in paths if not path.endswith("/")}
    spellings: dict[str, str] = {}
    for path in paths:
        if path in seen:
            raise refused(path, "is there twice")
        seen.add(path)
        for ancestor in _with_parents(path):
            folded = _folded(ancestor)
            other = spellings.setdefault(folded, ancestor)
            if other != ancestor:
                raise refused(
                    path, f"differs from {other!r:.80} only by case or Unicode form"
                )
        for parent in _with_parents(path)[path in files :]:
            if parent in files:
                raise refused(parent, "is a file and a directory at once")


def _folded(path: str) -> str:
    """Return what all spellings of a path that differ by case or form share."""
    # The Unicode Standard, 3.13, D145: canonical caseless matching.
    folded = unicodedata.normalize("NFD", path).casefold()
    return unicodedata.normalize("NFD", folded)


def _with_parents(path: str) -> list[str]:
    """Return the path without its trailing slash, then each directory above it."""
    paths = [path.removesuffix("/")]
    while "/" in paths[-1]:
        paths.append(paths[-1].rpartition("/")[0])
    return paths


def _check_sizes(entries: Sequence[zipfile.ZipInfo], limits: Limits) -> None:
    total_bytes = sum(entry.file_size for entry in entries)
    check_total(total_bytes, limits)
    for entry in entries:
        if is_bomb(entry.file_size, entry.compress_size, limits):
            raise refused(
                entry.filename,
                f"unpacks to {entry.file_size} bytes, over {limits.max_ratio} times "
                "its compressed size",
                remedy="store it uncompressed",
            )
    compressed_bytes = sum(entry.compress_size for entry in entries)
    if is_bomb(total_bytes, compressed_bytes, limits):
        raise InvalidArgumentError(
            f"the archive unpacks to {total_bytes} bytes, over {limits.max_ratio} "
            "times its compressed size: store its members uncompressed"
        )


def is_bomb(size_bytes: int, compressed_bytes: int, limits: Limits) -> bool:
    """Tell whether so few bytes unpack to so many that it cannot be a model."""
    return (
        size_bytes > limits.ratio_free_bytes
        and size_bytes > limits.max_ratio * compressed_bytes
    )


def refused(
    path: str, problem: str, *, remedy: str = "pack the archive again"
) -> InvalidArgumentError:
    """Return the error for one member."""
    return InvalidArgumentError(f"archive member {path!r:.120} {problem}: {remedy}")
