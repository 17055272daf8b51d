"""Blobs in a bucket of an object store, which several servers may share.

The layout of the bucket's folder is a format, read by every later version:

    sha256/ab/abcdef...     one blob; its key is as in a directory (`objects.blobs`)
    written/ab/abcdef...    its witness: the ETag that the blob got when it was written.
                            When the witness was written is when the blob was last
                            written, also again
    doomed/abcdef...        a delete of this blob is under way
    owner                   the id of the registry whose rows name the blobs
    started                 empty, written whenever a server starts

A blob is received in files of this machine (`objects.spool`, in its own data
directory: an upload over several requests goes on at the server where it began), and
sent when its digest is known, under its final key. Stores show an object when it is
whole, so whatever is under `sha256` is whole. Bytes that are there already, as the
witness tells, are not sent again.

**Who writes and who deletes never miss each other**, in whichever processes: a delete
first says `doomed`, then looks at the witness; a writer first writes the witness, then
looks for `doomed`. So one of them sees the other: the delete lets the blob be, or the
writer waits for its end and looks again. A server that died in a delete leaves
`doomed` behind; it counts for ten minutes of the store's clock.
"""

import datetime as dt
import pathlib
import time
from collections.abc import Iterator
from typing import BinaryIO, Final, final

from homeport.errors import (
    DataLossError,
    NotFoundError,
    UnavailableError,
)
from homeport.objects.remote_file import opened
from homeport.objects.spool import FileBlobWriter, Spool, measured
from homeport.objects.stores import Store
from homeport.resources.bucket import Content

_BLOBS: Final = "sha256/"
_WITNESSES: Final = "written/"
_DOOMED: Final = "doomed/"
_OWNER: Final = "owner"
_STARTED: Final = "started"
_DOOM_LIFETIME: Final = dt.timedelta(minutes=10)
_DELETE_S: Final = 60.0
_WAIT_S: Final = 30.0
_LOOK_AGAIN_S: Final = 0.2


@final
class BucketBlobs:
    """Blobs in a folder of a bucket, used by any number of processes.

    Args:
        store: The folder.
        directory: Of this process alone, for what is being received; made when missing.
        keep_free_bytes: What receiving leaves free on the disk.
    """

    def __init__(
        self, store: Store, directory: pathlib.Path, *, keep_free_bytes: int = 0
    ) -> None:
        self._store = store
        self._spool = Spool(directory, self._adopt, keep_free_bytes=keep_free_bytes)

    def start(self) -> None:
        """Prove that the bucket can be written; remove what dead processes left.

        Raises:
            NotFoundError: There is no such bucket.
            PermissionDeniedError: It lets this server not in.
            UnavailableError: The store does not answer.
            ResourceExhaustedError: The disk is full.
        """
        self._spool.start()
        # By the store's clock, which dates what is there.
        self._store.put(_STARTED, b"")
        now = self._store.head(_STARTED)
        for doom in self._store.iterate(_DOOMED):
            if now and now.written - doom.written > _DOOM_LIFETIME:
                self._store.delete(doom.key)

    def claim(self, owner: str) -> str:
        """Return whose the blobs are: now the claimant's if they were nobody's.

        Raises:
            UnavailableError: The store does not answer.
        """
        if self._store.create(_OWNER, owner.encode()):
            return owner
        return self._store.read_all(_OWNER).decode("utf-8", "replace")

    def begin(self, *, md5: bool = True) -> FileBlobWriter:
        """Return a writer of a new blob; a restart forgets it."""
        return self._spool.begin(md5=md5)

    def resume(self, upload: str) -> FileBlobWriter:
        """Return the writer of an upload that goes on at this server alone."""
        return self._spool.resume(upload)

    def open(self, sha256: str) -> BinaryIO:
        """Return a blob's bytes, seekable.

        Deleted meanwhile, up to 1 MiB stays readable, and what is read further on
        raises an UNAVAILABLE or NOT_FOUND error.

        Raises:
            DataLossError: No such blob.
            UnavailableError: The store does not answer.
        """
        try:
            return opened(self._store, _blob(sha256))
        except NotFoundError as error:
            raise DataLossError(
                f"the bytes of sha256 {sha256} are gone from the bucket of blobs: "
                "restore it from a backup, or upload them again"
            ) from error

    def measure(self, sha256: str) -> Content:
        """Return the size and digests of a blob, read through.

        Raises:
            DataLossError: No such blob, or its bytes are not those that were kept.
            UnavailableError: The store does not answer.
        """
        with self.open(sha256) as file:
            return measured(file, sha256)

    def delete(self, sha256: str, *, unused_since: dt.datetime) -> bool:
        """Remove a blob unless it was written (again) since; tell whether it went.

        Raises:
            UnavailableError: The store does not answer.
        """
        if not self._is_older(sha256, unused_since):
            return False
        if not self._store.create(_DOOMED + sha256, b""):
            return False  # another server is at it
        began = time.monotonic()
        try:
            # The deletes are not begun when writers may have stopped waiting for them.
            if (
                not self._is_older(sha256, unused_since)
                or time.monotonic() - began > _DELETE_S
            ):
                return False
            self._store.delete(_witness(sha256))
            self._store.delete(_blob(sha256))
        finally:
            self._store.delete(_DOOMED + sha256)
        return True

    def iterate(self) -> Iterator[str]:
        """Yield the sha256 of every blob, in no order."""
        for stat in self._store.iterate(_BLOBS):
            yield stat.key.rpartition("/")[2]

    def uploads(self) -> Iterator[str]:
        """Yield every unfinished upload that `resume` would go on with, in no order."""
        yield from self._spool.uploads()

    def _is_older(self, sha256: str, than: dt.datetime) -> bool:
        blob = self._store.head(_blob(sha256))
        if blob is None:
            return False
        witness = self._store.head(_witness(sha256))
        return all(one is None or one.written < than for one in (blob, witness))

    def _adopt(self, path: pathlib.Path, sha256: str) -> None:
        """Make a whole file a blob, or find that it is one; the file is gone then."""
        deadline = time.monotonic() + _WAIT_S
        while not self._keep(path, sha256):
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"the blob {sha256} is being deleted by another server: send it "
                    "again in a moment"
                )
            time.sleep(_LOOK_AGAIN_S)
        path.unlink()

    def _keep(self, path: pathlib.Path, sha256: str) -> bool:
        """Write or find a blob; return whether nobody can be deleting it."""
        key = _blob(sha256)
        blob = self._store.head(key)
        if blob is None or (blob.etag, blob.size_bytes) != (
            self._witnessed(sha256),
            path.stat().st_size,
        ):
            self._store.put_file(key, path)
            blob = self._store.head(key)
            if blob is None:
                return False
        self._store.put(_witness(sha256), blob.etag.encode())
        return not self._is_doomed(sha256) and self._store.head(key) is not None

    def _witnessed(self, sha256: str) -> str:
        """Return the ETag that a blob had when it was written, "" if nobody knows."""
        try:
            return self._store.read_all(_witness(sha256)).decode()
        except NotFoundError:
            return ""

    def _is_doomed(self, sha256: str) -> bool:
        doom = self._store.head(_DOOMED + sha256)
        witness = self._store.head(_witness(sha256))
        if doom is None or witness is None:
            return doom is not None
        return witness.written - doom.written <= _DOOM_LIFETIME


def _blob(sha256: str) -> str:
    return f"{_BLOBS}{sha256[:2]}/{sha256}"


def _witness(sha256: str) -> str:
    return f"{_WITNESSES}{sha256[:2]}/{sha256}"
