"""The catalog: models and versions, found, listed, updated, aliased and deleted."""

import datetime as dt
from collections.abc import Callable
from typing import Final

from homeport.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from homeport.metadata import (
    check_rows,
    endpoint_rows,
    model_rows,
    model_word_rows,
    version_rows,
)
from homeport.metadata.database import Database, Transaction
from homeport.registry import model_updates
from homeport.registry.journal import Journal
from homeport.registry.operations import Operations
from homeport.registry.paging import Pager, PageRequest
from homeport.resources.change import ANONYMOUS
from homeport.resources.check import Check, CheckState
from homeport.resources.model import ModelPatch, ModelVersion
from homeport.resources.names import (
    DEFAULT_ALIAS,
    ModelName,
    Parent,
    check_alias,
    is_version_id,
)
from homeport.resources.operation import Operation, OperationKind

_MODEL_ORDER: Final = ("display_name", "create_time", "update_time")
_VERSION_ORDER: Final = ("create_time", "update_time")
NEVER_CHECKED: Final = Check(
    CheckState.UNCHECKED, "it was registered by a version of Homeport without checks"
)
_LONGEST_ID: Final = 18  # digits that 64 bits always hold


class Catalog:
    """What is registered.

    Args:
        database: Where it is written.
        operations: The ledger of promises.
        pager: Cuts lists into pages.
        now: The time, aware.
        new_id: Makes an id that was never used.
    """

    def __init__(
        self,
        database: Database,
        operations: Operations,
        pager: Pager,
        now: Callable[[], dt.datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._operations = operations
        self._pager = pager
        self._now = now
        self._new_id = new_id

    def get(self, name: ModelName) -> ModelVersion:
        """Return a version by id or alias; without either, the default version.

        Raises:
            NotFoundError: No such model, version or alias.
        """
        with self._database.glance() as transaction:
            return resolve(transaction, name)

    def check(self, name: ModelName) -> tuple[ModelName, Check]:
        """Return a version's full name and what came of checking it.

        Raises:
            NotFoundError: No such model, version or alias.
        """
        with self._database.snapshot() as transaction:
            version = resolve(transaction, name)
            found = check_rows.get(transaction, version.name)
        return version.name, found or NEVER_CHECKED

    def list_models(
        self, parent: Parent, request: PageRequest
    ) -> tuple[list[ModelVersion], str]:
        """Return one page of models, each as its default version, and the next token.

        Raises:
            InvalidArgumentError: A bad filter, order, page size or token.
        """
        with self._database.glance() as transaction:
            return self._pager.page(
                request,
                _MODEL_ORDER,
                lambda page: version_rows.list_models(transaction, parent, page),
                version_rows.model_position,
            )

    def list_versions(
        self, name: ModelName, request: PageRequest
    ) -> tuple[list[ModelVersion], str]:
        """Return one page of a model's versions, oldest first by default.

        Raises:
            NotFoundError: No such model.
            InvalidArgumentError: A bad filter, order, page size or token.
        """
        with self._database.glance() as transaction:
            versions, token = self._pager.page(
                request,
                _VERSION_ORDER,
                lambda page: version_rows.list_versions(transaction, name, page),
                version_rows.version_position,
            )
            if not versions:
                _require_model(transaction, name)
        return versions, token

    def merge_aliases(
        self, name: ModelName, changes: tuple[str, ...], *, caller: str = ANONYMOUS
    ) -> ModelVersion:
        """Give and take aliases of one version; return it as it now stands.

        Args:
            name: The version, by id or by an alias that it carries now.
            changes: `alias` to give, `-alias` to take; one that is both stays as it is.
            caller: Who asks, for the history.

        Raises:
            InvalidArgumentError: No version, no changes, or an alias breaks the rules;
                "default" can be moved but not taken.
            NotFoundError: No such version.
        """
        taken = {change[1:] for change in changes if change.startswith("-")}
        given = {change: None for change in changes if not change.startswith("-")}
        _check_alias_changes(name, set(given), taken)
        with self._database.transaction() as transaction:
            version = resolve(transaction, name)
            before = model_rows.carriers(transaction, name)
            for alias in given:
                if alias not in taken and alias not in version.aliases:
                    model_rows.set_alias(transaction, version.name, alias)
            for alias in (taken - given.keys()) & set(version.aliases):
                model_rows.remove_alias(transaction, version.name, alias)
            self._journal(transaction, caller).note_aliases(name, before)
            model_rows.touch(transaction, name, self._new_id(), self._now())
            return resolve(transaction, version.name)

    def update(
        self, name: ModelName, patch: ModelPatch, *, caller: str = ANONYMOUS
    ) -> ModelVersion:
        """Replace fields of a version, or of the model itself; return it as it stands.

        Args:
            name: A version by id or alias, or the model.
            patch: What to replace, of that level.
            caller: Who asks, for the history.

        Raises:
            NotFoundError: No such model, version or alias.
            AbortedError: Somebody changed it since the etag was read.
            FailedPreconditionError: A field of the other level.
            InvalidArgumentError: A name or label breaks its rules.
        """
        model_updates.check(name, patch)
        with self._database.transaction() as transaction:
            # In its turn: no later writer has an earlier time.
            now = self._now()
            found = resolve(transaction, name)
            target = found.name if name.version else name
            before = model_word_rows.words(transaction, target)
            model_updates.apply(transaction, target, found.etag, patch, now)
            self._journal(transaction, caller).note_words(target, before)
            model_rows.touch(transaction, target, self._new_id(), now, updated=True)
            return resolve(transaction, target)

    def delete_version(self, name: ModelName, *, caller: str = ANONYMOUS) -> Operation:
        """Delete one version that is not the default, not the last, not deployed.

        Raises:
            InvalidArgumentError: The name has no version id.
            NotFoundError: No such version.
            FailedPreconditionError: One of the guards.
        """
        # DeleteModelVersionRequest.name (aiplatform v1): an id; an alias may move.
        if not is_version_id(name.version):
            raise InvalidArgumentError(
                f"{name} names no version id: use models/{name.model}@ID, or delete "
                "the whole model"
            )
        with self._database.transaction() as transaction:
            version = resolve(transaction, name)
            _refuse_deployed(transaction, version.name)
            if model_rows.count_versions(transaction, name) == 1:
                raise FailedPreconditionError(
                    f"{version.name} is the only version of its model: delete the model"
                )
            if DEFAULT_ALIAS in version.aliases:
                raise FailedPreconditionError(
                    f"{version.name} is the default version: give the alias "
                    f"{DEFAULT_ALIAS!r} to another version first"
                )
            aliases = model_rows.carriers(transaction, name)
            before = model_word_rows.words(transaction, version.name)
            model_rows.delete_version(transaction, version.name)
            journal = self._journal(transaction, caller)
            journal.note_aliases(name, aliases)
            journal.note_words(version.name, before)
            model_rows.touch(transaction, name, self._new_id(), self._now())
            return self._ended(transaction, OperationKind.DELETE_MODEL_VERSION, name)

    def delete_model(self, name: ModelName, *, caller: str = ANONYMOUS) -> Operation:
        """Delete a model with all its versions, none of them deployed.

        Raises:
            InvalidArgumentError: The name has a version.
            NotFoundError: No such model.
            FailedPreconditionError: A version is deployed or being deployed.
        """
        if name.version:
            raise InvalidArgumentError(
                f"{name} names a version: delete it with :deleteVersion, or name the "
                "model alone"
            )
        with self._database.transaction() as transaction:
            _require_model(transaction, name)
            _refuse_deployed(transaction, name)
            aliases = model_rows.carriers(transaction, name)
            versions = map(name.at, model_rows.version_ids(transaction, name))
            gone = {
                one: model_word_rows.words(transaction, one)
                for one in (*versions, name)
            }
            model_rows.delete_model(transaction, name)
            journal = self._journal(transaction, caller)
            journal.note_aliases(name, aliases)
            for one, before in gone.items():
                journal.note_words(one, before)
            return self._ended(transaction, OperationKind.DELETE_MODEL, name)

    def _journal(self, transaction: Transaction, caller: str) -> Journal:
        return Journal(transaction, caller, self._now())

    def _ended(
        self, transaction: Transaction, kind: OperationKind, name: ModelName
    ) -> Operation:
        operation = self._operations.promise(
            transaction, kind, name.parent, f"models/{name.model}"
        )
        return self._operations.fulfil(transaction, operation, {})


def resolve(transaction: Transaction, name: ModelName) -> ModelVersion:
    """Return the version that a name means: by id, by alias, or the default.

    Raises:
        NotFoundError: No such model, version or alias.
    """
    version = _find(transaction, name)
    if version is None:
        _require_model(transaction, name)
        kind = "version" if is_version_id(name.version) else "version alias"
        raise NotFoundError(
            f"model {name.unversioned} has no {kind} {name.version!r:.130}: see those "
            f"it has with `homeport models list-version {name.unversioned}`",
            resource=str(name),
        )
    return version


def _find(transaction: Transaction, name: ModelName) -> ModelVersion | None:
    if not is_version_id(name.version):
        alias = name.version or DEFAULT_ALIAS
        return version_rows.get_aliased(transaction, name, alias)
    if not _may_be_stored(name.version):
        return None
    return version_rows.get(transaction, name)


def _may_be_stored(version_id: str) -> bool:
    """Tell whether a version may have this id: "007" is not 7, and 64 bits hold it."""
    return len(version_id) <= _LONGEST_ID and not version_id.startswith("0")


def _require_model(transaction: Transaction, name: ModelName) -> None:
    if not model_rows.model_exists(transaction, name):
        raise NotFoundError(
            f"model {name.unversioned} was not found: see those there are with "
            f"`homeport models list --project {name.parent.project} --region "
            f"{name.parent.location}`",
            resource=str(name),
        )


def _refuse_deployed(transaction: Transaction, name: ModelName) -> None:
    deployed = endpoint_rows.deployments_of(transaction, name)
    if deployed:
        endpoints = sorted({str(one.deployed_model.endpoint) for one in deployed})
        raise FailedPreconditionError(
            f"{name} is deployed or being deployed at {', '.join(endpoints)}: undeploy "
            "it there first",
            resource=str(name),
        )


def _check_alias_changes(name: ModelName, given: set[str], taken: set[str]) -> None:
    if not name.version:
        # MergeVersionAliasesRequest.name (aiplatform v1) asks for an id; the service
        # takes an alias as well, and the SDK's own tests send one.
        raise InvalidArgumentError(
            f"{name}: merging aliases needs a version, models/{name.model}@ID or an "
            "alias of it"
        )
    if not given and not taken:
        raise InvalidArgumentError("version_aliases is empty: nothing to merge")
    for alias in given | taken:
        check_alias(alias)
    if DEFAULT_ALIAS in taken - given:
        raise InvalidArgumentError(
            f"the alias {DEFAULT_ALIAS!r} cannot be taken away: give it to another "
            "version instead"
        )
