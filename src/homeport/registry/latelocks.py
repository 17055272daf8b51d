"""The locks of versions whose requirements could not be locked when they came.

The package index did not answer, or the server checked nothing then. Such a version is
checked again before it runs: never in the server's environment instead of its own.
"""

import datetime as dt
from collections.abc import Callable
from typing import Final, final

from homeport.archive import lockfile
from homeport.checking.apart import CheckError
from homeport.checking.ending import Ending
from homeport.errors import AbortedError, FailedPreconditionError
from homeport.metadata import check_rows, lineage_rows, model_rows
from homeport.metadata.database import Database, Transaction
from homeport.registry import catalog
from homeport.registry.intake import Found, Intake
from homeport.registry.journal import Journal, of_model
from homeport.resources.change import SERVER, ChangeKind
from homeport.resources.check import Check
from homeport.resources.lineage import LOCK
from homeport.resources.model import Artifact, ModelVersion
from homeport.resources.names import ModelName

_WHY: Final = "has requirements that were not locked when it was registered, and"


@final
class LateLocks:
    """Locks versions that were registered without.

    Args:
        database: The rows.
        intake: Proves archives.
        now: The time, aware.
    """

    def __init__(
        self, database: Database, intake: Intake, now: Callable[[], dt.datetime]
    ) -> None:
        self._database = database
        self._intake = intake
        self._now = now

    def make(self, version: ModelVersion, artifact: Artifact, ending: Ending) -> str:
        """Return the lock of a version that has none; blocks as long as a check takes.

        It is kept with the version from now on, and so is what the check found.

        Args:
            version: It has requirements.
            artifact: Its own.
            ending: Through which the check can be ended from another thread.

        Raises:
            AbortedError: Another version has its name by now.
            CancelledError: It was ended so.
            CheckError: It could not be carried out, as the package index does not
                answer.
            FailedPreconditionError: The check did not come to a lock.
            NotFoundError: The version was deleted meanwhile.
        """
        try:
            found = self._intake.prove_again(artifact, version.container, ending)
        except CheckError as error:
            raise CheckError(
                error.code, f"{version.name} {_WHY} cannot be now: {error.message}"
            ) from error
        with self._database.transaction() as transaction:
            current = catalog.resolve(transaction, version.name)
            # Its model may have been deleted, and another been given its id.
            if (current.artifact, current.container) != (artifact, version.container):
                raise AbortedError(
                    f"{version.name} is another version by now than the one whose "
                    "requirements were locked: send the request again"
                )
            # Of two that deploy it at once the first has its word.
            lock = model_rows.get_lock(transaction, version.name)
            if lock:
                return lock
            self._keep(transaction, version.name, found)
        if not found.lock:
            raise FailedPreconditionError(
                f"{version.name} {_WHY} cannot be met here: {found.check.detail}"
            )
        return found.lock

    def _keep(self, transaction: Transaction, name: ModelName, found: Found) -> None:
        before = check_rows.get(transaction, name)
        check_rows.replace(transaction, name, found.check)
        digest = ""
        if found.lock:
            model_rows.set_lock(transaction, name, found.lock)
            digest = lockfile.parse(found.lock).digest
            lineage_rows.insert(transaction, name, {LOCK: digest})
        Journal(transaction, SERVER, self._now()).note(
            of_model(name, ChangeKind.VERSION, name.version),
            _told(before, ""),
            _told(found.check, digest),
        )


def _told(check: Check | None, digest: str) -> dict[str, str]:
    """Return what the history has of a version's check and lock."""
    told = {"lockDigest": digest}
    if check is not None:
        told |= {"checkState": check.state.value, "checkDetail": check.detail}
    return told
