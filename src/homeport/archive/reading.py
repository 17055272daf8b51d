"""Any of the archiver's formats, told apart by what lies there."""

import contextlib
from pathlib import Path

from homeport.archive import folder, mar, tgz
from homeport.archive.inventory import Inventory
from homeport.archive.members import DEFAULT_LIMITS, Limits
from homeport.errors import InvalidArgumentError, PermissionDeniedError


def check(path: Path, limits: Limits = DEFAULT_LIMITS) -> Inventory:
    """Return what lies in a zip, a `.tar.gz` or a folder, once it is safe.

    Raises:
        NotFoundError: There is nothing.
        InvalidArgumentError: It is no archive, or a broken or hostile one.
        PermissionDeniedError: It cannot be read.
    """
    try:
        return _check(path, limits)
    except PermissionError as error:
        raise PermissionDeniedError(
            f"{path.name!r:.120} cannot be read: change its permissions"
        ) from error


def _check(path: Path, limits: Limits) -> Inventory:
    if path.is_dir():
        return folder.check(path, limits)
    if path.exists() and not path.is_file():
        raise InvalidArgumentError(
            f"{path.name!r:.120} is a pipe or device where an archive is a file: copy "
            "it into a file first"
        )
    if _head(path).startswith(tgz.MAGIC):
        return tgz.check(path, limits)
    return mar.check(path, limits)


def _head(path: Path) -> bytes:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        return file.read(len(tgz.MAGIC))
    return b""
