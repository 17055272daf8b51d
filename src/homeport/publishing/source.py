"""A version of ours, as it is published: its words, its container and its bytes."""

import dataclasses
import hashlib
import pathlib
import secrets
from collections.abc import Mapping
from typing import Any, Final

from homeport.client import (
    buckets,
    exporting,
    objects,
    provenance,
    resources,
    staging,
)
from homeport.client.connection import Connection
from homeport.client.resources import Document
from homeport.errors import DataLossError

_DEFAULT: Final = "default"
_FOLDER: Final = "published"
# Of a version's fields, those that mean something here and would not there.
_LEFT: Final = {
    "predictSchemata": "its schemata",
    "explanationSpec": "its explanation spec",
    "metadata": "its metadata",
}


@dataclasses.dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of an artifact."""

    path: str
    sha256: str
    size_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A version.

    Attributes:
        name: Full, with `@ID`.
        display_name: Of the model.
        description: Of the model.
        version_description: Of the version.
        labels: Of model and version.
        aliases: Of the version, without "default".
        is_default: Whether the model's plain name means it.
        container: Its container spec, as REST has it.
        digest: Of its artifact, "" for none.
        files: Of its artifact.
        left: What stays behind, in words.
    """

    name: str
    display_name: str
    description: str
    version_description: str
    labels: Mapping[str, str]
    aliases: tuple[str, ...]
    is_default: bool
    container: Mapping[str, Any]
    digest: str
    files: tuple[SourceFile, ...]
    left: tuple[str, ...]

    @property
    def model_id(self) -> str:
        """The last segment of the model's name."""
        return self.name.partition("@")[0].rpartition("/")[2]

    @property
    def size_bytes(self) -> int:
        """The length of all files together."""
        return sum(one.size_bytes for one in self.files)


def find(connection: Connection, wanted: str) -> Source:
    """Return the version that MODEL[@VERSION] names.

    Raises:
        NotFoundError: There is no such model or version.
        InvalidArgumentError: Several models are called so.
    """
    found = resources.get(connection, resources.find_version(connection, wanted))
    name = f"{found['name'].partition('@')[0]}@{found['versionId']}"
    artifact = provenance.lineage(connection, name)["source"]
    aliases = found.get("versionAliases", ())
    return Source(
        name=name,
        display_name=found["displayName"],
        description=found.get("description", ""),
        version_description=found.get("versionDescription", ""),
        labels=found.get("labels", {}),
        aliases=tuple(one for one in aliases if one != _DEFAULT),
        is_default=_DEFAULT in aliases,
        container=found.get("containerSpec", {}),
        digest=artifact.get("digest", ""),
        files=tuple(map(_file, artifact.get("files", ()))),
        left=tuple(words for field, words in _LEFT.items() if found.get(field)),
    )


def fetch(connection: Connection, source: Source, folder: pathlib.Path) -> None:
    """Copy the files of a version into a folder, and leave nothing in the server.

    Raises:
        DataLossError: A file is not what the registry says it is.
        HomeportError: The server's own refusal.
    """
    staging.make_bucket(connection)
    # Known before the server begins, as the copy's own name is only at its end.
    own = f"{connection.address.project}/{_FOLDER}/{secrets.token_hex(8)}"
    operation: Document = {}
    try:
        prefix = f"gs://{staging.BUCKET}/{own}"
        operation = exporting.begin(connection, source.name, prefix)
        uri = exporting.uri_of(connection.ended(operation))
        bucket, name = objects.parse_uri(uri)
        objects.download(connection, bucket, f"{name}/", folder)
    finally:
        _clear(connection, operation, f"{own}/")
    for file in source.files:
        _verify(folder / file.path, file)


def _clear(connection: Connection, operation: Document, below: str) -> None:
    """Remove the copy in the server, also one that is still being made."""
    if operation:
        connection.post(f"/v1/{operation['name']}:cancel", {})
    for one in list(objects.listed(connection, staging.BUCKET, below)):
        buckets.delete(connection, staging.BUCKET, one.name)


def _verify(path: pathlib.Path, file: SourceFile) -> None:
    try:
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        digest = ""
    if digest != file.sha256:
        raise DataLossError(
            f"{file.path} did not arrive as the registry has it: say it again, and "
            "look at the server with `homeport verify`"
        )


def _file(found: Document) -> SourceFile:
    return SourceFile(found["path"], found["sha256"], int(found["sizeBytes"]))
