"""Writing an archive's files: as a zip, a tar or a folder, the same bytes for ever."""

import dataclasses
import datetime as dt
import enum
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, assert_never

from homeport.errors import InvalidArgumentError
from homeport.packing.storedgzip import StoredGzip

_CHUNK_BYTES: Final = 1 << 18
_MEMBER_MODE: Final = 0o644
_REGULAR_FILE: Final = 0o100000 << 16
_UNIX: Final = 3  # APPNOTE 4.4.2: who wrote the modes


class ArchiveFormat(enum.Enum):
    """torch-model-archiver's formats; `DEFAULT` is stored, not deflated, here."""

    DEFAULT = "default"
    TGZ = "tgz"
    NO_ARCHIVE = "no-archive"
    ZIP_STORE = "zip-store"

    def file_name(self, model_name: str) -> str:
        """Return how the archive of a model is called."""
        match self:
            case ArchiveFormat.DEFAULT | ArchiveFormat.ZIP_STORE:
                return f"{model_name}.mar"
            case ArchiveFormat.TGZ:
                return f"{model_name}.tar.gz"
            case ArchiveFormat.NO_ARCHIVE:
                return model_name
            case _:
                assert_never(self)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What is written.

    Attributes:
        model_name: Of a tar's one folder.
        documents: What was made for the archive, by path; written first, in this order,
            the manifest in front.
        members: The source of each path.
        date: What every member carries, in UTC, from 1980 to 2107.
        on_progress: Called with the bytes written and the bytes to write in all.
    """

    model_name: str
    documents: Mapping[str, bytes]
    members: Mapping[str, Path]
    date: dt.datetime
    on_progress: Callable[[int, int], None] | None = None


def write(archive_format: ArchiveFormat, contents: Contents, path: Path) -> None:
    """Write a new file or folder at `path`, in constant memory.

    Raises:
        InvalidArgumentError: A source changed meanwhile.
        OSError: As the file system says.
    """
    match archive_format:
        case ArchiveFormat.DEFAULT | ArchiveFormat.ZIP_STORE:
            _write_zip(contents, path)
        case ArchiveFormat.TGZ:
            _write_tgz(contents, path)
        case ArchiveFormat.NO_ARCHIVE:
            _write_folder(contents, path)
        case _:
            assert_never(archive_format)


def _write_zip(contents: Contents, path: Path) -> None:
    """Write sizes and CRCs in front, for readers which stream (TorchServe's).

    One pass: zipfile sums the CRC while it writes and then sets it into the header in
    front, so what is summed is what was written.
    """
    copying = _Copying(contents)
    with path.open("xb") as file, zipfile.ZipFile(file, "w") as archive:
        for archive_path, text in contents.documents.items():
            archive.writestr(_zip_entry(archive_path, contents.date), text)
        for archive_path, source in contents.members.items():
            entry = _zip_entry(archive_path, contents.date)
            entry.file_size = source.stat().st_size  # decides for zip64
            with archive.open(entry, "w") as member:
                for chunk in copying.read(source, entry.file_size):
                    member.write(chunk)


def _zip_entry(archive_path: str, date: dt.datetime) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(archive_path, date.timetuple()[:6])
    entry.create_system = _UNIX
    entry.external_attr = _REGULAR_FILE | _MEMBER_MODE << 16
    return entry


def _write_tgz(contents: Contents, path: Path) -> None:
    copying = _Copying(contents)
    with path.open("xb") as file:
        packed = StoredGzip(file, int(contents.date.timestamp()))
        for archive_path, text in contents.documents.items():
            packed.write(_tar_header(contents, archive_path, len(text)))
            packed.write(text)
            packed.write(_tar_padding(len(text)))
        for archive_path, source in contents.members.items():
            size_bytes = source.stat().st_size
            packed.write(_tar_header(contents, archive_path, size_bytes))
            for chunk in copying.read(source, size_bytes):
                packed.write(chunk)
            packed.write(_tar_padding(size_bytes))
        packed.write(bytes(2 * tarfile.BLOCKSIZE))
        packed.finish()


def _tar_header(contents: Contents, archive_path: str, size_bytes: int) -> bytes:
    entry = tarfile.TarInfo(f"{contents.model_name}/{archive_path}")
    entry.size = size_bytes
    entry.mode = _MEMBER_MODE
    entry.mtime = int(contents.date.timestamp())
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _tar_padding(size_bytes: int) -> bytes:
    return bytes(-size_bytes % tarfile.BLOCKSIZE)


def _write_folder(contents: Contents, path: Path) -> None:
    copying = _Copying(contents)
    for archive_path, text in contents.documents.items():
        document = path / archive_path
        document.parent.mkdir(parents=True, exist_ok=True)
        document.write_bytes(text)
    for archive_path, source in contents.members.items():
        target = path / archive_path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            for chunk in copying.read(source, source.stat().st_size):
                file.write(chunk)


class _Copying:
    """Reads sources in chunks of one buffer and tells how far it is."""

    def __init__(self, contents: Contents) -> None:
        self._on_progress = contents.on_progress
        sources = contents.members.values()
        self._total_bytes = sum(source.stat().st_size for source in sources)
        self._read_bytes = 0
        self._buffer = memoryview(bytearray(_CHUNK_BYTES))

    def read(self, source: Path, size_bytes: int) -> Iterator[memoryview]:
        """Yield a file's bytes; each chunk is good until the next.

        Raises:
            InvalidArgumentError: The file has not `size_bytes` any more.
        """
        left_bytes = size_bytes
        with source.open("rb", buffering=0) as file:
            while left_bytes and (count := file.readinto(self._buffer[:left_bytes])):
                yield self._buffer[:count]
                left_bytes -= count
                self._read_bytes += count
                if self._on_progress is not None:
                    self._on_progress(self._read_bytes, self._total_bytes)
            if left_bytes or os.fstat(file.fileno()).st_size != size_bytes:
                raise InvalidArgumentError(
                    f"{str(source)!r} changed while it was being packed: pack it again"
                )
