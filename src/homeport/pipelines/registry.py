"""What a step needs of a model registry."""

import dataclasses
from typing import Protocol

from homeport.errors import RelayedError
from homeport.pipelines.uploadspec import UploadSpec


class EndedError(RelayedError):
    """The service has ended what was begun without a result: nothing was made."""


@dataclasses.dataclass(frozen=True, slots=True)
class Parent:
    """A model that gets a version.

    Attributes:
        name: Its full name.
        default_version: The version that has the alias "default".
    """

    name: str
    default_version: str


@dataclasses.dataclass(frozen=True, slots=True)
class Version:
    """A registered version.

    Attributes:
        model: The model's full name.
        number: Of the version.
    """

    model: str
    number: str

    @property
    def name(self) -> str:
        """`projects/.../models/ID@NUMBER`."""
        return f"{self.model}@{self.number}"


class Upload(Protocol):
    """A version that is being registered."""

    def version(self, timeout_s: float) -> Version:
        """Wait for the version.

        Raises:
            EndedError: The registry has ended it without one.
            DeadlineExceededError: It takes longer.
            HomeportError: The registry cannot be asked.
        """

    def cancel(self) -> None:
        """Ask the registry to end it, which may be too late.

        Raises:
            HomeportError: The registry cannot be asked.
        """


class Registry(Protocol):
    """Where versions are registered."""

    def parent(self, wanted: str) -> Parent:
        """Return the model of a full name or id.

        Raises:
            NotFoundError: There is none.
            InvalidArgumentError: It is neither a name nor an id.
        """

    def begin(self, spec: UploadSpec, folder: str, parent: Parent | None) -> Upload:
        """Ask for a version of the archive in a folder.

        Raises:
            HomeportError: As the registry says.
        """

    def delete(self, version: Version, parent: Parent | None) -> None:
        """Undo an upload: the version goes, and the model with its only one.

        Raises:
            HomeportError: As the registry says.
        """
