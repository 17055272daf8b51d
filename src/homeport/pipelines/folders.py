"""Folders of this machine, where a pipeline that runs here keeps its files."""

import os
import shutil
from pathlib import Path

from homeport.errors import NotFoundError, PermissionDeniedError
from homeport.pipelines.storage import uncopied


class Folders:
    """Files by their absolute paths. Links to folders are not followed."""

    def below(self, folder: str) -> dict[str, int]:
        """Return sizes in bytes by relative path; none for what is no folder."""
        found: dict[str, int] = {}
        for parent, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                path = Path(parent) / name
                if path.is_file():
                    found[path.relative_to(folder).as_posix()] = path.stat().st_size
        return found

    def exists(self, address: str) -> bool:
        """Return whether there is a file."""
        return Path(address).is_file()

    def fetch(self, address: str, path: Path) -> None:
        """Copy a file.

        Raises:
            NotFoundError: There is none.
            PermissionDeniedError: It may not be read.
            FailedPreconditionError: The disk is full, or fails.
        """
        try:
            shutil.copyfile(address, path)
        except FileNotFoundError as error:
            raise NotFoundError(f"{address} does not exist: check the path") from error
        except PermissionError as error:
            raise PermissionDeniedError(
                f"{address} may not be read: change its permissions"
            ) from error
        except OSError as error:
            raise uncopied(address, error) from error
