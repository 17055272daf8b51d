"""The bytes of a version, out of the registry again."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

from homeport.client import objects, resources, staging
from homeport.client.connection import Connection

_FOLDER = "exports"


def export(
    connection: Connection, version: str, destination: str | os.PathLike[str]
) -> str | pathlib.Path:
    """Copy a version into a new folder below a `gs://` prefix or a local folder.

    Args:
        connection: The server.
        version: Full name with `@ID`.
        destination: `gs://...`, or a local folder, which is made.

    Returns:
        Where the files are.
    """
    if isinstance(destination, str) and "://" in destination:
        return uri_of(connection.ended(begin(connection, version, destination)))
    staging.make_bucket(connection)
    prefix = f"gs://{staging.BUCKET}/{connection.address.project}/{_FOLDER}"
    uri = uri_of(connection.ended(begin(connection, version, prefix)))
    bucket, folder = objects.parse_uri(uri)
    objects.download(
        connection, bucket, f"{folder.rstrip('/')}/", pathlib.Path(destination)
    )
    return pathlib.Path(destination)


def begin(connection: Connection, version: str, prefix: str) -> dict[str, Any]:
    """Return the operation that copies a version into a new folder below a prefix.

    Args:
        connection: The server.
        version: Full name with `@ID`.
        prefix: `gs://...`.
    """
    config = {
        "exportFormatId": "custom-trained",
        "artifactDestination": {"outputUriPrefix": prefix},
    }
    path = f"/v1/{resources.quoted(version)}:export"
    return connection.post(path, {"outputConfig": config})


def uri_of(ended: Mapping[str, Any]) -> str:
    """Return where the files are, of an operation of `begin` that has ended well."""
    return str(ended["metadata"]["outputInfo"]["artifactOutputUri"])
