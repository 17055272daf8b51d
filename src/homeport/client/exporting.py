"""The bytes of a version, out of the registry again."""

import os
import pathlib

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
        return _exported(connection, version, destination)
    staging.make_bucket(connection)
    prefix = f"gs://{staging.BUCKET}/{connection.address.project}/{_FOLDER}"
    uri = _exported(connection, version, prefix)
    bucket, folder = objects.parse_uri(uri)
    objects.download(
        connection, bucket, f"{folder.rstrip('/')}/", pathlib.Path(destination)
    )
    return pathlib.Path(destination)


def _exported(connection: Connection, version: str, prefix: str) -> str:
    config = {
        "exportFormatId": "custom-trained",
        "artifactDestination": {"outputUriPrefix": prefix},
    }
    path = f"/v1/{resources.quoted(version)}:export"
    ended = connection.ended(connection.post(path, {"outputConfig": config}))
    return str(ended["metadata"]["outputInfo"]["artifactOutputUri"])
