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

import collections
import contextlib
import datetime as dt
import errno
import functools
import hashlib
import io
import os
import pathlib
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, Protocol, final

import crc32c

from homeport.errors import DataLossError, ResourceExhaustedError
from homeport.resources.bucket import Content

_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_BLOCK_BYTES: Final = 1 << 20
_MAX_SUSPENDED: Final = 1024


class BlobWriter(Protocol):
    """One blob being received; used by one thread at a time."""

    @property
    def size_bytes(self) -> int:
        """Bytes received so far, in all requests together."""

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
        """

    def suspend(self) -> None:
        """Keep the bytes for `Blobs.resume`, safe from power loss; ends the writer.

        Nothing happens if it ended before. Only for writers made by `Blobs.resume`.
        """

    def abort(self) -> None:
        """Forget the bytes; ends the writer. Nothing happens if it ended before."""


class Blobs(Protocol):
    """A store of blobs."""

    def begin(self) -> BlobWriter:
        """Return a writer of a new blob; a restart forgets it."""

    def resume(self, upload: str) -> BlobWriter:
        """Return the writer of an upload that lasts over requests and restarts.

        Args:
            upload: `[A-Za-z0-9_-]+`; a new one starts empty. The caller sees to it
                that no two writers of one upload exist at a time.
        """

    def open(self, sha256: str) -> BinaryIO:
        """Return a blob's bytes, seekable; it stays readable when deleted meanwhile.

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
        self._keep_free_bytes = keep_free_bytes
        self._blobs = directory / "sha256"
        self._partial = directory / "partial"
        self._resumable = directory / "resumable"
        # Between the rename that (re)writes a blob and a delete that found it old.
        self._lock = threading.Lock()
        self._suspended: collections.OrderedDict[str, _Digests] = (
            collections.OrderedDict()
        )

    def start(self) -> None:
        """Make the folders, and remove what requests of an earlier process left.

        Raises:
            ResourceExhaustedError: The disk is full.
        """
        shutil.rmtree(self._partial, ignore_errors=True)
        with disk_full_is_said():
            for folder in (self._blobs, self._partial, self._resumable):
                folder.mkdir(parents=True, exist_ok=True)

    def begin(self) -> "FileBlobWriter":
        """Return a writer of a new blob; a restart forgets it."""
        path = self._partial / secrets.token_hex(16)
        return FileBlobWriter.new(
            path, adopt=self._adopt, keep_free_bytes=self._keep_free_bytes
        )

    def resume(self, upload: str) -> "FileBlobWriter":
        """Return the writer of an upload that lasts over requests and restarts.

        Digests are kept in memory between requests. After a restart the bytes there
        are read once more (about 3 seconds for 1 GB) when the upload goes on, because
        no hash of the standard library can be stored half done.
        """
        with self._lock:
            digests = self._suspended.pop(upload, None) or _Digests()
        return FileBlobWriter(
            self._resumable / upload,
            digests,
            adopt=self._adopt,
            remember=functools.partial(self._remember, upload),
            keep_free_bytes=self._keep_free_bytes,
        )

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
        digests = _Digests()
        with self.open(sha256) as file:
            while block := file.read(_BLOCK_BYTES):
                digests.update(block)
        content = digests.content()
        if content.sha256 != sha256:
            raise DataLossError(
                f"the bytes kept as {sha256} have changed: send them again"
            )
        return content

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
        for path in self._resumable.iterdir():
            yield path.name

    def _path(self, sha256: str) -> pathlib.Path:
        return self._blobs / sha256[:2] / sha256

    def _adopt(self, path: pathlib.Path, sha256: str) -> None:
        """Rename a whole, synced file to a blob, over an equal one if there is one."""
        blob = self._path(sha256)
        if not blob.parent.exists():
            blob.parent.mkdir(exist_ok=True)
            _sync_folder(self._blobs)
        with self._lock:
            os.utime(path)
            path.replace(blob)
        _sync_folder(blob.parent)

    def _remember(self, upload: str, digests: "_Digests") -> None:
        with self._lock:
            self._suspended[upload] = digests
            if len(self._suspended) > _MAX_SUSPENDED:
                self._suspended.popitem(last=False)


