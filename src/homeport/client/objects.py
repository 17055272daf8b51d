"""Objects in the server's buckets: listed, read piece by piece, copied to files."""

import contextlib
import dataclasses
import os
import pathlib
import re
import urllib.parse
from collections.abc import Iterator
from typing import Final

from homeport.client.connection import Connection
from homeport.errors import InvalidArgumentError

_URI_RE: Final = re.compile(r"gs://([^/]+)/?(.*)", re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in a bucket.

    Attributes:
        bucket: Where it is.
        name: Its name there.
        size_bytes: Its length.
    """

    bucket: str
    name: str
    size_bytes: int


def parse_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the rest of a `gs://` address.

    Raises:
        InvalidArgumentError: It is no such address.
    """
    match = _URI_RE.fullmatch(uri)
    if match is None:
        raise InvalidArgumentError(
            f"{uri!r} is no address in a bucket: give one such as gs://bucket/folder"
        )
    return match[1], match[2]


def listed(connection: Connection, bucket: str, prefix: str) -> Iterator[StoredObject]:
    """Yield the objects whose names begin so, by name."""
    token = ""
    while True:
        page = connection.get(
            f"/storage/v1/b/{_quoted(bucket)}/o", prefix=prefix, pageToken=token
        )
        for one in page.get("items", ()):
            yield StoredObject(bucket, one["name"], int(one["size"]))
        token = page.get("nextPageToken", "")
        if not token:
            return


@contextlib.contextmanager
def reading(
    connection: Connection, bucket: str, name: str
) -> Iterator[Iterator[bytes]]:
    """Yield the bytes of an object in pieces, as they arrive."""
    path = f"/storage/v1/b/{_quoted(bucket)}/o/{_quoted(name)}"
    with connection.stream("GET", path, query={"alt": "media"}) as pieces:
        yield pieces


def lines(connection: Connection, bucket: str, name: str) -> Iterator[bytes]:
    """Yield the lines of an object without their ends; empty ones are left out."""
    with reading(connection, bucket, name) as pieces:
        rest = b""
        for piece in pieces:
            *whole, rest = (
                (rest + piece).split(b"\n") if b"\n" in piece else [rest + piece]
            )
            yield from filter(None, whole)
        if rest:
            yield rest


def download(
    connection: Connection, bucket: str, prefix: str, folder: pathlib.Path
) -> None:
    """Copy all objects below a prefix into a folder; each file appears whole.

    Raises:
        InvalidArgumentError: A name leads out of the folder, or it cannot be written.
    """
    for one in listed(connection, bucket, prefix):
        relative = one.name.removeprefix(prefix).lstrip("/")
        path = folder / relative
        if not path.resolve().is_relative_to(folder.resolve()) or not relative:
            raise InvalidArgumentError(
                f"object {one.name!r} would be written outside of {folder}"
            )
        try:
            _write(connection, one, path)
        except OSError as error:
            raise InvalidArgumentError(
                f"{path} cannot be written: {error.strerror or error}"
            ) from error


def _write(connection: Connection, one: StoredObject, path: pathlib.Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with (
            partial.open("wb") as file,
            reading(connection, one.bucket, one.name) as pieces,
        ):
            for piece in pieces:
                file.write(piece)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")
