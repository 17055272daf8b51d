"""Where versions come from, as the command line reads it."""

from typing import Any

from homeport.client.connection import Connection


def lineage(connection: Connection, version: str) -> dict[str, Any]:
    """Return where a version comes from: lineage, source, check, who and when.

    Args:
        connection: The server.
        version: Full name, with `@ID` or `@alias`; without, the default version.
    """
    return connection.get(f"/homeport/v1/{version}/lineage")


def readme(connection: Connection, version: str) -> str:
    """Return the README of a version, Markdown; "" for none."""
    return connection.get_text(f"/homeport/v1/{version}/readme")


def put_readme(connection: Connection, version: str, text: str) -> None:
    """Write the README of a version in place of the one it has; "" takes it away."""
    connection.put(f"/homeport/v1/{version}/readme", {"text": text})


def comparison(connection: Connection, first: str, second: str) -> dict[str, Any]:
    """Return in what two versions differ, each by full name; see `lineage`."""
    return connection.get(f"/homeport/v1/{first}/comparison", **{"with": second})
