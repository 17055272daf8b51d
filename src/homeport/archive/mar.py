"""Reading one `.mar` file: a zip with a manifest, from anybody.

Archives are hostile input. `inspect` reads the directory and the manifest, `check`
also every local header, `extract` takes the members out; each refuses before it
goes on, and nothing of an archive is ever run here.
"""

import contextlib
import dataclasses
import io
import struct
import zipfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from homeport.archive import central, content, extraction, layout, manifest, members
from homeport.archive.central import End
from homeport.archive.inventory import Inventory
from homeport.archive.manifest import Manifest
from homeport.archive.members import DEFAULT_LIMITS, Limits, Member
from homeport.errors import DataLossError, InvalidArgumentError, NotFoundError

__all__ = [
    "DEFAULT_LIMITS",
    "Inventory",
    "Limits",
    "Member",
    "check",
    "damaged_member",
    "extract",
    "inspect",
    "is_extracted",
    "looking_into",
    "looks_like_archive",
    "read",
]


@dataclasses.dataclass(frozen=True, slots=True)
class _Opened:
    file: BinaryIO
    archive: zipfile.ZipFile
    end: End
    inventory: Inventory


def looks_like_archive(head: bytes) -> bool:
    """Tell by its first 4 bytes whether a file may be a `.mar`; any zip may."""
    return head.startswith(layout.LOCAL_SIGNATURE)


