"""Members become files: streamed, counted, verified, published at once."""

import contextlib
import errno
import io
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from homeport.archive import content, layout
from homeport.archive.members import Member
from homeport.errors import AlreadyExistsError, ResourceExhaustedError

_CHUNK_BYTES: Final = 1 << 18  # measured: 1 MiB takes half as long again
_FILE_MODE: Final = 0o444
_DIRECTORY_MODE: Final = 0o555
_STAGING_PREFIX: Final = ".staging."
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def unpack(
    archive: BinaryIO, entries: Sequence[zipfile.ZipInfo], directory: Path
) -> None:
    """Write `entries` of an archive, already checked, into the new `directory`.

    The files are made in a temporary directory beside it and appear under its name in
    one step, read-only; a failure leaves nothing. Everything is on the disk before
    that, so that a loss of power leaves the whole or nothing; that costs what the disk
    takes to write it, once an archive.

    Raises:
        ResourceExhaustedError: The disk is full.
        AlreadyExistsError: The directory exists and is not empty.
        InvalidArgumentError: A member's bytes are not those it declares.
    """
    with _room_for(entries), _staging(directory) as staged:
        for entry in entries:
            target = staged / entry.filename
            if entry.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                _write(archive, entry, target)
        _protect(staged)
        try:
            staged.rename(directory)
        except OSError as error:
            if not directory.exists():
                raise
            raise AlreadyExistsError(
                f"{directory.name} exists already: extract into a new directory"
            ) from error
        _sync(directory.parent)


def copy(files: Iterable[tuple[str, BinaryIO]], directory: Path) -> None:
    """Write whole files into the new `directory`, as `unpack` writes members.

    Args:
        files: Relative paths, already checked, and contents, each read when the one
            before is written.
        directory: Where they appear, all in one step.

    Raises:
        ResourceExhaustedError: The disk is full.
        OSError: A path cannot be made: it is too long, or the folder of another one.
    """
    try:
        with _staging(directory) as staged:
            for path, content_ in files:
                target = staged / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb", buffering=0) as file:
                    while chunk := content_.read(_CHUNK_BYTES):
                        _write_all(file, chunk)
                    os.fsync(file.fileno())
            _protect(staged)
            staged.rename(directory)
            _sync(directory.parent)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise ResourceExhaustedError(
            "the disk is full, or its quota: free some and try again"
        ) from error


def verify(members: Sequence[Member], directory: Path) -> bool:
    """Tell whether `directory` holds exactly these members, byte for byte.

    Reads every file through: about a second for each GB that the page cache has, else
    what the disk takes.
    """
    wanted = {member.path: member for member in members}
    try:
        found = {
            str((Path(folder) / name).relative_to(directory))
            for folder, _, names in os.walk(directory)
            for name in names
        }
        return found == wanted.keys() and all(
            _holds(directory / path, member) for path, member in wanted.items()
        )
    except OSError:
        return False


def clear_staging(parent: Path) -> None:
    """Remove the temporary directories that a killed process left in `parent`."""
    for left in parent.glob(f"{_STAGING_PREFIX}*"):
        _remove(left)


def discard(directory: Path) -> None:
    """Remove a laid-out directory, read-only as it is."""
    # Renamed first: whoever sees the name finds the whole, or nothing.
    aside = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=directory.parent))
    directory.chmod(0o700)
    directory.rename(aside / directory.name)
    _remove(aside)


def _holds(path: Path, member: Member) -> bool:
    if path.is_symlink() or path.stat().st_size != member.size_bytes:
        return False
    crc32 = 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            crc32 = zlib.crc32(chunk, crc32)
    return crc32 == member.crc32


@contextlib.contextmanager
def _room_for(entries: Sequence[zipfile.ZipInfo]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        total_bytes = sum(entry.file_size for entry in entries)
        raise ResourceExhaustedError(
            f"the disk is full, or its quota: the archive takes {total_bytes} "
            "bytes unpacked; free some and try again"
        ) from error


@contextlib.contextmanager
def _staging(directory: Path) -> Iterator[Path]:
    directory.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(
        tempfile.mkdtemp(
            prefix=f"{_STAGING_PREFIX}{directory.name[:64]}.", dir=directory.parent
        )
    )
    try:
        yield staged
    except BaseException:
        _remove(staged)
        raise


def _write(archive: BinaryIO, entry: zipfile.ZipInfo, target: Path) -> None:
    data_offset = layout.data_offset(archive, entry)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with io.FileIO(os.open(target, flags, 0o600), "wb") as file:
        for chunk in content.chunks(archive, entry, data_offset):
            _write_all(file, chunk)
        os.fsync(file.fileno())


def _write_all(file: io.FileIO, chunk: bytes) -> None:
    """Write it all: a disk that is nearly full takes a part and says so."""
    left = memoryview(chunk)
    while left:
        left = left[file.write(left) :]


def _sync(folder: Path) -> None:
    """Have the disk take the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _protect(staged: Path) -> None:
    for folder, _, names in os.walk(staged, topdown=False):
        for name in names:
            (Path(folder) / name).chmod(_FILE_MODE)
        Path(folder).chmod(_DIRECTORY_MODE)
        _sync(Path(folder))


def _remove(staged: Path) -> None:
    for folder, _, _ in os.walk(staged):
        Path(folder).chmod(0o700)
    shutil.rmtree(staged, ignore_errors=True)
