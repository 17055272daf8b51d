"""Noting in the history what a verb changes, in the transaction that changes it."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

from homeport.metadata import (
    change_rows,
    model_rows,
    model_word_rows,
    version_rows,
)
from homeport.metadata.database import Transaction
from homeport.resources.change import Change, ChangeKind, Subject, action_of
from homeport.resources.model import ModelVersion
from homeport.resources.names import EndpointName, ModelName

State = Mapping[str, Any] | None
"""How something stands, in wire JSON; None if it is not there."""


@dataclasses.dataclass(frozen=True, slots=True)
class Journal:
    """Writes what one caller changes in one transaction.

    Attributes:
        transaction: The one that changes it.
        caller: Who asked, by their own account.
        now: The time of the change, aware.
    """

    transaction: Transaction
    caller: str
    now: dt.datetime

    def note(self, subject: Subject, before: State, after: State) -> None:
        """Write that something changed; nothing if it stands as it stood."""
        if before == after:
            return
        action = action_of(before, after)
        change = Change(0, self.now, self.caller, subject, before, after, action)
        change_rows.insert(self.transaction, change)

    def note_aliases(self, name: ModelName, before: Mapping[str, int]) -> None:
        """Write which aliases of a model moved since they were carried as `before`."""
        after = model_rows.carriers(self.transaction, name)
        for alias in sorted(before.keys() | after.keys()):
            self.note(
                of_model(name, ChangeKind.ALIAS, alias),
                _carried(before.get(alias)),
                _carried(after.get(alias)),
            )

    def note_registered(self, version: ModelName, *, new_model: bool) -> None:
        """Write that a version was made, and with the first its model."""
        if new_model:
            self.note_words(version.unversioned, None)
        found = version_rows.get(self.transaction, version)
        own = model_word_rows.words(self.transaction, version)
        facts = {} if found is None else _facts(found)
        self.note(_subject(version), None, {**(own or {}), **facts})

    def note_words(self, name: ModelName, before: State) -> None:
        """Write that names, descriptions and labels of one level are not as before.

        Args:
            name: A version by its id, or the model itself; it may be gone.
            before: Its `words` before.
        """
        after = model_word_rows.words(self.transaction, name)
        self.note(_subject(name), before, after)


def of_model(name: ModelName, kind: ChangeKind, key: str = "") -> Subject:
    """Return what a change of a model, or of something of it, is of."""
    return Subject(name.parent, f"models/{name.model}", kind, key)


def of_endpoint(name: EndpointName, kind: ChangeKind, key: str = "") -> Subject:
    """Return what a change of an endpoint, or of something of it, is of."""
    return Subject(name.parent, f"endpoints/{name.endpoint}", kind, key)


def _subject(name: ModelName) -> Subject:
    if name.version:
        return of_model(name, ChangeKind.VERSION, name.version)
    return of_model(name, ChangeKind.MODEL)


def _facts(version: ModelVersion) -> dict[str, Any]:
    """Return what never changes of a version."""
    facts: dict[str, Any] = {"artifactUri": version.artifact_uri}
    if version.artifact is not None:
        facts["artifactDigest"] = version.artifact.digest
        facts["sizeBytes"] = version.artifact.size_bytes
    if version.copied_from is not None:
        facts["copiedFrom"] = str(version.copied_from)
    return facts


def _carried(version_id: int | None) -> dict[str, str] | None:
    return None if version_id is None else {"versionId": str(version_id)}
