"""Locations: any will do, and those in use are listed."""

from typing import Final

from homeport.metadata import location_rows
from homeport.metadata.database import Database
from homeport.resources.names import Parent

# Where the official clients look when they are told nothing.
_ALWAYS: Final = "us-central1"


class Locations:
    """Where a project's resources live.

    Args:
        database: What is read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_locations(self, project: str) -> list[Parent]:
        """Return the locations a project uses, and the one that clients begin with.

        Raises:
            InvalidArgumentError: That is no name of a project.
        """
        always = Parent.parse(f"projects/{project}/locations/{_ALWAYS}")
        with self._database.snapshot() as transaction:
            used = location_rows.of_project(transaction, project)
        return [Parent(project, name) for name in sorted({always.location, *used})]
