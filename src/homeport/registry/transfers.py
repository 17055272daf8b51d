"""A version taken elsewhere: copied to another model, exported to a bucket."""

import datetime as dt
import re
from collections.abc import Callable
from typing import Final

from homeport.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
)
from homeport.metadata import check_rows, lineage_rows, model_rows
from homeport.metadata.database import Database, Transaction
from homeport.objects.blobs import Blobs
from homeport.registry import buckets
from homeport.registry.catalog import resolve
from homeport.registry.journal import Journal
from homeport.registry.operations import Operations, Result
from homeport.registry.targets import Target, check_target
from homeport.resources.bucket import Conditions, Content, NewObject
from homeport.resources.change import ANONYMOUS
from homeport.resources.model import EXPORT_FORMAT, Artifact, ModelVersion, VersionSpec
from homeport.resources.names import DEFAULT_ALIAS, ModelName, check_model_id
from homeport.resources.operation import Operation, OperationKind

_GS_PREFIX: Final = re.compile(r"gs://([^/]+)/?(.*)", re.DOTALL)
_NOT_IN_NAMES: Final = re.compile(r"[^\w.-]+")
_IF_NEW: Final = Conditions(generation_match=0)


class Transfers:
    """Takes versions elsewhere.

    Args:
        database: Where rows are read and written.
        blobs: The bytes of artifacts.
        operations: The ledger of promises.
        now: The time, aware.
        new_id: Makes an id that was never used.
    """

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        operations: Operations,
        now: Callable[[], dt.datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._blobs = blobs
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
        model_rows.set_findings(transaction, copied, source.torchserve, lock)
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

    def export(
        self, name: ModelName, prefix: str, export_format: str = ""
    ) -> Operation:
        """Promise the files of a version's artifact in a bucket, byte for byte.

        They come to lie in a folder of their own below `prefix`.

        Args:
            name: A version by id or alias; without either, the default version.
            prefix: `gs://bucket` or `gs://bucket/path`, ending in "/" or not.
            export_format: "" for the one there is.

        Raises:
            InvalidArgumentError: Another format, or not such a prefix.
            NotFoundError: The version or the bucket is not there.
            FailedPreconditionError: The version has no artifact.
        """
        match = _GS_PREFIX.fullmatch(prefix)
        if match is None:
            raise InvalidArgumentError(
                f"output_uri_prefix {prefix!r}: expected gs://bucket/path"
            )
        if export_format not in {"", EXPORT_FORMAT}:
            raise InvalidArgumentError(
                f"export_format_id {export_format!r}: a version is exported as "
                f"{EXPORT_FORMAT!r}, the files that were uploaded"
            )
        path = match[2].rstrip("/")
        with self._database.transaction() as transaction:
            found = resolve(transaction, name)
            artifact = _exportable(found)
            folder = _folder(path, found.display_name, self._now())
            for file in artifact.files:
                buckets.check_writable(
                    transaction, NewObject(match[1], f"{folder}/{file.path}")
                )
            operation = self._operations.promise(
                transaction,
                OperationKind.EXPORT_MODEL,
                name.parent,
                f"models/{name.model}",
            )

        def work() -> Callable[[Transaction], Result]:
            contents = {
                file.path: self._blobs.measure(file.sha256) for file in artifact.files
            }
            return lambda transaction: self._write(
                transaction, match[1], folder, contents
            )

        self._operations.carry_out(operation, work)
        return operation

    def _write(
        self,
        transaction: Transaction,
        bucket: str,
        folder: str,
        contents: dict[str, Content],
    ) -> Result:
        now = self._now()
        for path, content in contents.items():
            new = NewObject(bucket, f"{folder}/{path}", conditions=_IF_NEW)
            buckets.write_row(transaction, new, content, now)
        return {"uri": f"gs://{bucket}/{folder}"}


def _exportable(version: ModelVersion) -> Artifact:
    if version.artifact is None:
        raise FailedPreconditionError(
            f"{version.name} has no artifact to export: it is an image alone",
            resource=str(version.name),
        )
    return version.artifact


def _folder(path: str, display_name: str, now: dt.datetime) -> str:
    """Return the folder of one export, as OutputConfig of v1 names it."""
    time = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z"
    shown = _NOT_IN_NAMES.sub("-", display_name)
    folder = f"model-export-{shown}-{time}"
    return f"{path}/{folder}" if path else folder
