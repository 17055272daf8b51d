"""The rooms below the surfaces, put together on one directory as `wiring` does it."""

import contextlib
import dataclasses
import datetime as dt
import io
import itertools
import pathlib
import time
import types
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NoReturn

import pytest

from homeport.checking.apart import Subject
from homeport.checking.ending import Ending
from homeport.checking.report import (
    Batching,
    BatchingProof,
    Report,
    Stage,
    StageName,
    Verdict,
)
from homeport.metadata import artifact_rows, model_rows
from homeport.metadata.database import Database, DatabaseUnavailableError
from homeport.objects.blobs import Blobs, FileBlobs
from homeport.objects.file_roots import FileRoots
from homeport.objects.outside import Outside
from homeport.registry.artifacts import Artifacts
from homeport.registry.buckets import Buckets
from homeport.registry.catalog import Catalog
from homeport.registry.comparisons import Comparisons
from homeport.registry.evaluations import Evaluations
from homeport.registry.exports import Exports
from homeport.registry.history import History
from homeport.registry.intake import Intake
from homeport.registry.object_uploads import ObjectUploads
from homeport.registry.operations import Operations
from homeport.registry.paging import Pager, PageRequest
from homeport.registry.pieces import PiecedBlobs
from homeport.registry.provenance import Provenances
from homeport.registry.sources import Sources
from homeport.registry.splitting import Splitting
from homeport.registry.targets import Target
from homeport.registry.transfers import Transfers
from homeport.registry.upload import Uploads
from homeport.resources.bucket import NewObject
from homeport.resources.check import CheckPolicy
from homeport.resources.listing import ListQuery, PageTokens
from homeport.resources.model import Artifact, ArtifactFile, VersionSpec
from homeport.resources.names import ModelName, Parent
from homeport.resources.operation import Operation

T0 = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
PARENT = Parent("p", "us-central1")
BUCKET = "models"
URI = "gs://models/first"
# Of no bytes that there are.
ARTIFACT = Artifact("d" * 64, (ArtifactFile("model.mar", "e" * 64, 1),))
DEADLINE_S = 60.0
_MANIFEST = (
    b'{"runtime": "python", "model": {"modelName": "m", "modelVersion": "1.0", '
    b'"handler": "handler.py"}}'
)

PASSED = Report(
    model_name="m",
    stages=tuple(Stage(name, Verdict.PASSED, 0.5) for name in StageName),
    batching=BatchingProof(Batching.PROVEN, "two samples together equal them apart"),
)


