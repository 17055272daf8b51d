"""Reading an archive that is a folder: the archiver's format `no-archive`."""

import os
import stat
from pathlib import Path

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
    found: list[Member] = []
    paths: list[str] = []
    for folder, directories, names in os.walk(directory):
        directories.sort()
        for name in (*directories, *sorted(names)):
            entry = Path(folder) / name
            path = entry.relative_to(directory).as_posix()
            members.check_path(path)
            status = entry.lstat()
            if stat.S_ISDIR(status.st_mode):
                paths.append(f"{path}/")
                continue
            if not stat.S_ISREG(status.st_mode):
                raise members.refused(path, "is a link, device or other special entry")
            paths.append(path)
            found.append(Member(path, status.st_size, status.st_size, True, None))  # noqa: FBT003  # its bytes lie there as they are
            members.check_count(len(paths), limits)
    members.check_collisions(paths)
    total_bytes = sum(member.size_bytes for member in found)
    members.check_total(total_bytes, limits)
    result = Inventory(_manifest(directory), tuple(sorted(found)), total_bytes)
    result.check_named_files()
    return result


def _manifest(directory: Path) -> manifest.Manifest:
    try:
        with (directory / manifest.PATH).open("rb") as file:
            return manifest.parse(file.read(manifest.MAX_BYTES + 1))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise inventory.missing_manifest("a folder") from error
    except PermissionError as error:
        raise InvalidArgumentError(
            f"{manifest.PATH} cannot be read: change its permissions"
        ) from error
