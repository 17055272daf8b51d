"""Upload: from files in a bucket to a registered, immutable version."""

import dataclasses
import datetime as dt
import re
from collections.abc import Callable
from typing import Final

from homeport.checking.ending import Ending
from homeport.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from homeport.metadata import artifact_rows, check_rows, model_rows
from homeport.metadata.database import Database, Transaction
from homeport.registry.intake import Found, Intake
from homeport.registry.operations import Operations, Result
from homeport.resources.model import (
    EnvironmentVariable,
    VersionSpec,
    check_display_name,
    check_labels,
)
from homeport.resources.names import (
    DEFAULT_ALIAS,
    ModelName,
    Parent,
    check_alias,
    check_model_id,
)
from homeport.resources.operation import Operation, OperationKind

_VARIABLE_RE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_VARIABLE_BYTES: Final = 128 << 10


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """Where an upload goes.

    Attributes:
        parent: Project and location.
        parent_model: The model to add a version to, None for a new model.
        model_id: The new model's chosen id, "" to have one made.
    """

    parent: Parent
    parent_model: ModelName | None = None
    model_id: str = ""


class Uploads:
    """Registers versions.

    Args:
        database: Where they are written.
        intake: Where what they are made of is taken in.
        operations: The ledger of promises.
        now: The time, aware.
        new_id: Makes an id that was never used.
    """

    def __init__(
        self,
        database: Database,
        intake: Intake,
        operations: Operations,
        now: Callable[[], dt.datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._intake = intake
        self._operations = operations
        self._now = now
        self._new_id = new_id

    def upload(
        self, target: Target, spec: VersionSpec, warnings: tuple[str, ...] = ()
    ) -> Operation:
        """Promise a new version: of `target.parent_model`, else of a new model.

        The same display name never makes a version by itself. "default" goes to the
        first version of a model and moves to a later one only if `spec.aliases` has it.

        Args:
            target: Where it goes.
            spec: What it is.
            warnings: Sentences for the operation.

        Raises:
            InvalidArgumentError: A name, label or alias breaks its rules.
            NotFoundError: The parent model is not there.
            AlreadyExistsError: The chosen model id is taken.
        """
        _check(spec, new_model=target.parent_model is None)
        if target.model_id:
            check_model_id(target.model_id)
        name = target.parent_model or ModelName(
            target.parent, target.model_id or self._new_id()
        )
        with self._database.transaction() as transaction:
            check_target(transaction, target, name)
            operation = self._operations.promise(
                transaction,
                OperationKind.UPLOAD_MODEL,
                name.parent,
                f"models/{name.model}",
                warnings=warnings,
            )

        ending = Ending()

        def work() -> Callable[[Transaction], Result]:
            found = self._intake.take_in(spec, ending)

            def write(transaction: Transaction) -> Result:
                self._operations.warn(
                    transaction, operation.name, found.notes, found.failures
                )
                return self._register(transaction, target, name, spec, found)

            return write

        self._operations.carry_out(
            operation, work, long=self._intake.runs(spec), end=ending.end
        )
        return operation

    def _register(
        self,
        transaction: Transaction,
        target: Target,
        name: ModelName,
        spec: VersionSpec,
        found: Found,
    ) -> Result:
        check_target(transaction, target, name)
        now = self._now()
        aliases = spec.aliases
        if target.parent_model is None:
            model_rows.insert_model(transaction, name, spec, now)
            if DEFAULT_ALIAS not in aliases:
                aliases = (DEFAULT_ALIAS, *aliases)
        artifact = found.artifact
        if artifact is not None:
            artifact_rows.put(transaction, artifact, now)
        version = model_rows.insert_version(
            transaction,
            name,
            dataclasses.replace(spec, aliases=aliases),
            None if artifact is None else artifact.digest,
            now,
        )
        model_rows.set_findings(transaction, version, found.words, found.lock)
        check_rows.insert(transaction, version, found.check)
        model_rows.touch(transaction, name, self._new_id(), now)
        return {"model": str(name), "model_version_id": version.version}


def _check(spec: VersionSpec, *, new_model: bool) -> None:
    if new_model or spec.display_name:
        check_display_name(spec.display_name)
    check_labels(spec.labels)
    for alias in spec.aliases:
        check_alias(alias)
    has_image = spec.container is not None and bool(spec.container.image_uri)
    # Model.base_model_source (aiplatform v1) names what lies elsewhere.
    if not spec.artifact_uri and not has_image and "base_model_source" not in spec.kept:
        raise InvalidArgumentError(
            "the model has neither artifact_uri nor container_spec.image_uri: give at "
            "least one of them"
        )
    for variable in spec.container.env if spec.container else ():
        _check_variable(variable)


def _check_variable(variable: EnvironmentVariable) -> None:
    # EnvVar.name and ModelContainerSpec.env (aiplatform v1): a C identifier; AIP_ is
    # reserved.
    name = variable.name
    if not _VARIABLE_RE.fullmatch(name) or name.startswith("AIP_"):
        raise InvalidArgumentError(
            f"environment variable {name!r}: a name has letters, digits and '_', does "
            "not begin with a digit, and not with AIP_, which is the server's"
        )
    # execve (Linux): "NAME=value" and its end in at most 32 pages of 4 KiB.
    taken_bytes = len(f"{name}={variable.value}".encode()) + 1
    if taken_bytes > _MAX_VARIABLE_BYTES:
        raise InvalidArgumentError(
            f"environment variable {name:.80} takes {taken_bytes} bytes: a process "
            f"takes {_MAX_VARIABLE_BYTES}; put long values into a file of the archive"
        )
    if "\0" in variable.value:
        raise InvalidArgumentError(
            f"environment variable {name!r}: a value cannot contain NUL"
        )


def check_target(transaction: Transaction, target: Target, name: ModelName) -> None:
    """Refuse a target that is not there, or is taken.

    Args:
        transaction: The one that writes, or an earlier one.
        target: Where a version shall go.
        name: The model that means.

    Raises:
        InvalidArgumentError: `parent_model` names a version.
        FailedPreconditionError: `parent_model` and `model_id` at once.
        NotFoundError: The parent model is not there.
        AlreadyExistsError: The new model's id is taken.
    """
    exists = model_rows.model_exists(transaction, name)
    if target.parent_model is not None and name.version:
        raise InvalidArgumentError(
            f"parent_model {name}: name the model, without a version"
        )
    if target.parent_model is not None and target.model_id:
        raise FailedPreconditionError(
            "model_id and parent_model were both given: a version of a model has no id "
            "of its own to choose"
        )
    if target.parent_model is not None and not exists:
        raise NotFoundError(
            f"parent_model {name} was not found: leave it out to make a new model",
            resource=str(name),
        )
    if target.parent_model is None and exists:
        raise AlreadyExistsError(
            f"model {name} already exists: name it as parent_model to add a version",
            resource=str(name),
        )
