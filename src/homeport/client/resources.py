"""The API's resources as the server tells them: documents, found and listed."""

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from homeport.client.connection import Connection
from homeport.errors import (
    Code,
    HomeportError,
    InvalidArgumentError,
    NotFoundError,
)

Document: TypeAlias = Mapping[str, Any]

_ID_RE: Final = re.compile(r"[\w-]+", re.ASCII)
_FULL_RE: Final = re.compile(r"projects/[^/]+/locations/[^/]+/(.+)/[^/]+")
_SINGULAR: Final = {
    "models": "model",
    "endpoints": "endpoint",
    "batchPredictionJobs": "batch prediction job",
}
# Where each is listed by the command line.
_LISTED_BY: Final = {
    "models": "homeport models list",
    "endpoints": "homeport endpoints list",
    "batchPredictionJobs": "homeport batch list",
}
# What a page calls its entries, where that is not the end of the path.
_FIELDS: Final = {
    "listVersions": "models",
    "evaluations": "modelEvaluations",
    "slices": "modelEvaluationSlices",
}
_MOST_NAMED: Final = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """What a list is asked for.

    Attributes:
        filter: AIP-160, "" for everything.
        order_by: Such as "create_time desc", "" for the server's own order.
        page_size: How many the server tells at once, 0 for as many as it likes.
        limit: At most so many, None for all.
    """

    filter: str = ""
    order_by: str = ""
    page_size: int = 0
    limit: int | None = None


EVERYTHING: Final = Listing()


def listed(
    connection: Connection, path: str, listing: Listing = EVERYTHING
) -> Iterator[Document]:
    """Yield what is listed at a path below the version, page by page."""
    return itertools.islice(_pages(connection, path, listing), listing.limit)


def get(connection: Connection, name: str) -> dict[str, Any]:
    """Return the resource of this full name."""
    return connection.get(f"/v1/{name}")


def find(connection: Connection, kind: str, wanted: str) -> str:
    """Return the full name of what has this full name, id or display name.

    Args:
        connection: The server.
        kind: models, endpoints or batchPredictionJobs.
        wanted: The id wins over the display name of another.

    Raises:
        NotFoundError: None has it.
        InvalidArgumentError: Several have this display name.
    """
    if "/" in wanted:
        return _full(kind, wanted)
    parent = f"{connection.address.parent}/{kind}"
    if _ID_RE.fullmatch(wanted) and _is_there(connection, f"{parent}/{wanted}"):
        return f"{parent}/{wanted}"
    escaped = wanted.replace("\\", "\\\\").replace('"', '\\"')
    named: list[str] = [
        one["name"].partition("@")[0]
        for one in listed(connection, parent, Listing(f'display_name="{escaped}"'))
        # A star in a filter stands for anything.
        if one.get("displayName") == wanted
    ]
    if not named:
        raise NotFoundError(
            f"no {_SINGULAR[kind]} is called {wanted!r}: `{_LISTED_BY[kind]}` shows "
            "those there are"
        )
    if len(named) > 1:
        ids = ", ".join(one.rpartition("/")[2] for one in named[:_MOST_NAMED])
        raise InvalidArgumentError(
            f"{len(named)} {_SINGULAR[kind]}s are called {wanted!r}: name one by its "
            f"id, {ids}"
        )
    return named[0]


def find_version(connection: Connection, wanted: str) -> str:
    """Return the full name of MODEL[@VERSION], the version as it was named."""
    model, at, version = wanted.partition("@")
    if at and not version:
        raise InvalidArgumentError(
            f"{wanted!r} names no version: give MODEL@2, MODEL@alias, or MODEL"
        )
    return find(connection, "models", model) + at + version


def _full(kind: str, wanted: str) -> str:
    match = _FULL_RE.fullmatch(wanted)
    if match is None or match[1] != kind:
        raise InvalidArgumentError(
            f"{wanted!r} is no name of a {_SINGULAR[kind]}: give its id, its display "
            f"name, or projects/PROJECT/locations/REGION/{kind}/ID"
        )
    return wanted


def _is_there(connection: Connection, name: str) -> bool:
    try:
        get(connection, name)
    except HomeportError as error:
        # What cannot be an id is refused as one.
        if error.code in {Code.NOT_FOUND, Code.INVALID_ARGUMENT}:
            return False
        raise
    return True


def _pages(connection: Connection, path: str, listing: Listing) -> Iterator[Document]:
    last = re.split(r"[/:]", path)[-1]
    field = _FIELDS.get(last, last)
    asked: dict[str, str | int] = {"filter": listing.filter}
    if listing.order_by:
        asked["orderBy"] = listing.order_by
    if listing.page_size:
        asked["pageSize"] = listing.page_size
    token = ""
    while True:
        page = connection.get(f"/v1/{path}", pageToken=token, **asked)
        yield from page.get(field, [])
        token = page.get("nextPageToken", "")
        if not token:
            return
