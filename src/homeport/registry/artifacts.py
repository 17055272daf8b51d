"""The immutable bytes behind versions: taken in once, laid out for workers.

An artifact is a manifest: a line `<sha256> <size> <path>`, ended by a line feed, for
each file, ordered by path, UTF-8. The sha256 of that text is the artifact's digest.
This is a format.
"""

import contextlib
import hashlib
import logging
import os
import pathlib
import threading
from collections.abc import Collection, Iterable, Iterator
from typing import BinaryIO, Final

from homeport.archive import extraction, framework, mar
from homeport.archive.inventory import Inventory
from homeport.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
)
from homeport.objects.blobs import Blobs
from homeport.registry import damage
from homeport.registry.sources import Sources
from homeport.resources.model import Artifact, ArtifactFile

_log: Final = logging.getLogger(__name__)
_MAX_NAMED: Final = 5
_MAX_READ_BYTES: Final = 1 << 20
# Of weights that lie deflated in their archive.
_MAX_INFLATED_BYTES: Final = 16 << 20


class Artifacts:
    """Takes artifacts in and lays their archives out.

    Args:
        sources: Where uploads come from.
        blobs: Where bytes are kept by digest.
        directory: Where archives are laid out, one folder a digest; a cache, safe to
            delete while the server is stopped.
    """

    def __init__(self, sources: Sources, blobs: Blobs, directory: pathlib.Path) -> None:
        self._sources = sources
        self._blobs = blobs
        self._directory = directory
        self._laying_out: dict[str, threading.Lock] = {}

    def start(self) -> None:
        """Remove what a killed server had begun to lay out; nobody lays out yet."""
        extraction.clear_staging(self._directory)

    def stage(self, uri: str) -> Artifact:
        """Return the artifact at an address as it is at this moment.

        The address names a folder (every file under `uri/`) or one file. The bytes
        are kept by their digests then; what later happens there changes nothing.

        Raises:
            InvalidArgumentError: It is no address that this server reads.
            PermissionDeniedError: It is none that the server's owner has named.
            NotFoundError: There is no such bucket, or nothing at that path.
            AbortedError: It changed while it was read.
            UnavailableError: An outside store does not answer.
            ResourceExhaustedError: The disk is full.
        """
        return _artifact(self._sources.files(uri))

    def comes_from_elsewhere(self, uri: str) -> bool:
        """Tell whether `stage` has to copy bytes, which takes long."""
        return self._sources.is_elsewhere(uri)

    def archive_of(self, artifact: Artifact) -> ArtifactFile:
        """Return the one `.mar` of an artifact, checked but not yet laid out.

        A single file that is an archive by its content will do, whatever its name.

        Raises:
            FailedPreconditionError: No archive, or more than one.
            InvalidArgumentError: The archive is broken or hostile.
        """
        archive = self._only_archive(artifact)
        with self._blobs.open(archive.sha256) as file:
            mar.check(file)
        return archive

    def read(self, archive: ArtifactFile, paths: Collection[str]) -> dict[str, bytes]:
        """Return the content of those of these members that an archive has, by path.

        Raises:
            InvalidArgumentError: The archive is broken or hostile, or a member is long.
        """
        with self._blobs.open(archive.sha256) as file:
            return mar.read(file, paths, _MAX_READ_BYTES)

    def beside(self, artifact: Artifact, name: str) -> bytes | None:
        """Return the file of this name in the folder of the artifact's archive.

        Raises:
            FailedPreconditionError: No archive, or more than one.
            InvalidArgumentError: The file is long.
        """
        folder = pathlib.PurePosixPath(self._only_archive(artifact).path).parent
        path = str(folder / name)
        for file in artifact.files:
            if file.path == path:
                return self.read_file(file)
        return None

    def inventory(self, archive: ArtifactFile) -> Inventory:
        """Return what lies in an archive, by its directory alone.

        Raises:
            InvalidArgumentError: The archive is broken or hostile.
        """
        with self._blobs.open(archive.sha256) as file:
            return mar.inspect(file)

    def framework_of(self, archive: ArtifactFile) -> str:
        """Return what the weights in a checked archive were saved with.

        "" where that cannot be told (`archive.framework`).
        """
        with self._blobs.open(archive.sha256) as file:
            found = mar.inspect(file)
            paths = {member.path: member for member in found.members}
            weights = paths.get(found.manifest.serialized_file)
            if weights is None:
                return framework.of_names(paths)
            if not weights.stored and weights.size_bytes > _MAX_INFLATED_BYTES:
                return ""
            with mar.looking_into(file) as open_member:
                return framework.of_weights(
                    open_member(weights, _MAX_INFLATED_BYTES), paths
                )

    def read_file(self, file: ArtifactFile) -> bytes:
        """Return the content of a short file of an artifact.

        Raises:
            InvalidArgumentError: It is long.
        """
        if file.size_bytes > _MAX_READ_BYTES:
            raise InvalidArgumentError(
                f"{file.path} has {file.size_bytes} bytes, the limit is "
                f"{_MAX_READ_BYTES}: put something else under this name"
            )
        with self._blobs.open(file.sha256) as stream:
            return stream.read()

    def lay_out(self, artifact: Artifact) -> pathlib.Path:
        """Return the read-only folder with the content of the artifact's archive.

        Blocks while it reads the archive through, the first time, or later what was
        laid out of it: that is laid out anew if a byte of it is wrong.

        Raises:
            ResourceExhaustedError: The disk is full.
            FailedPreconditionError: No archive, or more than one.
            InvalidArgumentError: The archive is broken or hostile.
            DataLossError: The stored bytes are not those that were registered.
        """
        archive = self._only_archive(artifact)
        directory = self._directory / archive.sha256
        # `setdefault` is one step, whichever threads come.
        with self._laying_out.setdefault(archive.sha256, threading.Lock()):
            if not self._is_whole(archive, directory):
                self._extract(archive, directory)
        return directory

    def lay_out_files(self, artifact: Artifact) -> pathlib.Path:
        """Return the read-only folder with the files of an artifact, as they are.

        For who serves them otherwise than our worker does; blocks as `lay_out` does.

        Raises:
            ResourceExhaustedError: The disk is full.
            FailedPreconditionError: The objects' names make no folder.
            DataLossError: The stored bytes are not those that were registered.
        """
        directory = self._directory / artifact.digest
        with self._laying_out.setdefault(artifact.digest, threading.Lock()):
            if directory.exists() and not _holds(directory, artifact):
                _log.warning("artifact %s was damaged", artifact.digest)
                extraction.discard(directory)
            if not directory.exists():
                self._copy(artifact, directory)
        return directory

    def _copy(self, artifact: Artifact, directory: pathlib.Path) -> None:
        for file in artifact.files:
            _check_path(file.path)
        # First: what lies there otherwise is never seen under the name.
        for file in artifact.files:
            damage.check(self._blobs, file)
        try:
            extraction.copy(self._contents(artifact), directory)
        except OSError as error:
            raise FailedPreconditionError(
                f"the objects of the artifact make no folder ({error.strerror}): one "
                "is named as the folder of another, or its name is too long"
            ) from error

    def _contents(self, artifact: Artifact) -> Iterator[tuple[str, BinaryIO]]:
        for file in artifact.files:
            with self._blobs.open(file.sha256) as content:
                yield file.path, content

    def _is_whole(self, archive: ArtifactFile, directory: pathlib.Path) -> bool:
        """Tell whether it was laid out before, and no byte was lost since."""
        if not directory.exists():
            return False
        # Of a damaged archive it cannot be told: what follows says so.
        with (
            contextlib.suppress(InvalidArgumentError, DataLossError),
            self._blobs.open(archive.sha256) as file,
        ):
            if mar.is_extracted(file, directory):
                return True
        _log.warning("artifact %s was damaged: laying it out anew", archive.sha256)
        extraction.discard(directory)
        return False

    def _extract(self, archive: ArtifactFile, directory: pathlib.Path) -> None:
        # First: damage of ours is not to be taken for a mistake in the archive.
        damage.check(self._blobs, archive)
        self._directory.mkdir(parents=True, exist_ok=True)
        with self._blobs.open(archive.sha256) as file:
            mar.extract(file, directory)

    def _only_archive(self, artifact: Artifact) -> ArtifactFile:
        archives = [file for file in artifact.files if file.path.endswith(".mar")]
        if (
            not archives
            and len(artifact.files) == 1
            and self._is_zip(artifact.files[0])
        ):
            archives = list(artifact.files)
        if not archives:
            raise FailedPreconditionError(
                f"no .mar archive among {_named(artifact.files)}: pack the model with "
                "`homeport pack` or torch-model-archiver and upload the .mar"
            )
        if len(archives) > 1:
            raise FailedPreconditionError(
                f"more than one .mar archive: {_named(archives)}; give each version a "
                "folder of its own, or name the one object"
            )
        return archives[0]

    def _is_zip(self, file: ArtifactFile) -> bool:
        with self._blobs.open(file.sha256) as stream:
            return mar.looks_like_archive(stream.read(4))


