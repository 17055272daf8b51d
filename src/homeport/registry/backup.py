"""Backups of a registry: taken beside a server that runs, and restored elsewhere.

Rows first, bytes second: a blob is there before a row names it, and stays until the
next start. So whatever the rows of a backup name is found after they were read; but for
an archive that was divided in between, of which they are read again.
"""

import dataclasses
import datetime as dt
import hashlib
import hmac
import io
import pathlib
import uuid
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from homeport.errors import DataLossError, FailedPreconditionError
from homeport.metadata import blob_rows, portable
from homeport.metadata.database import (
    Database,
    Transaction,
    revision_of,
    revisions,
)
from homeport.objects.blobs import Blobs
from homeport.registry import tenancy
from homeport.registry.backup_folder import BackupFolder, Contents, Kept, opened

_ROWS: Final = "rows/"
_PRIVATE: Final = "private/"
_BLOCK_BYTES: Final = 1 << 20
_MORE_TRIES: Final = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """What a backup holds, or what was restored from one.

    Attributes:
        rows: How many, of all tables.
        blobs: How many.
        blob_bytes: Their bytes together.
        new_bytes: Those of them that an earlier backup in the folder had not.
        private: The private files, by the paths they have in the data directory.
        with_blobs: Whether the blobs are in the backup, or only named.
    """

    rows: int
    blobs: int
    blob_bytes: int
    new_bytes: int
    private: tuple[str, ...]
    with_blobs: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """What is backed up, or what is restored into.

    Attributes:
        database: The rows.
        blobs: The bytes.
        data_dir: Where the private files are.
        blobs_beside: Whether the bytes are on a disk of ours, and part of a backup.
    """

    database: Database
    blobs: Blobs
    data_dir: pathlib.Path
    blobs_beside: bool = True


def take(source: Source, directory: pathlib.Path, now: dt.datetime) -> Summary:
    """Write a backup, or bring an earlier one in the same folder up to now.

    The server may run meanwhile. Until it is whole, an earlier backup stays as it was.

    Args:
        source: The registry.
        directory: The backup's own.
        now: The time, aware.

    Raises:
        FailedPreconditionError: The folder has other files, or the backup of another
            registry; or the database is a newer Homeport's.
        DataLossError: Bytes that are needed are lost or changed.
        ResourceExhaustedError: The disk of the backup is full.
    """
    with BackupFolder.written(directory) as folder:
        origin = _origin(source)
        before = folder.contents()
        if before is not None and before.origin != origin:
            raise FailedPreconditionError(
                f"{directory} has the backup of another registry: name a folder of "
                "its own for this one"
            )
        state = uuid.uuid4().hex
        taken = _keep_fitting(source, folder, state)
        _check_lost(taken.lost)
        files = taken.files | _keep_private(source.data_dir, folder, state)
        moment = now.isoformat(timespec="seconds")
        contents = Contents(
            state,
            taken.revision,
            moment,
            origin,
            files,
            taken.sizes,
            source.blobs_beside,
        )
        folder.publish(contents)
        return _summary(contents, taken.rows, taken.new_bytes)


def check(directory: pathlib.Path) -> Summary:
    """Read a backup through; return what it holds.

    Raises:
        InvalidArgumentError: There is none.
        DataLossError: A file of it is lost, or not as it was written.
        FailedPreconditionError: A newer Homeport wrote it.
    """
    folder, contents = opened(directory)
    _check_revision(contents)
    rows = 0
    for path, kept in contents.files.items():
        lines = sum(1 for _ in folder.read(contents.state, path, kept))
        rows += lines - 1 if path.startswith(_ROWS) else 0
    if contents.with_blobs:
        for sha256, size_bytes in contents.blobs.items():
            for _ in folder.read_blob(sha256, size_bytes):
                pass
    return _summary(contents, rows, 0)


def restore(directory: pathlib.Path, into: Source, transaction: Transaction) -> Summary:
    """Fill an empty registry with what a backup holds, in the newest shape.

    Args:
        directory: The backup's.
        into: Where everything goes; its data directory is not yet anybody's.
        transaction: Of its database, which has no tables; nothing is there unless it is
            committed.

    Raises:
        InvalidArgumentError: There is no backup.
        DataLossError: A file of it is lost, or not as it was written.
        FailedPreconditionError: A newer Homeport wrote it, or the bytes it needs are
            in a bucket and not there.
    """
    folder, contents = opened(directory)
    _check_revision(contents)
    _restore_blobs(folder, contents, into.blobs)
    _restore_private(folder, contents, into.data_dir)
    into.database.shape(transaction, contents.revision)
    rows = 0
    for table in portable.tables(transaction):
        path = f"{_ROWS}{table.name}"
        kept = contents.files.get(path)
        if kept is None:
            raise DataLossError(
                f"the backup has no rows of {table.name}: take another backup"
            )
        lines = folder.read(contents.state, path, kept)
        rows += portable.write(transaction, table, lines)
    into.database.shape(transaction, "head")
    return _summary(contents, rows, 0)


@dataclasses.dataclass(frozen=True, slots=True)
class _Taken:
    """Rows and bytes that were kept, and which bytes of the rows were not found."""

    revision: str
    files: dict[str, Kept]
    rows: int
    sizes: dict[str, int]
    new_bytes: int
    lost: tuple[str, ...]


