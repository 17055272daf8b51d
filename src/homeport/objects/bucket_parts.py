"""Parts of objects in a bucket of an object store, which several servers may share.

The layout of the bucket's folder is a format, read by every later version:

    parts/<upload>/<number>.<sha256>     one part, named as in a directory
                                         (`objects.parts`)

A part is received in a file of this machine and sent when its digest is known.
"""

import functools
import pathlib
import secrets
import shutil
from collections.abc import Iterator
from typing import BinaryIO, Final, final

from homeport.errors import InvalidArgumentError, NotFoundError
from homeport.objects.parts import kept_part
from homeport.objects.remote_file import opened
from homeport.objects.spool import FileBlobWriter, disk_full_is_said
from homeport.objects.stores import Store
from homeport.resources.bucket import KeptPart

_PARTS: Final = "parts/"


@final
class BucketParts:
    """Parts in a folder of a bucket, used by any number of processes.

    Args:
        store: The folder.
        directory: Of this process alone, for what is being received; made when missing.
        keep_free_bytes: What receiving leaves free on the disk.
    """

    def __init__(
        self, store: Store, directory: pathlib.Path, *, keep_free_bytes: int = 0
    ) -> None:
        self._store = store
        self._directory = directory
        self._keep_free_bytes = keep_free_bytes

    def start(self) -> None:
        """Make the folder, and remove what requests of an earlier process left.

        Raises:
            ResourceExhaustedError: The disk is full.
        """
        shutil.rmtree(self._directory, ignore_errors=True)
        with disk_full_is_said():
            self._directory.mkdir(parents=True)

    def begin(self, upload: str, number: int) -> FileBlobWriter:
        """Return a writer of a part."""
        return FileBlobWriter.new(
            self._directory / secrets.token_hex(16),
            adopt=functools.partial(self._adopt, upload, number),
            keep_free_bytes=self._keep_free_bytes,
        )

    def open(self, upload: str, number: int, sha256: str) -> BinaryIO:
        """Return the bytes of a part.

        Raises:
            InvalidArgumentError: There is no such part.
            UnavailableError: The store does not answer.
        """
        try:
            return opened(self._store, _key(upload, number, sha256))
        except NotFoundError as error:
            raise InvalidArgumentError(
                f"part {number} has not been uploaded, or is another than the one with "
                f"the ETag {sha256!r}: send it, then complete again"
            ) from error

    def iterate(self, upload: str) -> Iterator[KeptPart]:
        """Yield the parts of an upload, in no order."""
        for stat in self._store.iterate(f"{_PARTS}{upload}/"):
            name = stat.key.rpartition("/")[2]
            yield kept_part(name, stat.written, stat.size_bytes)

    def discard(self, upload: str) -> None:
        """Remove all parts of an upload; nothing happens if it has none."""
        self._store.delete_folder(f"{_PARTS}{upload}/")

    def uploads(self) -> Iterator[str]:
        """Yield every upload that has parts, in no order."""
        yield from self._store.folders(_PARTS)

    def _adopt(self, upload: str, number: int, path: pathlib.Path, sha256: str) -> None:
        self._store.put_file(_key(upload, number, sha256), path)
        path.unlink()


def _key(upload: str, number: int, sha256: str) -> str:
    return f"{_PARTS}{upload}/{number}.{sha256}"
