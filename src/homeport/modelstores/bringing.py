"""Planned archives into a server: found again, registered, served."""

import collections
import dataclasses
import hashlib
import pathlib
import tempfile
from collections.abc import Iterable
from typing import Any, Final

from homeport.archive import mar
from homeport.client import registry, resources, staging, uploading
from homeport.client.connection import Connection
from homeport.client.registry import Endpoint
from homeport.client.resources import Document, Listing
from homeport.client.uploading import OnProgress, Target
from homeport.errors import InvalidArgumentError, NotFoundError
from homeport.modelstores.plan import Planned
from homeport.resources.lineage import METADATA_KEY
from homeport.worker import serverconfig

# By which a second run finds what the first one registered.
LABEL: Final = "torchserve_archive"
_LABEL_LENGTH: Final = 40


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """The model that an archive's version belongs to.

    Attributes:
        version: Full name of the version that is there already, "" for none.
        takes_default: Whether a new version may become the default one: nobody but
            an earlier import made versions of it.
    """

    version: str = ""
    takes_default: bool = True


def identify(planned: Planned) -> str:
    """Return the digest of an archive and the words that go along, as hexadecimals.

    Reads the archive through, twice.

    Raises:
        InvalidArgumentError: It is damaged, or cannot be read.
    """
    try:
        damaged = mar.damaged_member(planned.path)
        with planned.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidArgumentError(
            f"it cannot be read ({error.strerror}): let your account read it"
        ) from error
    if damaged:
        raise InvalidArgumentError(
            f"its member {damaged!r} is damaged: copy or pack the archive again"
        )
    if not planned.words:
        return digest
    return hashlib.sha256(f"{digest}\n{planned.words}".encode()).hexdigest()


def find(connection: Connection, planned: Planned, digest: str) -> Found:
    """Return what an earlier run, or somebody else, made of the model.

    Raises:
        InvalidArgumentError: Several models have its display name.
    """
    model = _model(connection, planned.name)
    if not model:
        return Found()
    versions = list(resources.listed(connection, f"{model}:listVersions"))
    for one in versions:
        if _label(one) == digest[:_LABEL_LENGTH]:
            return Found(f"{model}@{one['versionId']}")
    return Found(takes_default=all(map(_label, versions)))


def under_way(connection: Connection) -> list[Document]:
    """Return the operations that register what an earlier run may have begun.

    Which version one makes is known when it has ended.
    """
    path = f"{connection.address.parent}/operations"
    begun = resources.listed(connection, path, Listing(filter="done=false"))
    return [one for one in begun if _may_register(one, path)]


def upload(
    connection: Connection, planned: Planned, digest: str, on_progress: OnProgress
) -> str:
    """Upload an archive with its words; return the `gs://` address of its folder.

    Args:
        connection: The server.
        planned: What.
        digest: From `identify`.
        on_progress: Called with how many bytes of how many have been sent.
    """
    uri = staging.stage_archive(connection, planned.path, digest, on_progress)
    if planned.words:
        name = f"{connection.address.project}/{digest}/{serverconfig.FILE}"
        _upload_words(connection, planned.words, Target(staging.BUCKET, name))
    return uri


def begin_registering(
    connection: Connection, planned: Planned, digest: str, found: Found, uri: str
) -> dict[str, Any]:
    """Return the operation that registers what was uploaded.

    Args:
        connection: The server.
        planned: What.
        digest: From `identify`.
        found: From `find`.
        uri: From `upload`.
    """
    version = planned.declared.version
    model: dict[str, Any] = {
        "displayName": planned.name,
        "artifactUri": uri,
        "versionDescription": f"TorchServe's version {version}, {planned.path.name}",
        "labels": {LABEL: digest[:_LABEL_LENGTH]},
        "metadata": {
            METADATA_KEY: {
                "torchserve_model": planned.name,
                "torchserve_version": version,
                "torchserve_archive": planned.path.name,
            }
        },
    }
    if planned.is_default and found.takes_default:
        model["versionAliases"] = ["default"]
    return registry.begin_registering(connection, model)


def endpoint_of(planned: Planned) -> str:
    """Return the display name of the endpoint that a version is deployed to.

    The default version has that of the model, each other one of its own: TorchServe
    answers for every version under its number.
    """
    if planned.is_default:
        return planned.name
    return f"{planned.name}-{planned.declared.version}"


def contested(planned: Iterable[Planned]) -> frozenset[str]:
    """Return the endpoints that several versions would be deployed to.

    Version 2.0 of model x and the default version of model x-2.0 have one.
    """
    names = collections.Counter(endpoint_of(one) for one in planned if one.is_loaded)
    return frozenset(name for name, count in names.items() if count > 1)


def endpoint(connection: Connection, planned: Planned) -> Endpoint:
    """Return the endpoint that a version is deployed to, made if it is not there."""
    wanted = endpoint_of(planned)
    try:
        return registry.find_endpoint(connection, wanted)
    except NotFoundError:
        return registry.create_endpoint(connection, wanted)


def serves(endpoint: Endpoint, version: str) -> bool:
    """Tell whether a version, by its full name, is deployed to an endpoint."""
    model, _, id_ = version.partition("@")
    return any((one.model, one.version) == (model, id_) for one in endpoint.deployed)


def _model(connection: Connection, display_name: str) -> str:
    """Return the full name of the model with this display name, "" for none."""
    named = resources.named(connection, "models", display_name)
    if len(named) > 1:
        raise InvalidArgumentError(
            f"{len(named)} models are called {display_name!r}: rename all but one with "
            "`homeport models update ID --display-name`"
        )
    return str(named[0]["name"]).partition("@")[0] if named else ""


def _may_register(operation: Document, path: str) -> bool:
    """Tell whether one is as `begin_registering` begins them: of no model yet."""
    kind = str(operation.get("metadata", {}).get("@type", ""))
    is_upload = kind.endswith("UploadModelOperationMetadata")
    return is_upload and str(operation["name"]).startswith(f"{path}/")


def _label(version: Document) -> str:
    return str(version.get("labels", {}).get(LABEL, ""))


def _upload_words(connection: Connection, words: str, target: Target) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / serverconfig.FILE
        file.write_text(words, encoding="iso-8859-1")
        uploading.upload(connection, file, target, lambda sent, total: None)  # noqa: ARG005  # too short to show
