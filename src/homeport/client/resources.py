"""The API's resources as the server tells them: documents, found and listed."""

import dataclasses
import itertools
import re
import urllib.parse
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
_PROJECTS: Final = "projects/"


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
    return paged(connection, f"/v1/{path}", listing)


def paged(
    connection: Connection, path: str, listing: Listing = EVERYTHING
) -> Iterator[Document]:
    """Yield what is listed at a whole path, ours or Vertex AI's, page by page."""
    return itertools.islice(_pages(connection, path, listing), listing.limit)


def get(connection: Connection, name: str) -> dict[str, Any]:
    """Return the resource of this full name."""
    return connection.get(f"/v1/{quoted(name)}")


def changed(
    connection: Connection, name: str, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """Change some fields of the resource of this full name; return it.

    Args:
        connection: The server.
        name: Which.
        fields: By their names; those that are None stay.

    Raises:
        InvalidArgumentError: All of them are.
    """
    given = {key: value for key, value in fields.items() if value is not None}
    if not given:
        raise InvalidArgumentError(
            f"nothing of {name} is to be changed: give one of {', '.join(fields)}"
        )
    return connection.patch(f"/v1/{quoted(name)}", given, updateMask=",".join(given))


def quoted(name: str) -> str:
    """Return a full name as a path has it."""
    return urllib.parse.quote(name, safe="/@")


def find(connection: Connection, kind: str, wanted: str) -> str:
    """Return the full name of what has this full name, id or display name.

    Args:
        connection: The server.
        kind: models, endpoints or batchPredictionJobs.
        wanted: The id wins over the display name of another. A full name is taken as
            it is.

    Raises:
        NotFoundError: None has it.
        InvalidArgumentError: Several have this display name.
    """
    if wanted.startswith(_PROJECTS):
        return _full(kind, wanted)
    return str(found(connection, kind, wanted)["name"]).partition("@")[0]


def found(connection: Connection, kind: str, wanted: str) -> dict[str, Any]:
    """Return what `find` names; of a model its default version.

    Raises:
        NotFoundError: None has it.
        InvalidArgumentError: Several have this display name.
    """
    if wanted.startswith(_PROJECTS):
        return get(connection, _full(kind, wanted))
    if _ID_RE.fullmatch(wanted):
        there = _there(connection, f"{connection.address.parent}/{kind}/{wanted}")
        if there is not None:
            return there
    called = named(connection, kind, wanted)
    if not called and "/" in wanted:
        return get(connection, _full(kind, wanted))
    if not called:
        raise NotFoundError(
            f"no {_SINGULAR[kind]} is called {wanted!r}: `{_LISTED_BY[kind]}` shows "
            "those there are"
        )
    if len(called) > 1:
        names = [one["name"].partition("@")[0] for one in called[:_MOST_NAMED]]
        ids = ", ".join(one.rpartition("/")[2] for one in names)
        raise InvalidArgumentError(
            f"{len(called)} {_SINGULAR[kind]}s are called {wanted!r}: name one by its "
            f"id, {ids}"
        )
    return called[0]


def named(connection: Connection, kind: str, wanted: str) -> list[dict[str, Any]]:
    """Return those with exactly this display name."""
    escaped = wanted.replace("\\", "\\\\").replace('"', '\\"')
    path = f"{connection.address.parent}/{kind}"
    asked = Listing(f'display_name="{escaped}"')
    # A star in a filter stands for anything.
    return [
        dict(one)
        for one in listed(connection, path, asked)
        if one.get("displayName") == wanted
    ]


def find_version(connection: Connection, wanted: str) -> str:
    """Return the full name of MODEL[@VERSION], the version as it was named."""
    model, at, version = wanted.rpartition("@")
    if not at:
        return find(connection, "models", wanted)
    if not version:
        raise InvalidArgumentError(
            f"{wanted!r} names no version: give MODEL@2, MODEL@alias, or MODEL"
        )
    try:
        return f"{find(connection, 'models', model)}@{version}"
    except NotFoundError as missing:
        return _with_an_at(connection, wanted, missing)


def found_version(connection: Connection, wanted: str) -> dict[str, Any]:
    """Return MODEL[@VERSION], the default version where none is named.

    Raises:
        NotFoundError: There is none.
        InvalidArgumentError: Several models have this display name.
    """
    if "@" not in wanted:
        return found(connection, "models", wanted)
    name = find_version(connection, wanted)
    try:
        return get(connection, name)
    except NotFoundError as missing:
        if wanted.startswith(_PROJECTS):
            raise
        return get(connection, _with_an_at(connection, wanted, missing))


def _with_an_at(connection: Connection, wanted: str, missing: NotFoundError) -> str:
    """Return the model whose display name has the @; else raise what is missing."""
    for one in named(connection, "models", wanted):
        return str(one["name"]).partition("@")[0]
    raise missing


def _full(kind: str, wanted: str) -> str:
    match = _FULL_RE.fullmatch(wanted)
    if match is None or match[1] != kind:
        raise InvalidArgumentError(
            f"{wanted!r} is not the name of any {_SINGULAR[kind]}: give its id, its "
            f"display name, or projects/PROJECT/locations/REGION/{kind}/ID"
        )
    return wanted


def _there(connection: Connection, name: str) -> dict[str, Any] | None:
    try:
        return get(connection, name)
    except HomeportError as error:
        # What cannot be an id is refused as one.
        if error.code in {Code.NOT_FOUND, Code.INVALID_ARGUMENT}:
            return None
        raise


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
        page = connection.get(path, pageToken=token, **asked)
        yield from page.get(field, [])
        token = page.get("nextPageToken", "")
        if not token:
            return
