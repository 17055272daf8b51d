"""The key by which rows belong to an endpoint."""

from typing import Final

from homeport.resources.names import EndpointName

COLUMNS: Final = ("project", "location", "endpoint_id")
"""The columns of an endpoint's key."""


def of(name: EndpointName) -> dict[str, str]:
    """Return an endpoint's key, by column."""
    return {
        "project": name.parent.project,
        "location": name.parent.location,
        "endpoint_id": name.endpoint,
    }