def _keep_fitting(source: Source, folder: BackupFolder, state: str) -> _Taken:
    """Keep rows and bytes that fit each other, or those that lack some for good.

    The server may divide archives meanwhile, and newer rows name their pieces; or it
    sweeps what was deleted. What is kept is not read again.
    """
    taken = _keep(source, folder, state)
    for _ in range(_MORE_TRIES):
        lost = taken.lost
        if not lost:
            break
        taken = _keep(source, folder, state)
        if taken.lost == lost:
            break
    return taken


def _keep(source: Source, folder: BackupFolder, state: str) -> _Taken:
    revision, files, rows, needed = _keep_rows(source.database, folder, state)
    if source.blobs_beside:
        new_bytes, sizes = _keep_blobs(source.blobs, folder)
    else:
        new_bytes, sizes = 0, dict.fromkeys(needed, 0)
    lost = tuple(sha256 for sha256 in needed if sha256 not in sizes)
    return _Taken(revision, files, rows, sizes, new_bytes, lost)


def _keep_rows(
    database: Database, folder: BackupFolder, state: str
) -> tuple[str, dict[str, Kept], int, list[str]]:
    files, rows = {}, 0
    with database.snapshot() as transaction:
        revision = revision_of(transaction)
        for table in portable.tables(transaction):
            counted = _Counted(portable.read(transaction, table))
            path = f"{_ROWS}{table.name}"
            files[path] = folder.write(state, path, counted)
            rows += counted.lines - 1
        # What older rows need is found by the code that knows their shape.
        newest = revision == revisions()[-1]
        needed = blob_rows.all_needed(transaction) if newest else []
    return revision, files, rows, needed


def _check_lost(lost: Sequence[str]) -> None:
    if lost:
        raise DataLossError(
            f"the bytes of sha256 {lost[0]} are gone ({len(lost)} blobs in all): "
            "homeport verify names what needs them; if a server was started meanwhile, "
            "take the backup again"
        )


def _keep_private(
    data_dir: pathlib.Path, folder: BackupFolder, state: str
) -> dict[str, Kept]:
    """Keep what only this installation has: its secret, its keys and certificates."""
    found = [data_dir / "secret"]
    for name in ("keys", "tls"):
        found += sorted((data_dir / name).rglob("*"))
    files = {}
    for path in found:
        if path.is_file():
            kept = f"{_PRIVATE}{path.relative_to(data_dir)}"
            files[kept] = folder.write(state, kept, [path.read_bytes()])
    return files


def _keep_blobs(blobs: Blobs, folder: BackupFolder) -> tuple[int, dict[str, int]]:
    """Keep every blob that is there; return the bytes of new ones, and all sizes."""
    new_bytes, sizes = 0, {}
    for sha256 in list(blobs.iterate()):
        try:
            file = blobs.open(sha256)
        except DataLossError:
            # Removed since it was listed: nothing needed it, or the end tells.
            continue
        with file:
            sizes[sha256] = size_bytes = file.seek(0, io.SEEK_END)
            if not folder.has_blob(sha256, size_bytes):
                file.seek(0)
                folder.keep_blob(sha256, _blocks(file))
                new_bytes += size_bytes
    return new_bytes, sizes


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.read(_BLOCK_BYTES), b"")


def _restore_blobs(folder: BackupFolder, contents: Contents, blobs: Blobs) -> None:
    if not contents.with_blobs:
        there = set(blobs.iterate())
        if lost := [sha256 for sha256 in contents.blobs if sha256 not in there]:
            raise FailedPreconditionError(
                f"the backup names {len(contents.blobs)} blobs of a bucket, and "
                f"{len(lost)} of them are not in the one given, {lost[0]} first: name "
                "the bucket, or restore its own backup"
            )
        return
    for sha256, size_bytes in contents.blobs.items():
        writer = blobs.begin(md5=False)
        try:
            for block in folder.read_blob(sha256, size_bytes):
                writer.write(block)
            writer.commit()
        finally:
            writer.abort()


def _restore_private(
    folder: BackupFolder, contents: Contents, data_dir: pathlib.Path
) -> None:
    for path, kept in contents.files.items():
        if not path.startswith(_PRIVATE):
            continue
        target = data_dir / path.removeprefix(_PRIVATE)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = b"".join(folder.read(contents.state, path, kept))
        target.touch(mode=0o600)
        target.write_bytes(content)


def _check_revision(contents: Contents) -> None:
    if contents.revision not in revisions():
        raise FailedPreconditionError(
            f"the backup's rows are of shape {contents.revision}, which this Homeport "
            "does not know: restore it with the version that wrote it, or a newer one"
        )


def _origin(source: Source) -> str:
    """Return what tells this registry from others, and says nothing of its secret."""
    secret = tenancy.known_secret(source.database, source.data_dir)
    return hmac.digest(secret, b"homeport backup", hashlib.sha256).hex()


def _summary(contents: Contents, rows: int, new_bytes: int) -> Summary:
    private = (path for path in contents.files if path.startswith(_PRIVATE))
    return Summary(
        rows,
        len(contents.blobs),
        sum(contents.blobs.values()),
        new_bytes,
        tuple(sorted(path.removeprefix(_PRIVATE) for path in private)),
        contents.with_blobs,
    )


class _Counted:
    """Lines with their line feeds, counted."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._rest = lines
        self.lines = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._rest:
            self.lines += 1
            yield line + b"\n"
