"""The folder of a backup: what lies where in it, and that it is as it was written.

The layout is a format, read by every later version:

    backup.json                 what is in the backup, and the sha256 of that
    states/<id>/rows/<table>    the rows of one table (`metadata.portable`)
    states/<id>/private/...     files of the data directory, under the paths they have
    blobs/ab/abcdef...          one blob; the name is its sha256, the folder the first
                                two digits of it

`backup.json` is written last and replaced at once: it names one state, and whatever it
names is whole. Everything is for its owner alone.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Final, Self, final

import orjson

from homeport.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
)
from homeport.objects.spool import disk_full_is_said

FORMAT: Final = 1
_CONTENTS: Final = "backup.json"
_BLOCK_BYTES: Final = 1 << 20
_SHA256_RE: Final = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """One file of a backup.

    Attributes:
        sha256: Of its bytes.
        size_bytes: How many there are.
    """

    sha256: str
    size_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Contents:
    """What is in a backup.

    Attributes:
        state: The id of the state it names.
        revision: The shape of the rows.
        time: When the rows were so, ISO 8601, UTC.
        origin: Which registry it is of; not told to anybody who has not its secret.
        files: Rows and private files by their paths in the state.
        blobs: The size of every blob, by sha256.
        with_blobs: Whether the blobs are in the backup; else they are in a bucket that
            has its own backups, and only named here.
    """

    state: str
    revision: str
    time: str
    origin: str
    files: Mapping[str, Kept]
    blobs: Mapping[str, int]
    with_blobs: bool = True


@final
class BackupFolder:
    """One backup on a disk.

    Args:
        directory: The backup's own.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory

    @classmethod
    @contextlib.contextmanager
    def written(cls, directory: pathlib.Path) -> Iterator[Self]:
        """Yield a folder for one writer: a new or empty one, or that of a backup.

        Raises:
            FailedPreconditionError: Another writes to it, it has other files, or
                nothing can be kept there.
        """
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = (directory / "lock").open("a")
        except OSError as error:
            raise FailedPreconditionError(
                f"cannot keep a backup in {directory} ({error.strerror}): name another "
                "folder"
            ) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise FailedPreconditionError(
                    f"another backup is being written to {directory}: wait for its end"
                ) from error
            others = {path.name for path in directory.iterdir()}
            if others - {"lock", "states", "blobs", _CONTENTS}:
                raise FailedPreconditionError(
                    f"{directory} has other files than those of a backup: name a new "
                    "or an empty folder, or that of an earlier backup"
                )
            directory.chmod(0o700)
            yield cls(directory)

    def contents(self) -> Contents | None:
        """Return what the backup says is in it, None where there is none.

        Raises:
            DataLossError: What it says is not as it was written.
            FailedPreconditionError: A newer Homeport wrote it.
        """
        path = self._directory / _CONTENTS
        if not path.exists():
            return None
        try:
            document = orjson.loads(path.read_bytes())
            said, digest = document["contents"], document["sha256"]
        except (ValueError, KeyError, TypeError) as error:
            raise _changed(_CONTENTS) from error
        if digest != hashlib.sha256(_text(said)).hexdigest():
            raise _changed(_CONTENTS)
        return _contents(said)

    def publish(self, contents: Contents) -> None:
        """Make this what the backup is, and remove what it does not name."""
        said = {"format": FORMAT, **dataclasses.asdict(contents)}
        document = {"contents": said, "sha256": hashlib.sha256(_text(said)).hexdigest()}
        self._write(_CONTENTS, [orjson.dumps(document, option=orjson.OPT_SORT_KEYS)])
        for state in self._states():
            if state.name != contents.state:
                shutil.rmtree(state)
        for blob in self._blobs():
            if blob.name not in contents.blobs:
                blob.unlink()

    def write(self, state: str, path: str, blocks: Iterable[bytes]) -> Kept:
        """Write one file of a state."""
        return self._write(f"states/{state}/{path}", blocks)

    def has_blob(self, sha256: str, size_bytes: int) -> bool:
        """Tell whether a blob of this size was kept already."""
        path = self._directory / _blob(sha256)
        return path.exists() and path.stat().st_size == size_bytes

    def keep_blob(self, sha256: str, blocks: Iterable[bytes]) -> Kept:
        """Write a blob.

        Raises:
            DataLossError: The bytes are not those of that digest; nothing is kept.
        """
        kept = self._write(_blob(sha256), blocks)
        if kept.sha256 != sha256:
            (self._directory / _blob(sha256)).unlink()
            raise DataLossError(
                f"the bytes kept as {sha256} have changed: homeport verify names what "
                "needs them"
            )
        return kept

    def read(self, state: str, path: str, kept: Kept) -> Iterator[bytes]:
        """Yield a file of a state line by line, line feeds included.

        Raises:
            DataLossError: It is not as it was written; read to its end to know.
        """
        with self._open(f"states/{state}/{path}") as file:
            yield from _checked(file, f"states/{state}/{path}", kept)

    def read_blob(self, sha256: str, size_bytes: int) -> Iterator[bytes]:
        """Yield the bytes of a blob, block by block.

        Raises:
            DataLossError: It is not as it was written; read to its end to know.
        """
        path = _blob(sha256)
        with self._open(path) as file:
            blocks = iter(lambda: file.read(_BLOCK_BYTES), b"")
            yield from _checked(blocks, path, Kept(sha256, size_bytes))

    def _open(self, path: str) -> BinaryIO:
        try:
            return (self._directory / path).open("rb")
        except OSError as error:
            raise DataLossError(
                f"the backup's file {path} is lost ({error.strerror}): take another "
                "backup"
            ) from error

    def _write(self, path: str, blocks: Iterable[bytes]) -> Kept:
        target = self._directory / path
        partial = target.with_name(f".{target.name}.partial")
        digest, size_bytes = hashlib.sha256(), 0
        with disk_full_is_said():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial.unlink(missing_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                for block in blocks:
                    file.write(block)
                    digest.update(block)
                    size_bytes += len(block)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        return Kept(digest.hexdigest(), size_bytes)

    def _states(self) -> list[pathlib.Path]:
        return list((self._directory / "states").glob("*"))

    def _blobs(self) -> list[pathlib.Path]:
        return list((self._directory / "blobs").glob("*/*"))


def opened(directory: pathlib.Path) -> tuple[BackupFolder, Contents]:
    """Return a backup that is there.

    Raises:
        InvalidArgumentError: There is none.
        DataLossError: What it says is not as it was written.
        FailedPreconditionError: A newer Homeport wrote it.
    """
    folder = BackupFolder(directory)
    contents = folder.contents()
    if contents is None:
        raise InvalidArgumentError(
            f"{directory} is not a backup: it has no {_CONTENTS}, which is written "
            "when a backup is whole"
        )
    return folder, contents


def _contents(said: dict[str, Any]) -> Contents:
    written = said.pop("format")
    if written != FORMAT:
        raise FailedPreconditionError(
            f"the backup is of format {written}, and this Homeport reads {FORMAT}: "
            "restore it with the version that wrote it"
        )
    files = {path: Kept(**kept) for path, kept in said.pop("files").items()}
    contents = Contents(files=files, **said)
    for path in files:
        if pathlib.PurePosixPath(path).is_absolute() or ".." in path.split("/"):
            raise _changed(_CONTENTS)
    if not all(map(_SHA256_RE.fullmatch, contents.blobs)):
        raise _changed(_CONTENTS)
    return contents


def _checked(blocks: Iterable[bytes], path: str, kept: Kept) -> Iterator[bytes]:
    digest, size_bytes = hashlib.sha256(), 0
    for block in blocks:
        digest.update(block)
        size_bytes += len(block)
        yield block
    if Kept(digest.hexdigest(), size_bytes) != kept:
        raise _changed(path)


def _text(said: Any) -> bytes:  # noqa: ANN401  # any JSON
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)


def _blob(sha256: str) -> str:
    return f"blobs/{sha256[:2]}/{sha256}"


def _changed(path: str) -> DataLossError:
    return DataLossError(
        f"the backup's file {path} is not as it was written: take another backup"
    )
