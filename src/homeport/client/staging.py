"""Local files and folders to the bucket from which versions are registered."""

import contextlib
import dataclasses
import hashlib
import json
import pathlib
import socket
from typing import Final

from homeport.client import uploading
from homeport.client.connection import Connection
from homeport.client.uploading import OnProgress, Target
from homeport.client.uploadnotes import FileState
from homeport.errors import AlreadyExistsError, InvalidArgumentError

BUCKET: Final = "homeport-uploads"
_MAX_FILES: Final = 10_000


def stage(connection: Connection, path: pathlib.Path, on_progress: OnProgress) -> str:
    """Upload a file, or a folder with all below it; return its `gs://` address.

    What an earlier call left half sent is gone on with.

    Args:
        connection: The server.
        path: Hidden files of a folder come along; links are followed.
        on_progress: Called with how many bytes of how many have been sent.

    Raises:
        InvalidArgumentError: It is not there, empty, or has too many files.
        HomeportError: See `uploading.upload`.
    """
    files = _files(path)
    states = {file: _state(file) for file in files}
    total = sum(state.size_bytes for state in states.values())
    folder = f"{connection.address.project}/{_digest(states)}"
    make_bucket(connection)
    before = 0
    for file, state in states.items():
        name = file.relative_to(path).as_posix() if path.is_dir() else file.name

        def on_sent(sent: int, size: int, before: int = before) -> None:
            del size
            on_progress(before + sent, total)

        target = Target(BUCKET, f"{folder}/{name}")
        uploading.upload(connection, file, target, on_sent)
        before += state.size_bytes
    return f"gs://{BUCKET}/{folder}" + ("" if path.is_dir() else f"/{path.name}")


def stage_archive(
    connection: Connection, archive: pathlib.Path, digest: str, on_progress: OnProgress
) -> str:
    """Upload an archive under its digest; return the `gs://` address of its folder.

    Args:
        connection: The server.
        archive: The file.
        digest: Its sha256, which names the folder: equal archives share one.
        on_progress: Called with how many bytes of how many have been sent.

    Raises:
        HomeportError: See `uploading.upload`.
    """
    folder = f"{connection.address.project}/{digest}"
    make_bucket(connection)
    target = Target(BUCKET, f"{folder}/model.mar")
    uploading.upload(connection, archive, target, on_progress)
    return f"gs://{BUCKET}/{folder}"


def make_bucket(connection: Connection) -> None:
    """Make the bucket if it is not there."""
    path = f"/storage/v1/b?project={connection.address.project}"
    with contextlib.suppress(AlreadyExistsError):
        connection.post(path, {"name": BUCKET})


def _files(path: pathlib.Path) -> list[pathlib.Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InvalidArgumentError(
            f"{path} is not there: give a file, a folder, or a gs:// address"
        )
    found = sorted(one for one in path.rglob("*") if one.is_file())
    if not found or len(found) > _MAX_FILES:
        raise InvalidArgumentError(
            f"{path} has {len(found)} files: a folder of 1 to {_MAX_FILES} can be "
            "uploaded"
        )
    return found


def _state(file: pathlib.Path) -> FileState:
    try:
        return FileState.of(file)
    except OSError as error:
        raise InvalidArgumentError(
            f"{file} cannot be uploaded: {error.strerror or error}"
        ) from error


def _digest(states: dict[pathlib.Path, FileState]) -> str:
    """Return what is the same for these files again, and for none on another machine.

    It is not of their bytes: reading a large file takes as long as sending it.
    """
    words = [
        socket.gethostname(),
        *([str(file.resolve()), *dataclasses.astuple(states[file])] for file in states),
    ]
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()
