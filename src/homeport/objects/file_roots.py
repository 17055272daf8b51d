"""Files of this machine that may be copied: below listed directories and no others.

Links are resolved first; then every folder on the way is opened by itself, without
following one. So a link that is put there meanwhile leads nowhere.
"""

import contextlib
import functools
import os
import pathlib
import stat
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import Final, final

from homeport.errors import (
    AbortedError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from homeport.objects.offers import Offer, check_count

_BLOCK_BYTES: Final = 1 << 20
_MAX_DEPTH: Final = 32
_LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@final
class FileRoots:
    """The listed directories.

    Args:
        roots: Of which everything below may be read.
        apart: What must not be among it: the server's own data directory.

    Raises:
        FailedPreconditionError: A root is no directory, or holds what must be apart.
    """

    def __init__(self, roots: Sequence[pathlib.Path], apart: pathlib.Path) -> None:
        own = pathlib.Path(os.path.realpath(apart))
        self._roots = [pathlib.Path(os.path.realpath(root)) for root in roots]
        for root, said in zip(self._roots, roots, strict=True):
            if own.is_relative_to(root) or root.is_relative_to(own):
                raise FailedPreconditionError(
                    f"--file-root {said} would let everybody read the data directory: "
                    "name a directory that does not hold it"
                )
            if not root.is_dir():
                raise FailedPreconditionError(
                    f"--file-root {said} is no directory: name one that is there"
                )

    def offers(self, uri: str) -> list[Offer]:
        """Return what a `file://` URI names: a folder's files by path, else the file.

        Raises:
            InvalidArgumentError: It is no such URI, or names what is no file or folder.
            PermissionDeniedError: It leads out of the roots, or may not be read.
            NotFoundError: Nothing is there.
        """
        path = _path_of(uri)
        if not self._roots:
            raise PermissionDeniedError(
                f"{uri!r}: this server reads no files; its owner names directories "
                "with --file-root"
            )
        real = pathlib.Path(os.path.realpath(path))
        with _told(uri):
            with self._look(real, uri) as found:
                mode = os.fstat(found).st_mode
                if not stat.S_ISDIR(mode):
                    return [self._offer(real, pathlib.Path(path).name, found, uri)]
            offers: list[Offer] = []
            for offer in self._walk(real, "", uri):
                offers.append(offer)
                check_count(len(offers), uri)
        if not offers:
            raise NotFoundError(f"the folder {uri} is empty: put the archive there")
        return offers

    def _walk(self, folder: pathlib.Path, prefix: str, uri: str) -> Iterator[Offer]:
        if prefix.count("/") > _MAX_DEPTH:
            raise InvalidArgumentError(f"{uri} is over {_MAX_DEPTH} folders deep")
        with self._look(folder, uri) as found:
            names = sorted(_listed(found))
        for name in names:
            path, shown = folder / name, prefix + name
            _check_name(shown)
            is_link = path.is_symlink()
            real = pathlib.Path(os.path.realpath(path)) if is_link else path
            with self._look(real, uri) as found:
                is_folder = stat.S_ISDIR(os.fstat(found).st_mode)
                if not is_folder:
                    yield self._offer(real, shown, found, uri)
            if is_folder and is_link:
                raise InvalidArgumentError(
                    f"{uri}: {shown!r} is a link to a folder, which is not followed: "
                    "copy the folder there"
                )
            if is_folder:
                yield from self._walk(path, f"{shown}/", uri)

    def _offer(self, real: pathlib.Path, shown: str, found: int, uri: str) -> Offer:
        status = os.fstat(found)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidArgumentError(
                f"{uri}: {shown!r} is a device, pipe or socket, not a file"
            )
        read = functools.partial(self._blocks, real, status, uri)
        return Offer(shown, status.st_size, read)

    def _blocks(
        self, real: pathlib.Path, offered: os.stat_result, uri: str
    ) -> Iterator[bytes]:
        with _told(uri), self._look(real, uri) as found:
            # What is a file now stays one under this descriptor.
            _check_same(os.fstat(found), offered, uri)
            descriptor = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
            with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123  # has no path
                while block := file.read(_BLOCK_BYTES):
                    yield block
                _check_same(os.fstat(descriptor), offered, uri)

    @contextlib.contextmanager
    def _look(self, real: pathlib.Path, uri: str) -> Iterator[int]:
        """Yield a descriptor of a path without links, which reads nothing of it.

        Raises:
            PermissionDeniedError: It is below no root.
        """
        root = next((one for one in self._roots if real.is_relative_to(one)), None)
        if root is None:
            raise PermissionDeniedError(
                f"{uri!r} leads to no directory that this server may read: its owner "
                "names those with --file-root"
            )
        found = os.open(root, _LOOK)
        try:
            for part in real.relative_to(root).parts:
                inner = os.open(part, _LOOK, dir_fd=found)
                os.close(found)
                found = inner
            yield found
        finally:
            os.close(found)


def _path_of(uri: str) -> str:
    parts = urllib.parse.urlsplit(uri)
    try:
        path = urllib.parse.unquote(parts.path, errors="strict")
    except UnicodeDecodeError:
        path = ""
    wrong = parts.netloc not in {"", "localhost"} or parts.query or parts.fragment
    if wrong or not path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise InvalidArgumentError(
            f"{uri!r}: expected file:///path without '..', with %XX for what a URI "
            "does not hold"
        )
    return path


def _listed(found: int) -> list[str]:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    descriptor = os.open(f"/proc/self/fd/{found}", flags)
    try:
        return os.listdir(descriptor)  # noqa: PTH208  # of a descriptor
    finally:
        os.close(descriptor)


def _check_name(shown: str) -> None:
    try:
        shown.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(
            f"{shown!a} is no UTF-8 name: rename the file"
        ) from error


def _check_same(now: os.stat_result, offered: os.stat_result, uri: str) -> None:
    if _identity(now) != _identity(offered):
        raise AbortedError(
            f"a file of {uri} has changed while it was read: ask again when nobody "
            "writes it"
        )


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@contextlib.contextmanager
def _told(uri: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise PermissionDeniedError(
            f"{uri!r} may not be read by the account that the server runs as"
        ) from error
    except OSError as error:
        # Gone, or no folder on the way, or a link put there since it was resolved.
        raise NotFoundError(
            f"nothing is at {uri!r}: look whether it is right"
        ) from error