def archive(
    handler: bytes = b"def handle(data, context): ...\n",
    *,
    manifest: bytes = _MANIFEST,
    files: Mapping[str, bytes] = types.MappingProxyType({}),
) -> bytes:
    """Return the bytes of a small `.mar`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for path, content in (
            ("MAR-INF/MANIFEST.json", manifest),
            ("handler.py", handler),
            *files.items(),
        ):
            file.writestr(zipfile.ZipInfo(path), content)
    return buffer.getvalue()


def requiring(requirement: str = "idna") -> bytes:
    """Return the bytes of a small `.mar` with a requirement and no lock."""
    manifest = _MANIFEST.replace(
        b'"handler.py"', b'"handler.py", "requirementsFile": "requirements.txt"'
    )
    return archive(
        manifest=manifest, files={"requirements.txt": f"{requirement}\n".encode()}
    )


def _files(directory: pathlib.Path) -> FileBlobs:
    blobs = FileBlobs(directory)
    blobs.start()
    return blobs


def _real_now() -> dt.datetime:
    """Return the time that the files of blobs are written at."""
    return dt.datetime.now(dt.UTC)


@contextlib.contextmanager
def unreadable(database: Database) -> Iterator[None]:
    """Fail what is read, as while the database is away."""

    def fail() -> NoReturn:
        raise DatabaseUnavailableError("the database is away")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(database, "snapshot", fail)
        yield


@dataclasses.dataclass
class Clock:
    """Time that stands still until a test moves it; ids that count up from 1001."""

    time: dt.datetime = T0
    ids: "itertools.count[int]" = dataclasses.field(
        default_factory=lambda: itertools.count(1001)
    )

    def now(self) -> dt.datetime:
        return self.time

    def new_id(self) -> str:
        return str(next(self.ids))

    def advance(self, **duration: float) -> None:
        self.time += dt.timedelta(**duration)


@dataclasses.dataclass
class FakeChecker:
    """Finds of every archive what it was told to, and notes what it was asked."""

    finds: Callable[[], Report] = lambda: PASSED
    asked: list[Subject] = dataclasses.field(default_factory=list)
    laid_out: list[pathlib.Path] = dataclasses.field(default_factory=list)

    def check(
        self, read: Callable[[], pathlib.Path], subject: Subject, ending: Ending
    ) -> Report:
        del ending
        self.asked.append(subject)
        self.laid_out.append(read())
        return self.finds()


class Rooms:
    """Registry and what it stands on, on a database of the newest shape.

    A second one on the same directory and rows is a restarted server. The bytes are
    in the directory, unless they are in another store.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        rows_url: str,
        clock: Clock | None = None,
        stored: Blobs | None = None,
    ) -> None:
        self.directory = directory
        self.rows_url = rows_url
        self.clock = clock or Clock()
        now, new_id = self.clock.now, self.clock.new_id
        self.database = Database(rows_url)
        self.stored = stored or _files(directory / "blobs")
        self.blobs = PiecedBlobs(self.database, self.stored)
        # Tests call it: there is no thread.
        self.splitting = Splitting(self.database, self.stored, _real_now)
        self.buckets = Buckets(self.database, self.blobs, now)
        self.objects = ObjectUploads(self.database, self.blobs, now)
        self.artifacts = self.artifacts_at(directory / "artifacts")
        self.pager = Pager(PageTokens(b"secret"))
        self.operations = Operations(self.database, self.pager, now, new_id)
        self.catalog = Catalog(self.database, self.operations, self.pager, now, new_id)
        self.evaluations = Evaluations(self.database, self.pager, now, new_id)
        self.provenances = Provenances(self.database, now, new_id)
        self.comparisons = Comparisons(self.database, self.artifacts)
        self.history = History(self.database, self.pager)
        self.transfers = Transfers(self.database, self.operations, now, new_id)
        self.exports = self.exports_to(Outside({}))
        self.checker = FakeChecker()
        self.uploads = self.uploads_with(CheckPolicy.NONE)

    def artifacts_at(
        self,
        directory: pathlib.Path,
        outside: Outside | None = None,
        roots: Sequence[pathlib.Path] = (),
    ) -> Artifacts:
        """Return artifacts laid out there, of these stores and roots too."""
        found = Sources(
            self.database,
            self.buckets,
            self.blobs,
            outside or Outside({}),
            FileRoots(roots, self.directory),
        )
        return Artifacts(found, self.blobs, directory)

    def exports_to(self, outside: Outside, quota_bytes: int | None = None) -> Exports:
        """Return exports that reach these stores too, and fill no bucket further."""
        return Exports(
            self.database,
            self.blobs,
            outside,
            self.operations,
            self.clock.now,
            quota_bytes,
        )

    def uploads_with(self, policy: CheckPolicy) -> Uploads:
        """Return uploads that demand this of archives."""
        now, new_id = self.clock.now, self.clock.new_id
        intake = Intake(self.artifacts, self.checker, policy, now)
        return Uploads(self.database, intake, self.operations, now, new_id)

    def close(self) -> None:
        self.operations.close()
        self.database.close()

    def put(self, name: str, content: bytes) -> None:
        """Store an object, in a bucket made when missing."""
        if not self.buckets.list_buckets("", prefix=BUCKET):
            self.buckets.create_bucket(BUCKET)
        self.objects.put(NewObject(BUCKET, name), [content])

    def wait(self, operation: Operation) -> Operation:
        """Return the operation as it is when it has ended."""
        until(lambda: self.operations.get(operation.name).done)
        return self.operations.get(operation.name)

    def upload(
        self,
        spec: VersionSpec,
        *,
        parent_model: ModelName | None = None,
        model_id: str = "",
        warnings: tuple[str, ...] = (),
    ) -> Operation:
        """Upload a version and return the ended operation."""
        target = Target(PARENT, parent_model, model_id)
        return self.wait(self.uploads.upload(target, spec, warnings))

    def register(
        self,
        display_name: str = "m",
        *,
        parent_model: ModelName | None = None,
        model_id: str = "",
        aliases: tuple[str, ...] = (),
    ) -> ModelName:
        """Register one small archive; return the version's name."""
        self.put("first/model.mar", archive())
        spec = VersionSpec(display_name, artifact_uri=URI, aliases=aliases)
        ended = self.upload(spec, parent_model=parent_model, model_id=model_id)
        assert ended.failure is None, ended.failure
        return ModelName.parse(ended.result["model"]).at(
            ended.result["model_version_id"]
        )

    def insert(
        self, model_id: str, spec: VersionSpec, artifact: Artifact | None = None
    ) -> ModelName:
        """Write a model's first version straight into the rows, without bytes."""
        name = ModelName(PARENT, model_id)
        aliased = dataclasses.replace(spec, aliases=("default", *spec.aliases))
        now = self.clock.now()
        with self.database.transaction() as transaction:
            model_rows.insert_model(transaction, name, spec, now)
            if artifact is not None:
                artifact_rows.put(transaction, artifact, now)
            digest = None if artifact is None else artifact.digest
            return model_rows.insert_version(transaction, name, aliased, digest, now)


def page(
    method: str = "ListModels",
    *,
    filter_: str = "",
    order_by: str = "",
    token: str = "",
    size: int = 0,
) -> PageRequest:
    query = ListQuery(method, str(PARENT), filter_, order_by)
    return PageRequest(query, token, size)


def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; fail at the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition was never met"
        time.sleep(0.001)
