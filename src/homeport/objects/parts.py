"""Parts of objects that are uploaded in pieces, in any order and at the same time.

The layout of the directory is a format, read by every later version:

    <upload>/<number>.<sha256>     one part, whole; the names are the upload session's
                                   id, the part's number in decimal, its digest
    .receiving/<random>            being received; removed at the next start

A part appears by one rename of a file whose bytes are already on the disk. An upload
may hold two parts of one number: whoever completes it says which is meant.
"""

import contextlib
import datetime as dt
import functools
import pathlib
import secrets
import shutil
from collections.abc import Iterator
from typing import BinaryIO, Final, Protocol, final

from homeport.errors import InvalidArgumentError
from homeport.objects.blobs import BlobWriter
from homeport.objects.spool import FileBlobWriter, disk_full_is_said
from homeport.resources.bucket import KeptPart

_RECEIVING: Final = ".receiving"


class Parts(Protocol):
    """A store of parts."""

    def begin(self, upload: str, number: int) -> BlobWriter:
        """Return a writer of a part.

        Args:
            upload: `[A-Za-z0-9_-]+`.
            number: At least 1.
        """

    def open(self, upload: str, number: int, sha256: str) -> BinaryIO:
        """Return the bytes of a part.

        Raises:
            InvalidArgumentError: There is no such part.
        """

    def iterate(self, upload: str) -> Iterator[KeptPart]:
        """Yield the parts of an upload, in no order."""

    def discard(self, upload: str) -> None:
        """Remove all parts of an upload; nothing happens if it has none."""

    def uploads(self) -> Iterator[str]:
        """Yield every upload that has parts, in no order."""


@final
class FileParts:
    """Parts as files in one directory of one file system, used by one process.

    Args:
        directory: The store's own; made when missing.
        keep_free_bytes: What writing leaves free on the disk.
    """

    def __init__(self, directory: pathlib.Path, *, keep_free_bytes: int = 0) -> None:
        self._directory = directory
        self._keep_free_bytes = keep_free_bytes

    def start(self) -> None:
        """Make the folders, and remove what requests of an earlier process left.

        Raises:
            ResourceExhaustedError: The disk is full.
        """
        receiving = self._directory / _RECEIVING
        shutil.rmtree(receiving, ignore_errors=True)
        with disk_full_is_said():
            receiving.mkdir(parents=True)

    def begin(self, upload: str, number: int) -> FileBlobWriter:
        """Return a writer of a part."""
        adopt = functools.partial(self._adopt, upload, number)
        path = self._directory / _RECEIVING / secrets.token_hex(16)
        return FileBlobWriter.new(
            path, adopt=adopt, keep_free_bytes=self._keep_free_bytes
        )

    def open(self, upload: str, number: int, sha256: str) -> BinaryIO:
        """Return the bytes of a part.

        Raises:
            InvalidArgumentError: There is no such part.
        """
        try:
            return self._path(upload, number, sha256).open("rb")
        except FileNotFoundError as error:
            raise InvalidArgumentError(
                f"part {number} has not been uploaded, or is another than the one with "
                f"the ETag {sha256!r}: send it, then complete again"
            ) from error

    def iterate(self, upload: str) -> Iterator[KeptPart]:
        """Yield the parts of an upload, in no order."""
        with contextlib.suppress(FileNotFoundError):
            # Both may be gone by now: the upload was completed.
            for path in (self._directory / upload).iterdir():
                status = path.stat()
                written = dt.datetime.fromtimestamp(status.st_mtime, dt.UTC)
                yield kept_part(path.name, written, status.st_size)

    def discard(self, upload: str) -> None:
        """Remove all parts of an upload; nothing happens if it has none."""
        shutil.rmtree(self._directory / upload, ignore_errors=True)

    def uploads(self) -> Iterator[str]:
        """Yield every upload that has parts, in no order."""
        for path in self._directory.iterdir():
            if path.name != _RECEIVING:
                yield path.name

    def _path(self, upload: str, number: int, sha256: str) -> pathlib.Path:
        return self._directory / upload / f"{number}.{sha256}"

    def _adopt(self, upload: str, number: int, path: pathlib.Path, sha256: str) -> None:
        part = self._path(upload, number, sha256)
        part.parent.mkdir(exist_ok=True)
        path.chmod(0o444)
        path.replace(part)


def kept_part(name: str, written: dt.datetime, size_bytes: int) -> KeptPart:
    """Return the part that is kept under a name, `<number>.<sha256>`."""
    number, _, sha256 = name.partition(".")
    return KeptPart(int(number), written, sha256, size_bytes)
