"""Bytes being received, in files of this machine, hashed as they arrive.

    partial/<random>      being received in one request; removed at the next start
    resumable/<upload>    being received over several requests, kept over restarts;
                          the name is the upload session's id

What becomes of a file that is whole is its store's affair: `Adopt`.
"""

import collections
import contextlib
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
from typing import BinaryIO, Final, final

import crc32c

from homeport.errors import DataLossError, ResourceExhaustedError
from homeport.resources.bucket import Content

Adopt = Callable[[pathlib.Path, str], None]
"""Makes a whole, synced file the blob of a sha256; the file is gone after it."""

_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_BLOCK_BYTES: Final = 1 << 20
# From here on a thread takes less time than it saves.
_LONG_BYTES: Final = 256 << 10
_MAX_SUSPENDED: Final = 1024


@final
class Spool:
    """The files of a store's uploads, used by one process.

    Args:
        directory: Where they lie; made when missing.
        adopt: What is done with a whole one.
        keep_free_bytes: What writing leaves free on the disk.
    """

    def __init__(
        self, directory: pathlib.Path, adopt: Adopt, *, keep_free_bytes: int = 0
    ) -> None:
        self._adopt = adopt
        self._keep_free_bytes = keep_free_bytes
        self._partial = directory / "partial"
        self._resumable = directory / "resumable"
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
            for folder in (self._partial, self._resumable):
                folder.mkdir(parents=True, exist_ok=True)

    def begin(self, *, md5: bool = True) -> "FileBlobWriter":
        """Return a writer of a new file; a restart forgets it."""
        return FileBlobWriter.new(
            self._partial / secrets.token_hex(16),
            adopt=self._adopt,
            keep_free_bytes=self._keep_free_bytes,
            md5=md5,
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

    def uploads(self) -> Iterator[str]:
        """Yield every unfinished upload that `resume` would go on with, in no order."""
        for path in self._resumable.iterdir():
            yield path.name

    def _remember(self, upload: str, digests: "_Digests") -> None:
        with self._lock:
            self._suspended[upload] = digests
            if len(self._suspended) > _MAX_SUSPENDED:
                self._suspended.popitem(last=False)


@final
class FileBlobWriter:
    """A writer of one file; hashes while it writes, in constant memory.

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
        adopt: Adopt,
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
        adopt: Adopt,
        keep_free_bytes: int = 0,
        md5: bool = True,
    ) -> "FileBlobWriter":
        """Return the writer of a file that is not there yet and has no next writer."""
        digests = _Digests(md5=md5)
        return cls(path, digests, adopt=adopt, keep_free_bytes=keep_free_bytes)

    @property
    def size_bytes(self) -> int:
        """Bytes received so far, in all requests together."""
        return self._size_bytes

    def expect(self, size_bytes: int) -> None:
        """Refuse what is announced, so many bytes more, if there is no room for it.

        Raises:
            ResourceExhaustedError: The disk would be full.
        """
        free_bytes = self._free_bytes()
        if free_bytes - size_bytes < self._keep_free_bytes:
            raise ResourceExhaustedError(
                f"{size_bytes} bytes are announced, and the disk of the data directory "
                f"has {free_bytes} left, of which {self._keep_free_bytes} are kept "
                "free (--keep-free-bytes): free space there and send again"
            )

    def write(self, block: bytes) -> None:
        """Append a block.

        Raises:
            ResourceExhaustedError: The disk is full.
        """
        self._catch_up()
        self._check_free(len(block))
        try:
            with self._digests.taking(block):
                self._append(memoryview(block))
        except BaseException:
            # Who knows how much of the block is there: all is read again, if need be.
            self._digests = self._digests.anew()
            raise

    def content(self) -> Content:
        """Return the size and digests of what was received so far."""
        self._catch_up()
        return self._digests.content()

    def commit(self) -> Content:
        """Keep the bytes as a blob, also if it is there already; ends the writer.

        Raises:
            ResourceExhaustedError: The disk is full.
            UnavailableError: The store they go to does not answer; they are here still,
                and the writer may be suspended.
        """
        content = self.content()
        with disk_full_is_said():
            os.fsync(self._file.fileno())
            self._adopt(self._path, content.sha256)
        self._file.close()
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

    def _append(self, rest: memoryview) -> None:
        with disk_full_is_said():
            while rest:
                written_bytes = self._file.write(rest)
                self._size_bytes += written_bytes
                rest = rest[written_bytes:]

    def _check_free(self, block_bytes: int) -> None:
        """Refuse before the disk is full: the rows and the logs are on it as well."""
        if not self._keep_free_bytes:
            return
        free_bytes = self._free_bytes()
        if free_bytes - block_bytes < self._keep_free_bytes:
            raise ResourceExhaustedError(
                f"the disk of the data directory has {free_bytes >> 20} MiB left, and "
                f"{self._keep_free_bytes >> 20} MiB are kept free (--keep-free-bytes): "
                "free space there and send again"
            )

    def _free_bytes(self) -> int:
        disk = os.fstatvfs(self._file.fileno())
        return disk.f_bavail * disk.f_frsize

    def _catch_up(self) -> None:
        """Read what the digests have not seen: written before a restart."""
        if self._digests.size_bytes == self._size_bytes:
            return
        self._file.seek(self._digests.size_bytes)
        while block := self._file.read(_BLOCK_BYTES):
            self._digests.update(block)


class _Digests:
    """The running digests of a stream.

    Args:
        md5: Whether MD5 is among them.
    """

    def __init__(self, *, md5: bool = True) -> None:
        self.size_bytes = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self._crc32c = 0

    def anew(self) -> "_Digests":
        """Return the same ones of a stream that begins."""
        return _Digests(md5=self._md5 is not None)

    @contextlib.contextmanager
    def taking(self, block: bytes) -> Iterator[None]:
        """Take a block in while the caller does something else with it.

        MD5 takes more than half of all the time, so it has a thread beside.
        """
        with self._md5_beside(block):
            yield
            self._sha256.update(block)
            self._crc32c = crc32c.crc32c(block, self._crc32c)
        self.size_bytes += len(block)

    @contextlib.contextmanager
    def _md5_beside(self, block: bytes) -> Iterator[None]:
        if self._md5 is None:
            yield
        elif len(block) < _LONG_BYTES:
            self._md5.update(block)
            yield
        else:
            thread = threading.Thread(target=self._md5.update, args=(block,))
            thread.start()
            try:
                yield
            finally:
                thread.join()

    def update(self, block: bytes) -> None:
        with self.taking(block):
            pass

    def content(self) -> Content:
        return Content(
            sha256=self._sha256.hexdigest(),
            size_bytes=self.size_bytes,
            crc32c=self._crc32c,
            md5=self._md5.hexdigest() if self._md5 else "",
        )


def measured(file: BinaryIO, sha256: str) -> Content:
    """Return the size and digests of a blob's bytes, read through.

    Raises:
        DataLossError: They are others than those that were kept.
    """
    digests = _Digests()
    while block := file.read(_BLOCK_BYTES):
        digests.update(block)
    content = digests.content()
    if content.sha256 != sha256:
        raise DataLossError(f"the bytes kept as {sha256} have changed: send them again")
    return content


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
