"""A version's files taken elsewhere: to a bucket of this server, or of others."""

import datetime as dt
import functools
import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Final

from homeport.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
)
from homeport.metadata.database import Database, Transaction
from homeport.objects.blobs import Blobs
from homeport.objects.offers import Offer
from homeport.objects.outside import Outside, OutsidePlace
from homeport.registry import buckets, damage
from homeport.registry.catalog import resolve
from homeport.registry.operations import Operations, Result
from homeport.resources.bucket import Conditions, Content, NewObject
from homeport.resources.model import EXPORT_FORMAT, Artifact, ArtifactFile, ModelVersion
from homeport.resources.names import ModelName
from homeport.resources.operation import Operation, OperationKind

_GS_PREFIX: Final = re.compile(r"gs://([^/]+)/?(.*)", re.DOTALL)
_NOT_IN_NAMES: Final = re.compile(r"[^\w.-]+")
_IF_NEW: Final = Conditions(generation_match=0)
_BLOCK_BYTES: Final = 1 << 20
_Work = Callable[[], Callable[[Transaction], Result]]


class Exports:
    """Exports versions.

    Args:
        database: Where rows are read and written.
        blobs: The bytes of artifacts.
        outside: Folders in buckets of others.
        operations: The ledger of promises.
        now: The time, aware.
        quota_bytes: What the objects of one bucket may have together, None for no
            limit.
    """

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        outside: Outside,
        operations: Operations,
        now: Callable[[], dt.datetime],
        quota_bytes: int | None = None,
    ) -> None:
        self._quota_bytes = quota_bytes
        self._database = database
        self._blobs = blobs
        self._outside = outside
        self._operations = operations
        self._now = now

    def export(
        self, name: ModelName, prefix: str, export_format: str = ""
    ) -> Operation:
        """Promise the files of a version's artifact in a bucket, byte for byte.

        They come to lie in a folder of their own below `prefix`.

        Args:
            name: A version by id or alias; without either, the default version.
            prefix: `gs://bucket` or `gs://bucket/path`, ending in "/" or not; of a
                bucket of others one that the server's owner has named, `s3://` too.
            export_format: "" for the one there is.

        Raises:
            InvalidArgumentError: Another format, or not such a prefix.
            PermissionDeniedError: It is none that the server's owner has named.
            NotFoundError: The version or the bucket is not there.
            FailedPreconditionError: The version has no artifact.
        """
        if export_format not in {"", EXPORT_FORMAT}:
            raise InvalidArgumentError(
                f"export_format_id {export_format!r}: a version is exported as "
                f"{EXPORT_FORMAT!r}, the files that were uploaded"
            )
        place = self._outside.find(prefix)
        with self._database.transaction() as transaction:
            found = resolve(transaction, name)
            artifact = _exportable(found)
            folder = _folder(found.display_name, self._now())
            work = (
                self._out(place, folder, artifact)
                if place is not None
                else self._here(transaction, prefix, folder, artifact)
            )
            operation = self._operations.promise(
                transaction,
                OperationKind.EXPORT_MODEL,
                name.parent,
                f"models/{name.model}",
            )

        def named_work() -> Callable[[Transaction], Result]:
            with damage.named(str(found.name)):
                return work()

        self._operations.carry_out(operation, named_work, long=place is not None)
        return operation

    def _here(
        self, transaction: Transaction, prefix: str, folder: str, artifact: Artifact
    ) -> _Work:
        """Return what exports to a bucket of this server."""
        match = _GS_PREFIX.fullmatch(prefix)
        if match is None:
            raise InvalidArgumentError(
                f"output_uri_prefix {prefix!r}: expected gs://bucket/path"
            )
        path = match[2].rstrip("/")
        target = NewObject(match[1], f"{path}/{folder}" if path else folder)
        for file in artifact.files:
            name = f"{target.name}/{file.path}"
            buckets.check_writable(transaction, NewObject(target.bucket, name))

        def work() -> Callable[[Transaction], Result]:
            contents = {
                file.path: damage.measure(self._blobs, file) for file in artifact.files
            }
            return lambda transaction: self._write(transaction, target, contents)

        return work

    def _write(
        self, transaction: Transaction, target: NewObject, contents: dict[str, Content]
    ) -> Result:
        now = self._now()
        for path, content in contents.items():
            name = f"{target.name}/{path}"
            new = NewObject(target.bucket, name, conditions=_IF_NEW)
            buckets.write_row(transaction, new, content, now, self._quota_bytes)
        return {"uri": f"gs://{target.bucket}/{target.name}"}

    def _out(self, place: OutsidePlace, folder: str, artifact: Artifact) -> _Work:
        """Return what exports to a bucket of others."""
        target = place.below(folder)

        def work() -> Callable[[Transaction], Result]:
            target.write(
                Offer(
                    file.path,
                    file.size_bytes,
                    functools.partial(self._proven, file),
                )
                for file in artifact.files
            )
            return lambda _: {"uri": str(target)}

        return work

    def _proven(self, file: ArtifactFile) -> Iterator[bytes]:
        """Yield a file's bytes; the last block only if they are what was registered."""
        digest = hashlib.sha256()
        held = b""
        with self._blobs.open(file.sha256) as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
                if held:
                    yield held
                held = block
        if digest.hexdigest() != file.sha256:
            raise DataLossError(
                f"the stored bytes of {file.path} are not those that were "
                "registered: upload the version again"
            )
        yield held


def _exportable(version: ModelVersion) -> Artifact:
    if version.artifact is None:
        raise FailedPreconditionError(
            f"{version.name} has no artifact to export: it is an image alone",
            resource=str(version.name),
        )
    return version.artifact


def _folder(display_name: str, now: dt.datetime) -> str:
    """Return the folder of one export, as OutputConfig of v1 names it."""
    time = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z"
    shown = _NOT_IN_NAMES.sub("-", display_name)
    return f"model-export-{shown}-{time}"
