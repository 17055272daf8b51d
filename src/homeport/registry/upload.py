"""Upload: from files in a bucket to a registered, immutable version."""

import dataclasses
import datetime as dt
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from homeport.checking.ending import Ending
from homeport.errors import InvalidArgumentError
from homeport.metadata import (
    artifact_rows,
    check_rows,
    lineage_rows,
    model_rows,
    model_word_rows,
)
from homeport.metadata.database import Database, Transaction
from homeport.registry.intake import Found, Intake
from homeport.registry.journal import Journal
from homeport.registry.operations import Operations, Result
from homeport.registry.targets import Settled, Target, check_target, settle
from homeport.resources import probes
from homeport.resources.change import ANONYMOUS, check_caller
from homeport.resources.labels import check_labels
from homeport.resources.lineage import LOCK, UPLOADED_BY
from homeport.resources.model import (
    ContainerSpec,
    EnvironmentVariable,
    ModelPatch,
    VersionSpec,
    check_display_name,
)
from homeport.resources.names import (
    DEFAULT_ALIAS,
    ModelName,
    check_alias,
    check_model_id,
)
from homeport.resources.operation import Operation, OperationKind

_VARIABLE_RE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PORTS: Final = range(1, 65536)
_MAX_VARIABLE_BYTES: Final = 128 << 10


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
        self,
        target: Target,
        spec: VersionSpec,
        warnings: tuple[str, ...] = (),
        *,
        caller: str = ANONYMOUS,
    ) -> Operation:
        """Promise a new version: of `target.parent_model`, else of a new model.

        The same display name makes a version only if `target.upsert` asks for it; else
        the operation says that there are others. "default" goes to the first version
        of a model and moves to a later one only if `spec.aliases` has it.

        Args:
            target: Where it goes.
            spec: What it is.
            warnings: Sentences for the operation.
            caller: Who asks, for the history.

        Raises:
            InvalidArgumentError: A name, label or alias breaks its rules; or an upsert
                that names a model.
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
                # Which model an upsert goes to is known when it is written.
                "" if target.upsert else f"models/{name.model}",
                warnings=warnings,
            )

        uploader = _uploader(caller, spec)
        ending = Ending()

        def work() -> Callable[[Transaction], Result]:
            found = self._intake.take_in(spec, ending)

            def write(transaction: Transaction) -> Result:
                settled = settle(transaction, target, spec.display_name, name)
                self._operations.warn(
                    transaction,
                    operation.name,
                    found.notes,
                    found.failures + settled.told,
                )
                journal = Journal(transaction, uploader, self._now())
                return self._register(journal, settled, spec, found)

            return write

        self._operations.carry_out(
            operation, work, long=self._intake.takes_long(spec), end=ending.end
        )
        return operation

    def _register(
        self, journal: Journal, settled: Settled, spec: VersionSpec, found: Found
    ) -> Result:
        transaction, now = journal.transaction, journal.now
        name, new_model = settled.model, settled.target.parent_model is None
        check_target(transaction, settled.target, name)
        carriers = model_rows.carriers(transaction, name)
        aliases = spec.aliases
        if new_model:
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
        model_rows.set_findings(
            transaction, version, found.words, found.lock, found.framework
        )
        check_rows.insert(transaction, version, found.check)
        lineage_rows.insert(transaction, version, _lineage(journal.caller, spec, found))
        lineage_rows.put_readme(transaction, version, found.papers.readme, now)
        journal.note_registered(version, new_model=new_model)
        journal.note_aliases(name, carriers)
        if settled.found and spec.description:
            _describe(journal, name, spec.description)
        model_rows.touch(transaction, name, self._new_id(), now)
        return {"model": str(name), "model_version_id": version.version}


def _lineage(caller: str, spec: VersionSpec, found: Found) -> dict[str, str]:
    """Return where a version comes from: the request's word goes before the archive's.

    What the server knows goes before both.
    """
    known = {UPLOADED_BY: caller}
    if found.lock:
        known[LOCK] = hashlib.sha256(found.lock.encode()).hexdigest()
    return {**found.papers.lineage, **spec.lineage, **known}


def _describe(journal: Journal, name: ModelName, description: str) -> None:
    before = model_word_rows.words(journal.transaction, name)
    patch = ModelPatch(description=description)
    model_word_rows.update(journal.transaction, name, patch, journal.now)
    journal.note_words(name, before)


def _uploader(caller: str, spec: VersionSpec) -> str:
    """Return who uploads: clients that can send no header say it in the lineage."""
    if caller != ANONYMOUS:
        return caller
    return check_caller(spec.lineage.get(UPLOADED_BY, ""))


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
    if spec.container is not None:
        _check_container(spec.container)


def _check_container(container: ContainerSpec) -> None:
    for port in (*container.ports, *container.grpc_ports):
        # Port.container_port (aiplatform v1 model.proto).
        if port not in _PORTS:
            raise InvalidArgumentError(
                f"container_port is {port}: a port is from {_PORTS[0]} to {_PORTS[-1]}"
            )
    for variable in container.env:
        _check_variable(variable)
    _check_once([variable.name for variable in container.env])
    probes.read(container.kept)
    routes = {
        "predict_route": container.predict_route,
        "health_route": container.health_route,
    }
    for field, route in routes.items():
        if route and not probes.is_route(route):
            raise InvalidArgumentError(
                f"{field} is {route!r:.80}: expected a path that begins with '/', in "
                "printable ASCII"
            )


def _check_once(names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InvalidArgumentError(
            f"environment variable {twice[0]!r:.80} is given {names.count(twice[0])} "
            "times in container_spec.env: give it once, with the value that counts"
        )


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