@final
class FileBlobWriter:
    """The writer of `FileBlobs`; hashes while it writes, in constant memory.

    Args:
        path: The file to append to; made when missing.
        digests: Those of the first bytes of it, which are not read again.
        adopt: Makes the file the blob of a sha256.
        remember: Keeps the digests until the next writer of the file; None for a
            file that has no next writer.
        keep_free_bytes: What writing leaves free on the disk.
    """

    def __init__(
        self,
        path: pathlib.Path,
        digests: "_Digests",
        *,
        adopt: Callable[[pathlib.Path, str], None],
        remember: Callable[["_Digests"], None] | None = None,
        keep_free_bytes: int = 0,
    ) -> None:
        self._path = path
        self._keep_free_bytes = keep_free_bytes
        self._digests = digests
        self._adopt = adopt
        self._remember = remember
        self._ended = False
        with disk_full_is_said():
            self._file = io.FileIO(path, "a+")
        self._size_bytes = os.fstat(self._file.fileno()).st_size

    @classmethod
    def new(
        cls,
        path: pathlib.Path,
        *,
        adopt: Callable[[pathlib.Path, str], None],
        keep_free_bytes: int = 0,
    ) -> "FileBlobWriter":
        """Return the writer of a file that is not there yet and has no next writer."""
        return cls(path, _Digests(), adopt=adopt, keep_free_bytes=keep_free_bytes)

    @property
    def size_bytes(self) -> int:
        """Bytes received so far, in all requests together."""
        return self._size_bytes

    def write(self, block: bytes) -> None:
        """Append a block.

        Raises:
            ResourceExhaustedError: The disk is full.
        """
        self._catch_up()
        self._check_free(len(block))
        rest = memoryview(block)
        with disk_full_is_said():
            while rest:
                written_bytes = self._file.write(rest)
                self._size_bytes += written_bytes
                rest = rest[written_bytes:]
        self._digests.update(block)

    def content(self) -> Content:
        """Return the size and digests of what was received so far."""
        self._catch_up()
        return self._digests.content()

    def commit(self) -> Content:
        """Keep the bytes as a blob, also if it is there already; ends the writer.

        Raises:
            ResourceExhaustedError: The disk is full.
        """
        content = self.content()
        with disk_full_is_said():
            os.fchmod(self._file.fileno(), 0o444)
            os.fsync(self._file.fileno())
            self._file.close()
            self._adopt(self._path, content.sha256)
        self._ended = True
        return content

    def suspend(self) -> None:
        """Keep the bytes for `Blobs.resume`, safe from power loss; ends the writer."""
        if self._remember is None:
            raise RuntimeError("only an upload over several requests is suspended")
        if self._ended:
            return
        self._ended = True
        with self._file, disk_full_is_said():
            os.fsync(self._file.fileno())
        self._remember(self._digests)

    def abort(self) -> None:
        """Forget the bytes; ends the writer. Nothing happens if it ended before."""
        if self._ended:
            return
        self._ended = True
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _check_free(self, block_bytes: int) -> None:
        """Refuse before the disk is full: the rows and the logs are on it as well."""
        if not self._keep_free_bytes:
            return
        disk = os.fstatvfs(self._file.fileno())
        free_bytes = disk.f_bavail * disk.f_frsize
        if free_bytes - block_bytes < self._keep_free_bytes:
            raise ResourceExhaustedError(
                f"the disk of the data directory has {free_bytes >> 20} MiB left, and "
                f"{self._keep_free_bytes >> 20} MiB are kept free (--keep-free-bytes): "
                "free space there and send again"
            )

    def _catch_up(self) -> None:
        """Read what the digests have not seen: written before a restart."""
        if self._digests.size_bytes == self._size_bytes:
            return
        self._file.seek(self._digests.size_bytes)
        while block := self._file.read(_BLOCK_BYTES):
            self._digests.update(block)


class _Digests:
    """The running digests of a stream."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc32c = 0

    def update(self, block: bytes) -> None:
        self._sha256.update(block)
        self._md5.update(block)
        self._crc32c = crc32c.crc32c(block, self._crc32c)
        self.size_bytes += len(block)

    def content(self) -> Content:
        return Content(
            sha256=self._sha256.hexdigest(),
            size_bytes=self.size_bytes,
            crc32c=self._crc32c,
            md5=self._md5.hexdigest(),
        )


@contextlib.contextmanager
def disk_full_is_said() -> Iterator[None]:
    """Raise what the operating system says of a full disk as RESOURCE_EXHAUSTED.

    Raises:
        ResourceExhaustedError: The disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        raise ResourceExhaustedError(
            "the disk of the data directory is full (or its quota is used up): "
            "free space there and send again"
        ) from error


def _sync_folder(folder: pathlib.Path) -> None:
    """Make a rename in the folder survive power loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
