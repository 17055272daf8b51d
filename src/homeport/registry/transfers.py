"""A version copied: as a new model, or as the next version of another."""

import datetime as dt
from collections.abc import Callable

from homeport.metadata import check_rows, lineage_rows, model_rows
from homeport.metadata.database import Database, Transaction
from homeport.registry.catalog import resolve
from homeport.registry.journal import Journal
from homeport.registry.operations import Operations
from homeport.registry.targets import Target, check_target
from homeport.resources.change import ANONYMOUS
from homeport.resources.model import ModelVersion, VersionSpec
from homeport.resources.names import DEFAULT_ALIAS, ModelName, check_model_id
from homeport.resources.operation import Operation, OperationKind


class Transfers:
    """Copies versions.

    Args:
        database: Where rows are read and written.
        operations: The ledger of promises.
        now: The time, aware.
        new_id: Makes an id that was never used.
    """

    def __init__(
        self,
        database: Database,
        operations: Operations,
        now: Callable[[], dt.datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._operations = operations
        self._now = now
        self._new_id = new_id

    def copy(
        self,
        source: ModelName,
        target: Target,
        warnings: tuple[str, ...] = (),
        *,
        caller: str = ANONYMOUS,
    ) -> Operation:
        """Copy a version, as a new model or as the next version of one.

        Its words, labels and artifact are copied, none of the bytes and no alias:
        "default" goes to the first version of a new model, and moves to no later one.
        The operation has ended when this returns.

        Args:
            source: A version by id or alias; without either, the default version.
            target: Where it goes.
            warnings: Sentences for the operation.
            caller: Who asks, for the history.

        Raises:
            InvalidArgumentError: The chosen model id breaks its rules.
            NotFoundError: The version or the parent model is not there.
            AlreadyExistsError: The chosen model id is taken.
        """
        if target.model_id:
            check_model_id(target.model_id)
        name = target.parent_model or ModelName(
            target.parent, target.model_id or self._new_id()
        )
        with self._database.transaction() as transaction:
            found = resolve(transaction, source)
            check_target(transaction, target, name)
            operation = self._operations.promise(
                transaction,
                OperationKind.COPY_MODEL,
                name.parent,
                f"models/{name.model}",
                warnings=warnings,
            )
            new_model = target.parent_model is None
            aliases = model_rows.carriers(transaction, name)
            copied = self._copy(transaction, found, name, new_model=new_model)
            journal = Journal(transaction, caller, self._now())
            journal.note_registered(copied, new_model=new_model)
            journal.note_aliases(name, aliases)
            result = {"model": str(name), "model_version_id": copied.version}
            return self._operations.fulfil(transaction, operation, result)

    def _copy(
        self,
        transaction: Transaction,
        source: ModelVersion,
        name: ModelName,
        *,
        new_model: bool,
    ) -> ModelName:
        now = self._now()
        spec = VersionSpec(
            display_name=source.display_name,
            description=source.description,
            version_description=source.version_description,
            labels=source.labels,
            aliases=(DEFAULT_ALIAS,) if new_model else (),
            artifact_uri=source.artifact_uri,
            container=source.container,
            kept=source.kept,
            schemata=source.schemata,
        )
        if new_model:
            model_rows.insert_model(transaction, name, spec, now)
        digest = source.artifact.digest if source.artifact else None
        copied = model_rows.insert_version(transaction, name, spec, digest, now)
        lock = model_rows.get_lock(transaction, source.name)
        framework = model_rows.get_framework(transaction, source.name)
        words = source.torchserve
        model_rows.set_findings(transaction, copied, words, lock, framework)
        model_rows.set_copied_from(transaction, copied, source.name)
        check = check_rows.get(transaction, source.name)
        if check is not None:
            check_rows.insert(transaction, copied, check)
        said = lineage_rows.get(transaction, source.name)
        lineage_rows.insert(transaction, copied, said)
        readme = lineage_rows.get_readme(transaction, source.name)
        lineage_rows.put_readme(transaction, copied, readme, now)
        model_rows.touch(transaction, name, self._new_id(), now)
        return copied
