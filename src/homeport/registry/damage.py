"""Stored bytes that are not those that were taken in, named as people know them."""

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Final

from homeport.archive import mar
from homeport.errors import DataLossError
from homeport.objects.blobs import Blobs
from homeport.resources.bucket import Content
from homeport.resources.model import ArtifactFile

_BLOCK_BYTES: Final = 1 << 20


def check(blobs: Blobs, file: ArtifactFile) -> None:
    """Read a file of an artifact through.

    Raises:
        DataLossError: Its bytes are lost, or not those that were registered; the
            message says which member of an archive it is.
    """
    with _placed(blobs, file):
        digest = hashlib.sha256()
        with blobs.open(file.sha256) as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
        if digest.hexdigest() != file.sha256:
            raise DataLossError(
                "the stored bytes are not those that were registered: upload the "
                "version again"
            )


def measure(blobs: Blobs, file: ArtifactFile) -> Content:
    """Return size and digests of a file of an artifact, read through.

    Raises:
        DataLossError: As `check`.
    """
    with _placed(blobs, file):
        return blobs.measure(file.sha256)


@contextlib.contextmanager
def named(subject: str) -> Iterator[None]:
    """Say of what bytes are lost, where the caller knows it.

    Args:
        subject: The full name of a version.
    """
    try:
        yield
    except DataLossError as error:
        raise DataLossError(f"{subject}: {error.message}", resource=subject) from error


@contextlib.contextmanager
def _placed(blobs: Blobs, file: ArtifactFile) -> Iterator[None]:
    try:
        yield
    except DataLossError as error:
        raise DataLossError(f"{_place(blobs, file)}: {error.message}") from error


def _place(blobs: Blobs, file: ArtifactFile) -> str:
    try:
        with blobs.open(file.sha256) as stream:
            member = mar.damaged_member(stream)
    except DataLossError:
        member = ""
    return f"{member} in {file.path}" if member else file.path
