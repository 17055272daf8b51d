"""Where versions come from, and what their authors tell of them."""

import datetime as dt
from collections.abc import Callable

from homeport.metadata import check_rows, lineage_rows, model_rows
from homeport.metadata.database import Database
from homeport.registry import papers
from homeport.registry.catalog import NEVER_CHECKED, resolve
from homeport.registry.journal import Journal, of_model
from homeport.resources.change import ANONYMOUS, ChangeKind
from homeport.resources.lineage import Provenance
from homeport.resources.model import ModelVersion
from homeport.resources.names import ModelName


class Provenances:
    """Tells where versions come from.

    Args:
        database: Where it is written.
        now: The time, aware.
        new_id: Makes an id that was never used.
    """

    def __init__(
        self,
        database: Database,
        now: Callable[[], dt.datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._now = now
        self._new_id = new_id

    def get(self, name: ModelName) -> Provenance:
        """Return where a version comes from; without one, the default version.

        Raises:
            NotFoundError: No such model, version or alias.
        """
        with self._database.snapshot() as transaction:
            version = resolve(transaction, name)
            said = lineage_rows.get(transaction, version.name)
            check = check_rows.get(transaction, version.name) or NEVER_CHECKED
        return Provenance(version, said, check)

    def readme(self, name: ModelName) -> tuple[ModelName, str]:
        """Return a version's full name and its README, "" for none.

        Raises:
            NotFoundError: No such model, version or alias.
        """
        with self._database.snapshot() as transaction:
            version = resolve(transaction, name).name
            return version, lineage_rows.get_readme(transaction, version)

    def put_readme(
        self, name: ModelName, text: str, *, caller: str = ANONYMOUS
    ) -> ModelVersion:
        """Write the README of a version in place of the one it has.

        Args:
            name: A version by id or alias; without either, the default version.
            text: Markdown; "" takes it away.
            caller: Who asks, for the history.

        Raises:
            NotFoundError: No such model, version or alias.
            InvalidArgumentError: Over 64 KiB, or text that cannot be kept.
        """
        papers.check_readme(text)
        now = self._now()
        with self._database.transaction() as transaction:
            version = resolve(transaction, name)
            before = lineage_rows.get_readme(transaction, version.name)
            lineage_rows.put_readme(transaction, version.name, text, now)
            Journal(transaction, caller, now).note(
                of_model(name, ChangeKind.README, version.name.version),
                {"text": before} if before else None,
                {"text": text} if text else None,
            )
            model_rows.touch(transaction, version.name, self._new_id(), now)
            return version
