"""Which model or endpoint is meant by a text: name, id, display name, alias."""

import re
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, Final

from homeport.client.connection import Connection
from homeport.errors import InvalidArgumentError, NotFoundError

_FULL_RE: Final = re.compile(
    r"projects/[^/@]+/locations/[^/@]+/(?:models|endpoints|batchPredictionJobs)/[^/@]+"
)
_ID_RE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def find_model(connection: Connection, wanted: str) -> dict[str, Any]:
    """Return the JSON of a model: its default version, or the one behind an `@`.

    Args:
        connection: The server.
        wanted: Full name, id or display name; `@2` or `@alias` behind it names a
            version.

    Raises:
        NotFoundError: None has it.
        InvalidArgumentError: Several have this display name.
    """
    base, at, version = wanted.rpartition("@")
    if not at:
        return _find(connection, "models", wanted, "")
    try:
        return _find(connection, "models", base, f"@{version}")
    except NotFoundError:
        # A display name may have an @ in it.
        for one in _named(connection, "models", wanted):
            return one
        raise


def find_endpoint(connection: Connection, wanted: str) -> dict[str, Any]:
    """Return the JSON of an endpoint by full name, id or display name.

    Raises:
        NotFoundError: None has it.
        InvalidArgumentError: Several have this display name.
    """
    return _find(connection, "endpoints", wanted, "")


def pages(
    connection: Connection, path: str, field: str, **query: str
) -> Iterator[dict[str, Any]]:
    """Yield what a list's pages hold."""
    token = ""
    while True:
        page = connection.get(path, **query, pageToken=token)
        yield from page.get(field, [])
        token = page.get("nextPageToken", "")
        if not token:
            return


def quoted(name: str) -> str:
    """Return a full name as a path has it."""
    return urllib.parse.quote(name, safe="/@")


def _find(
    connection: Connection, kind: str, wanted: str, version: str
) -> dict[str, Any]:
    parent = connection.address.parent
    if _FULL_RE.fullmatch(wanted):
        return connection.get(f"/v1/{quoted(wanted + version)}")
    if _ID_RE.fullmatch(wanted):
        try:
            return connection.get(f"/v1/{parent}/{kind}/{quoted(wanted + version)}")
        except NotFoundError:
            found = _named(connection, kind, wanted)
            if not found:
                raise
    else:
        found = _named(connection, kind, wanted)
    return _one(connection, kind, wanted, version, found)


def _one(
    connection: Connection,
    kind: str,
    wanted: str,
    version: str,
    found: list[dict[str, Any]],
) -> dict[str, Any]:
    if not found:
        raise NotFoundError(
            f"no {kind.removesuffix('s')} is called {wanted!r} in "
            f"{connection.address.parent}"
        )
    if len(found) > 1:
        ids = ", ".join(_id(one) for one in found)
        raise InvalidArgumentError(
            f"{len(found)} {kind} are called {wanted!r}: name one by its id, {ids}"
        )
    if not version:
        return found[0]
    name = found[0]["name"].partition("@")[0]
    return connection.get(f"/v1/{quoted(name + version)}")


def _named(connection: Connection, kind: str, wanted: str) -> list[dict[str, Any]]:
    """Return those with exactly this display name."""
    escaped = wanted.replace("\\", "\\\\").replace('"', '\\"')
    path = f"/v1/{connection.address.parent}/{kind}"
    found = pages(connection, path, kind, filter=f'display_name="{escaped}"')
    # A * in a filter stands for any text.
    return [one for one in found if one.get("displayName") == wanted]


def _id(found: Mapping[str, Any]) -> str:
    return str(found["name"]).partition("@")[0].rpartition("/")[2]
