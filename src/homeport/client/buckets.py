"""The verbs of the object store: buckets, what lies in them, copies inside."""

import dataclasses
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, Final

from homeport.client.connection import Connection
from homeport.errors import NotFoundError

_WILD_RE: Final = re.compile(r"\*\*|\*|\?")
_REGULAR: Final = {"**": ".*", "*": "[^/]*", "?": "[^/]"}


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A line of a list.

    Attributes:
        bucket: Where it is.
        name: An object's, or a prefix that ends with "/".
        size_bytes: 0 of a prefix.
        time: When the object was written, RFC 3339; "" of a prefix.
    """

    bucket: str
    name: str
    size_bytes: int
    time: str

    @property
    def uri(self) -> str:
        """Its `gs://` address."""
        return f"gs://{self.bucket}/{self.name}"


def names(connection: Connection) -> Iterator[str]:
    """Yield the names of the project's buckets."""
    query = {"project": connection.address.project}
    for page in _pages(connection, "/storage/v1/b", query):
        for one in page.get("items", ()):
            yield one["name"]


def make(connection: Connection, bucket: str) -> None:
    """Make a bucket."""
    query = {"project": connection.address.project}
    connection.post("/storage/v1/b", {"name": bucket}, **query)


def remove(connection: Connection, bucket: str) -> None:
    """Remove a bucket that is empty."""
    connection.exchange("DELETE", f"/storage/v1/b/{_quoted(bucket)}")


def entries(
    connection: Connection, bucket: str, prefix: str, *, deep: bool
) -> Iterator[Entry]:
    """Yield what begins with a prefix, by name.

    Args:
        connection: The server.
        bucket: Where.
        prefix: "" for everything.
        deep: Every object; else up to the next "/", as in a folder.
    """
    query = {"prefix": prefix} if deep else {"prefix": prefix, "delimiter": "/"}
    for page in _pages(connection, f"/storage/v1/b/{_quoted(bucket)}/o", query):
        found = [_entry(one) for one in page.get("items", ())]
        found += [Entry(bucket, one, 0, "") for one in page.get("prefixes", ())]
        yield from sorted(found, key=lambda one: one.name)


def matching(connection: Connection, bucket: str, pattern: str) -> list[Entry]:
    """Return the objects whose names a pattern matches: `*`, `?`, and `**` past "/".

    Raises:
        NotFoundError: None.
    """
    wild = _WILD_RE.search(pattern)
    if wild is None:
        return [_one(connection, bucket, pattern)]
    parts = _WILD_RE.split(pattern)
    marks = [_REGULAR[mark] for mark in _WILD_RE.findall(pattern)]
    regular = "".join(
        re.escape(part) + mark for part, mark in zip(parts, [*marks, ""], strict=True)
    )
    found = [
        one
        for one in entries(connection, bucket, pattern[: wild.start()], deep=True)
        if re.fullmatch(regular, one.name, re.DOTALL)
    ]
    if not found:
        raise NotFoundError(
            f"nothing in bucket {bucket!r} matches {pattern!r}: see `homeport storage "
            f"ls gs://{bucket}`"
        )
    return found


def _one(connection: Connection, bucket: str, name: str) -> Entry:
    try:
        return _entry(metadata(connection, bucket, name))
    except NotFoundError as error:
        if next(entries(connection, bucket, f"{name}/", deep=True), None) is None:
            raise
        raise NotFoundError(
            f"gs://{bucket}/{name} is a folder and no object: give "
            f"gs://{bucket}/{name}/* for what is in it, or say --recursive where that "
            "is meant"
        ) from error


def is_pattern(name: str) -> bool:
    """Return whether a name stands for others."""
    return _WILD_RE.search(name) is not None


def metadata(connection: Connection, bucket: str, name: str) -> dict[str, Any]:
    """Return what the store says of an object."""
    return connection.get(path_of(bucket, name))


def copy(connection: Connection, source: tuple[str, str], to: tuple[str, str]) -> None:
    """Copy an object inside the store; no bytes move."""
    connection.post(f"{path_of(*source)}/copyTo{path_of(*to).removeprefix(_API)}", {})


def delete(connection: Connection, bucket: str, name: str) -> None:
    """Remove an object."""
    connection.exchange("DELETE", path_of(bucket, name))


_API: Final = "/storage/v1"


def path_of(bucket: str, name: str) -> str:
    """Return an object's path."""
    return f"{_API}/b/{_quoted(bucket)}/o/{_quoted(name)}"


def _entry(found: Mapping[str, Any]) -> Entry:
    size_bytes = int(found["size"])
    return Entry(found["bucket"], found["name"], size_bytes, found["updated"])


def _pages(
    connection: Connection, path: str, query: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    token = ""
    while True:
        page = connection.get(path, **query, pageToken=token)
        yield page
        token = page.get("nextPageToken", "")
        if not token:
            return


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")
