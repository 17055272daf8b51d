"""Blobs: immutable bytes, each kept once under its sha256.

The layout of the directory is a format, read by every later version:

    sha256/ab/abcdef...   one blob; the file's name is its sha256 in lower-case hex,
                          the folder the first two digits of it; mode 0444; its
                          modification time is when it was last written, also again
    partial/<random>      being received in one request; removed at the next start
    resumable/<upload>    being received over several requests, kept over restarts;
                          the name is the upload session's id

A blob appears by one rename of a file whose bytes are already on the disk, so
whatever is under `sha256` is whole. Which blobs are needed is known to the rows of
`metadata` alone.
"""

import contextlib
import datetime as dt
import os
import pathlib
import threading
from collections.abc import Iterator
from typing import BinaryIO, Protocol, final

from homeport.errors import DataLossError
from homeport.objects.spool import (
    FileBlobWriter,
    Spool,
    disk_full_is_said,
    measured,
)
from homeport.resources.bucket import Content


class BlobWriter(Protocol):
    """One blob being received; used by one thread at a time."""

    @property
    def size_bytes(self) -> int:
        """Bytes received so far, in all requests together."""

    def expect(self, size_bytes: int) -> None:
        """Refuse what is announced, so many bytes more, if there is no room for it.

        Raises:
            ResourceExhaustedError: The disk would be full.
        """

    def write(self, block: bytes) -> None:
        """Append a block.

        Raises:
            ResourceExhaustedError: The disk is full.
        """

    def content(self) -> Content:
        """Return the size and digests of what was received so far."""

    def commit(self) -> Content:
        """Keep the bytes as a blob, also if it is there already; ends the writer.

        Raises:
            ResourceExhaustedError: The disk is full.
            UnavailableError: The store they go to does not answer; the writer may be
                suspended then, or aborted.
        """

    def suspend(self) -> None:
        """Keep the bytes for `Blobs.resume`, safe from power loss; ends the writer.

        Nothing happens if it ended before. Only for writers made by `Blobs.resume`.
        """

    def abort(self) -> None:
        """Forget the bytes; ends the writer. Nothing happens if it ended before."""


class Blobs(Protocol):
    """A store of blobs."""

    def begin(self, *, md5: bool = True) -> BlobWriter:
        """Return a writer of a new blob; a restart forgets it.

        Args:
            md5: Whether its content is told with an MD5, which takes longer than all
                else; without, it has "" there.
        """

    def resume(self, upload: str) -> BlobWriter:
        """Return the writer of an upload that lasts over requests and restarts.

        Args:
            upload: `[A-Za-z0-9_-]+`; a new one starts empty. The caller sees to it
                that no two writers of one upload exist at a time.
        """

    def open(self, sha256: str) -> BinaryIO:
        """Return a blob's bytes, seekable.

        It stays readable when deleted meanwhile; of one in a bucket, its first MiB.

        Raises:
            DataLossError: No such blob.
        """

    def measure(self, sha256: str) -> Content:
        """Return the size and digests of a blob, read through.

        Raises:
            DataLossError: No such blob, or its bytes are not those that were kept.
        """

    def delete(self, sha256: str, *, unused_since: dt.datetime) -> bool:
        """Remove a blob unless it was written (again) since; tell whether it went."""

    def iterate(self) -> Iterator[str]:
        """Yield the sha256 of every blob, in no order."""

    def uploads(self) -> Iterator[str]:
        """Yield every unfinished upload that `resume` would go on with, in no order."""


@final
class FileBlobs:
    """Blobs as files in one directory of one file system, used by one process.

    Args:
        directory: The store's own; made when missing.
        keep_free_bytes: What writing leaves free on the disk.
    """

    def __init__(self, directory: pathlib.Path, *, keep_free_bytes: int = 0) -> None:
        self._blobs = directory / "sha256"
        self._spool = Spool(directory, self._adopt, keep_free_bytes=keep_free_bytes)
        # Between the rename that (re)writes a blob and a delete that found it old.
        self._lock = threading.Lock()

    def start(self) -> None:
        """Make the folders, and remove what requests of an earlier process left.

        Raises:
            ResourceExhaustedError: The disk is full.
        """
        with disk_full_is_said():
            self._blobs.mkdir(parents=True, exist_ok=True)
        self._spool.start()

    def begin(self, *, md5: bool = True) -> FileBlobWriter:
        """Return a writer of a new blob; a restart forgets it."""
        return self._spool.begin(md5=md5)

    def resume(self, upload: str) -> FileBlobWriter:
        """Return the writer of an upload that lasts over requests and restarts."""
        return self._spool.resume(upload)

    def open(self, sha256: str) -> BinaryIO:
        """Return a blob's bytes, seekable; it stays readable when deleted meanwhile.

        Raises:
            DataLossError: No such blob.
        """
        try:
            return self._path(sha256).open("rb")
        except FileNotFoundError as error:
            raise DataLossError(
                f"the bytes of sha256 {sha256} are gone from the data directory: "
                "restore it from a backup, or upload them again"
            ) from error

    def measure(self, sha256: str) -> Content:
        """Return the size and digests of a blob, read through.

        Raises:
            DataLossError: No such blob, or its bytes are not those that were kept.
        """
        with self.open(sha256) as file:
            return measured(file, sha256)

    def delete(self, sha256: str, *, unused_since: dt.datetime) -> bool:
        """Remove a blob unless it was written (again) since; tell whether it went."""
        path = self._path(sha256)
        with self._lock, contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < unused_since.timestamp():
                path.unlink()
                return True
        return False

    def iterate(self) -> Iterator[str]:
        """Yield the sha256 of every blob, in no order."""
        for folder in self._blobs.iterdir():
            for path in folder.iterdir():
                yield path.name

    def uploads(self) -> Iterator[str]:
        """Yield every unfinished upload that `resume` would go on with, in no order."""
        yield from self._spool.uploads()

    def _path(self, sha256: str) -> pathlib.Path:
        return self._blobs / sha256[:2] / sha256

    def _adopt(self, path: pathlib.Path, sha256: str) -> None:
        """Rename a whole, synced file to a blob, over an equal one if there is one."""
        blob = self._path(sha256)
        if not blob.parent.exists():
            blob.parent.mkdir(exist_ok=True)
            _sync_folder(self._blobs)
        with self._lock:
            path.chmod(0o444)
            os.utime(path)
            path.replace(blob)
        _sync_folder(blob.parent)


def _sync_folder(folder: pathlib.Path) -> None:
    """Make a rename in the folder survive power loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
