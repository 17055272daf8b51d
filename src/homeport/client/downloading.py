"""Objects to files: verified, whole or not there, gone on with where they broke off.

What has arrived lies beside the file, in `.NAME.GENERATION.partial`; the next download
of the same generation goes on from there.
"""

import base64
import contextlib
import fcntl
import pathlib
from collections.abc import Iterator
from typing import IO, Any, Final

import crc32c

from homeport.client import buckets
from homeport.client.connection import Connection
from homeport.client.uploading import OnProgress
from homeport.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    UnavailableError,
)

_CHUNK_BYTES: Final = 1 << 20


def download(
    connection: Connection,
    source: tuple[str, str],
    file: pathlib.Path,
    on_progress: OnProgress,
) -> None:
    """Copy an object to a file, which appears whole.

    An object that is stored as gzip, and says so, is unpacked on the way.

    Args:
        connection: The server.
        source: Bucket and name.
        file: Where to; what is there is replaced.
        on_progress: Called with how many bytes of how many are there.

    Raises:
        DataLossError: What arrived is not what the store has; nothing of it is kept.
        FailedPreconditionError: Another process downloads to the same file.
        InvalidArgumentError: It cannot be written.
        HomeportError: The server's own refusal.
    """
    found = buckets.metadata(connection, *source)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _partial(file, found["generation"]) as (partial, stream):
            if found.get("contentEncoding") == "gzip":
                _unpacked(connection, source, stream)
            else:
                _fetch(connection, source, found, stream, on_progress)
            stream.flush()
            partial.replace(file)
    except OSError as error:
        raise InvalidArgumentError(
            f"{file} cannot be written: {error.strerror or error}"
        ) from error


@contextlib.contextmanager
def _partial(
    file: pathlib.Path, generation: str
) -> Iterator[tuple[pathlib.Path, IO[bytes]]]:
    """Yield the file of what has arrived, held by this process alone."""
    ours = file.with_name(f".{file.name}.{generation}.partial")
    with ours.open("a+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FailedPreconditionError(
                f"another command is downloading to {file}: wait for it, or choose "
                "another file"
            ) from error
        yield ours, stream


def _fetch(
    connection: Connection,
    source: tuple[str, str],
    found: dict[str, Any],
    stream: IO[bytes],
    on_progress: OnProgress,
) -> None:
    """Bring what is missing, and compare the checksum of all.

    Raises:
        DataLossError: It is another.
        UnavailableError: It broke off.
    """
    total, checksum, received = int(found["size"]), 0, 0
    stream.seek(0)
    while chunk := stream.read(_CHUNK_BYTES):
        checksum = crc32c.crc32c(chunk, checksum)
        received += len(chunk)
    on_progress(received, total)
    if received < total:
        query = {"alt": "media", "generation": found["generation"]}
        headers = {"range": f"bytes={received}-"} if received else {}
        path = buckets.path_of(*source)
        with connection.stream("GET", path, headers=headers, query=query) as pieces:
            try:
                for piece in pieces:
                    stream.write(piece)
                    checksum = crc32c.crc32c(piece, checksum)
                    received += len(piece)
                    on_progress(received, total)
            except KeyboardInterrupt as interrupt:
                interrupt.add_note(_how_to_go_on(source, received, total))
                raise
    if received < total:
        raise UnavailableError(_how_to_go_on(source, received, total))
    if base64.b64encode(checksum.to_bytes(4, "big")).decode() != found["crc32c"]:
        stream.truncate(0)
        raise DataLossError(
            f"gs://{source[0]}/{source[1]} did not arrive as it is stored: nothing of "
            "it was kept; download it again"
        )


def _unpacked(
    connection: Connection, source: tuple[str, str], stream: IO[bytes]
) -> None:
    """Write the bytes that are packed; gzip has a checksum of its own."""
    stream.truncate(0)
    path = buckets.path_of(*source)
    with connection.stream("GET", path, query={"alt": "media"}) as pieces:
        for piece in pieces:
            stream.write(piece)


def _how_to_go_on(source: tuple[str, str], received: int, total: int) -> str:
    return (
        f"{received} of {total} bytes of gs://{source[0]}/{source[1]} have arrived: "
        "copy it again to go on from there"
    )
