"""What a step needs of buckets and folders, whoever keeps them.

Addresses are normalized; see `addresses.normalized`.
"""

import dataclasses
import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from homeport.errors import FailedPreconditionError
from homeport.pipelines import addresses


class Files(Protocol):
    """Files that can be listed and copied here."""

    def below(self, folder: str) -> Mapping[str, int]:
        """Return the sizes in bytes of all files below a folder, by relative path.

        Raises:
            HomeportError: As the store says: no such bucket, not allowed.
        """

    def exists(self, address: str) -> bool:
        """Return whether there is a file."""

    def fetch(self, address: str, path: Path) -> None:
        """Copy a file to a new path of this machine.

        Raises:
            HomeportError: As the store says: no such file, not allowed.
        """


class Buckets(Files, Protocol):
    """Files that can be written, too."""

    def store(self, path: Path, address: str) -> bool:
        """Copy a file of this machine; return False if the address was taken already.

        Raises:
            HomeportError: As the store says.
        """

    def remove(self, address: str) -> None:
        """Remove a file; none is no mistake."""


@dataclasses.dataclass(frozen=True, slots=True)
class Storage:
    """Everything that a step reads from and writes to."""

    buckets: Buckets
    folders: Files

    def of(self, address: str) -> Files:
        """Return who has what lies at a normalized address."""
        return self.buckets if addresses.is_bucket(address) else self.folders


def uncopied(address: str, error: OSError) -> FailedPreconditionError:
    """Return what is said of a file that this machine could not read or write."""
    remedy = (
        "make room on this disk"
        if error.errno == errno.ENOSPC
        else "look at this machine's disks and their permissions"
    )
    return FailedPreconditionError(
        f"{address} cannot be copied ({error.strerror}): {remedy}"
    )