def _artifact(files: Iterable[ArtifactFile]) -> Artifact:
    ordered = tuple(sorted(files))
    lines = "".join(
        f"{file.sha256} {file.size_bytes} {file.path}\n" for file in ordered
    )
    return Artifact(hashlib.sha256(lines.encode()).hexdigest(), ordered)


def _check_path(path: str) -> None:
    # An object's name is any text; `..` would lie outside of the folder.
    parts = path.split("/")
    if "\0" in path or any(part in {"", ".", ".."} for part in parts):
        raise FailedPreconditionError(
            f"the artifact has an object {path!r:.200}, which is no path of a file: "
            "name it otherwise and upload the version again"
        )


def _holds(directory: pathlib.Path, artifact: Artifact) -> bool:
    """Tell whether a folder has exactly these files, byte for byte."""
    wanted = {file.path: file for file in artifact.files}
    found = {
        str((pathlib.Path(folder) / name).relative_to(directory))
        for folder, _, names in os.walk(directory)
        for name in names
    }
    if found != wanted.keys():
        return False
    for path, file in wanted.items():
        with (directory / path).open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != file.sha256:
                return False
    return True


def _named(files: Iterable[ArtifactFile]) -> str:
    names = [file.path for file in files]
    more = len(names) - _MAX_NAMED
    shown = ", ".join(names[:_MAX_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown
