"""The locks of versions whose requirements could not be locked when they came.

The package index did not answer, or the server checked nothing then. Such a version is
checked again before it runs: never in the server's environment instead of its own.
"""

from typing import Final, final

from homeport.archive import lockfile
from homeport.checking.apart import CheckError
from homeport.errors import FailedPreconditionError
from homeport.metadata import check_rows, lineage_rows, model_rows
from homeport.metadata.database import Database
from homeport.registry.intake import Intake
from homeport.resources.lineage import LOCK
from homeport.resources.model import Artifact, ModelVersion

_WHY: Final = "has requirements that were not locked when it was registered, and"


@final
class LateLocks:
    """Locks versions that were registered without.

    Args:
        database: The rows.
        intake: Proves archives.
    """

    def __init__(self, database: Database, intake: Intake) -> None:
        self._database = database
        self._intake = intake

    def make(self, version: ModelVersion, artifact: Artifact) -> str:
        """Return the lock of a version that has none; blocks as long as a check takes.

        It is kept with the version from now on, and so is what the check found.

        Raises:
            CheckError: It could not be carried out, as the package index does not
                answer.
            FailedPreconditionError: The check did not come to a lock.
        """
        try:
            found = self._intake.prove_again(artifact, version.container)
        except CheckError as error:
            raise CheckError(
                error.code, f"{version.name} {_WHY} cannot be now: {error.message}"
            ) from error
        with self._database.transaction() as transaction:
            # Of two that deploy it at once the first has its word.
            lock = model_rows.get_lock(transaction, version.name)
            if lock:
                return lock
            check_rows.replace(transaction, version.name, found.check)
            if found.lock:
                model_rows.set_lock(transaction, version.name, found.lock)
                digest = lockfile.parse(found.lock).digest
                lineage_rows.insert(transaction, version.name, {LOCK: digest})
        if not found.lock:
            raise FailedPreconditionError(
                f"{version.name} {_WHY} cannot be met here: {found.check.detail}"
            )
        return found.lock
