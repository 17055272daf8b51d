"""Reading an archive that is a folder: the archiver's format `no-archive`."""

import os
import stat
from pathlib import Path
from typing import NoReturn

from homeport.archive import inventory, manifest, members
from homeport.archive.inventory import Inventory
from homeport.archive.members import DEFAULT_LIMITS, Limits, Member
from homeport.errors import InvalidArgumentError


def check(directory: Path, limits: Limits = DEFAULT_LIMITS) -> Inventory:
    """Return what lies in the folder, by its names and sizes; links are not followed.

    Raises:
        InvalidArgumentError: It has no valid manifest, which names a file that is not
            there, or an entry that is refused.
    """
    try:
        found, paths = _walk(directory, limits)
        declared = _manifest(directory)
    except FileNotFoundError as error:
        raise InvalidArgumentError(
            f"{directory.name!r:.120} changed while it was read: try again"
        ) from error
    except OSError as error:
        raise InvalidArgumentError(
            f"{directory.name!r:.120} cannot be read ({error.strerror}): change the "
            "permissions of what lies in it"
        ) from error
    members.check_collisions(paths)
    total_bytes = sum(member.size_bytes for member in found)
    members.check_total(total_bytes, limits)
    result = Inventory(declared, tuple(sorted(found)), total_bytes)
    result.check_named_files()
    return result


def _walk(directory: Path, limits: Limits) -> tuple[list[Member], list[str]]:
    found: list[Member] = []
    paths: list[str] = []
    for folder, directories, names in os.walk(directory, onerror=_told):
        directories.sort()
        for name in (*directories, *sorted(names)):
            entry = Path(folder) / name
            path = entry.relative_to(directory).as_posix()
            members.check_path(path)
            status = entry.lstat()
            if stat.S_ISDIR(status.st_mode):
                paths.append(f"{path}/")
            elif stat.S_ISREG(status.st_mode):
                paths.append(path)
                found.append(Member(path, status.st_size, status.st_size, True, None))  # noqa: FBT003  # its bytes lie there as they are
            else:
                raise members.refused(path, "is a link, device or other special entry")
            members.check_count(len(paths), limits)
    return found, paths


def _told(error: OSError) -> NoReturn:
    raise error


def _manifest(directory: Path) -> manifest.Manifest:
    # Somebody may put a link or a pipe there since it was looked at.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(directory / manifest.PATH, flags)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise inventory.missing_manifest("a folder") from error
    with open(descriptor, "rb") as file:  # noqa: PTH123  # of a descriptor
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise inventory.missing_manifest("a folder")
        return manifest.parse(file.read(manifest.MAX_BYTES + 1))