def inspect(source: Path | BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Inventory:
    """Return what lies in the archive, from its directory and manifest alone.

    Args:
        source: The archive's path, or an open seekable file, which stays open.
        limits: How much of it is believed.

    Raises:
        NotFoundError: There is no such file.
        InvalidArgumentError: It is no zip, has no valid manifest, names a file that is
            not in it, or has a member that is refused.
    """
    with _opened(source, limits) as opened:
        return opened.inventory


def check(source: Path | BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Inventory:
    """Return what `inspect` returns, once every local header agrees with it.

    Raises:
        NotFoundError: There is no such file.
        InvalidArgumentError: As `inspect`; or a local header disagrees, or bytes
            belong to two members or to none.
    """
    with _opened(source, limits) as opened:
        _check_headers(opened)
        return opened.inventory


def extract(
    source: Path | BinaryIO, directory: Path, limits: Limits = DEFAULT_LIMITS
) -> Inventory:
    """Check the archive, then write its members into the new `directory`.

    The directory appears in one step, its files read-only (0444, directories 0555); a
    failure leaves nothing. Memory stays constant.

    Raises:
        NotFoundError: There is no such file.
        AlreadyExistsError: The directory exists and is not empty.
        InvalidArgumentError: As `check`; or a member's bytes are not those it declares.
        ResourceExhaustedError: The disk is full.
    """
    with _opened(source, limits) as opened:
        _check_headers(opened)
        extraction.unpack(opened.file, opened.archive.infolist(), directory)
        return opened.inventory


def is_extracted(source: Path | BinaryIO, directory: Path) -> bool:
    """Tell whether `directory` holds what `extract` would write, byte for byte.

    Reads both directory and files through; see `extraction.verify` for what it costs.

    Raises:
        NotFoundError: There is no such archive.
        InvalidArgumentError: As `inspect`.
    """
    return extraction.verify(inspect(source).members, directory)


def damaged_member(source: Path | BinaryIO) -> str:
    """Return the first member that cannot be read as it was packed.

    "" where all can, or not even the archive's directory.
    """
    try:
        with _opened(source, DEFAULT_LIMITS) as opened:
            for entry in opened.archive.infolist():
                if not _is_intact(opened.file, entry):
                    return entry.filename
    except (InvalidArgumentError, DataLossError):
        return ""
    return ""


def read(
    source: Path | BinaryIO, paths: Collection[str], max_bytes: int
) -> dict[str, bytes]:
    """Return the content of those of these members that there are, by path.

    Raises:
        NotFoundError: There is no such archive.
        InvalidArgumentError: As `inspect`; or a member is damaged or over `max_bytes`.
    """
    with _opened(source, DEFAULT_LIMITS) as opened:
        found = [one for one in opened.archive.infolist() if one.filename in paths]
        return {
            one.filename: _read_member(opened.file, one, max_bytes) for one in found
        }


@contextlib.contextmanager
def looking_into(
    source: Path | BinaryIO, limits: Limits = DEFAULT_LIMITS
) -> Iterator[Callable[[Member, int], BinaryIO]]:
    """Yield what opens a member of a checked archive, without unpacking it.

    A stored member is read where it lies; of a deflated one, as many bytes as are
    asked for are inflated from its front.

    Raises:
        NotFoundError: There is no such archive.
        InvalidArgumentError: As `check`; when opening, also that a member is damaged.
    """
    with _opened(source, limits) as opened:
        _check_headers(opened)

        def open_member(member: Member, max_bytes: int) -> BinaryIO:
            entry = opened.archive.getinfo(member.path)
            begin = layout.data_offset(opened.file, entry)
            if member.stored:
                region = content.Region(opened.file, begin, member.size_bytes)
                return io.BufferedReader(region)
            return io.BytesIO(content.read(opened.file, entry, begin, max_bytes))

        yield open_member


def _check_headers(opened: _Opened) -> None:
    layout.check_local_headers(opened.file, opened.archive.infolist(), opened.end)


@contextlib.contextmanager
def _opened(source: Path | BinaryIO, limits: Limits) -> Iterator[_Opened]:
    with _file(source) as file:
        end = layout.read_end(file, limits)
        central.check(file, end)
        archive_bytes = file.seek(0, 2)
        with _directory(file) as archive:
            entries = archive.infolist()
            found = members.check(entries, limits)
            declared = _read_manifest(file, archive)
            inventory = Inventory(declared, found, archive_bytes)
            inventory.check_named_files()
            yield _Opened(file, archive, end, inventory)


@contextlib.contextmanager
def _file(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(source, Path):
        yield source
        return
    try:
        file = source.open("rb")
    except FileNotFoundError as error:
        raise NotFoundError(
            f"there is no archive {source.name!r}: make it with 'homeport pack'"
        ) from error
    except IsADirectoryError as error:
        raise InvalidArgumentError(
            f"{source.name or str(source)!r} is a directory where a .mar is a file: "
            "name the archive in it"
        ) from error
    with file:
        yield file


@contextlib.contextmanager
def _directory(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(file)
    # zipfile raises ValueError for names that are no UTF-8, NotImplementedError for
    # versions of the format newer than itself.
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        raise InvalidArgumentError(
            f"the archive's directory cannot be read ({error}): pack or copy it again"
        ) from error
    with archive:
        yield archive


def _read_manifest(file: BinaryIO, archive: zipfile.ZipFile) -> Manifest:
    try:
        entry = archive.getinfo(manifest.PATH)
    except KeyError as error:
        raise InvalidArgumentError(
            f"the archive has no {manifest.PATH}, so it is a zip but no .mar: "
            "make it with 'homeport pack' or torch-model-archiver"
        ) from error
    return manifest.parse(_read_member(file, entry, manifest.MAX_BYTES))


def _is_intact(file: BinaryIO, entry: zipfile.ZipInfo) -> bool:
    try:
        for _ in content.chunks(file, entry, layout.data_offset(file, entry)):
            pass
    except (InvalidArgumentError, DataLossError):
        return False
    return True


def _read_member(file: BinaryIO, entry: zipfile.ZipInfo, max_bytes: int) -> bytes:
    if entry.file_size > max_bytes:
        raise InvalidArgumentError(
            f"{entry.filename} has {entry.file_size} bytes, the limit is {max_bytes}: "
            "keep descriptions and data in a file of their own"
        )
    return content.read(file, entry, layout.data_offset(file, entry), max_bytes)
