"""Vertex AI and Cloud Storage, by Google's own clients with one's own credentials."""

import base64
import contextlib
import logging
import pathlib
from collections.abc import Iterator
from typing import Any, Final, final

import crc32c
from google.api_core import exceptions
from google.cloud import aiplatform

from homeport.errors import (
    AbortedError,
    FailedPreconditionError,
    HomeportError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from homeport.pipelines import credentials as environment_credentials
from homeport.pipelines import googlestorage
from homeport.pipelines.googleerrors import translated
from homeport.pipelines.place import Place
from homeport.publishing import plan
from homeport.publishing.plan import Publication

_CHUNK_BYTES: Final = 1 << 20


@final
class Vertex:
    """One project and region, and the bucket.

    Args:
        publication: What is published, and where.

    Raises:
        FailedPreconditionError: The environment sends bytes elsewhere than the service
            would look for them.
        UnauthenticatedError: The environment has no credentials.
        InvalidArgumentError: The project or region cannot be.
    """

    def __init__(self, publication: Publication) -> None:
        # It prints each step to standard output.
        logging.getLogger("google.cloud.aiplatform.models").setLevel(logging.WARNING)
        self._publication = publication
        target = publication.target
        place = Place(target.project, target.region, target.api_endpoint)
        credentials = environment_credentials.find(place)
        self._storage = googlestorage.client(place, credentials)
        with _translated("preparing Vertex AI's SDK"):
            aiplatform.init(**publication.init, credentials=credentials)

    def parent(self) -> str:
        """Return the full name of the model that gets the version, "" for a new one.

        Raises:
            NotFoundError: The one that was named is not there.
            InvalidArgumentError: Several have the display name.
        """
        wanted = self._publication.target.parent_model
        if wanted:
            return self._named(wanted)
        with _translated("listing models at Vertex AI"):
            found = aiplatform.Model.list(filter=self._publication.same_name)
        display_name = self._publication.source.display_name
        # A star in a filter stands for anything.
        names = [one.resource_name for one in found if one.display_name == display_name]
        if len(names) > 1:
            raise InvalidArgumentError(
                f"{len(names)} models at Vertex AI are called {display_name!r}: name "
                f"one with --parent-model, {', '.join(sorted(names))}"
            )
        return names[0] if names else ""

    def version(self, parent: str) -> str:
        """Return the full name of the version that is this one, "" for none."""
        if not parent:
            return ""
        with _translated(f"listing versions of {parent}"):
            registry = aiplatform.models.ModelRegistry(model=parent)
            found = registry.list_versions(filter=self._publication.same_digest)
        ids = sorted((one.version_id for one in found), key=int)
        return f"{parent}@{ids[0]}" if ids else ""

    def copy(self, folder: pathlib.Path) -> Iterator[str]:
        """Send the files, and yield each object's address when it is there.

        Args:
            folder: Where the files are.

        Raises:
            PermissionDeniedError: The bucket cannot be read or written.
            NotFoundError: There is no such bucket.
            FailedPreconditionError: An object is there with other bytes.
        """
        there = self._there()
        for path, name in self._publication.objects.items():
            address = f"gs://{self._publication.bucket}/{name}"
            if name not in there:
                self._send(folder, path, name)
            elif there[name] != _checksum(folder / path):
                raise FailedPreconditionError(
                    f"{address} is there with other bytes: remove it, or give another "
                    "folder with --bucket"
                )
            yield address

    def register(self, parent: str) -> str:
        """Register the version whose files are there; return its full name.

        Args:
            parent: From `parent`.

        Raises:
            HomeportError: The service's own refusal, and how to go on.
        """
        wanted = dict(self._publication.upload)
        if parent:
            wanted["parent_model"] = parent
        try:
            with _translated("registering the version"):
                model = aiplatform.Model.upload(**wanted)
        except HomeportError as error:
            error.message += _how_to_go_on(wanted)
            raise
        return f"{model.resource_name}@{model.version_id}"

    def _named(self, wanted: str) -> str:
        try:
            with _translated(f"looking for model {wanted}"):
                found = aiplatform.Model(model_name=wanted)
        except (NotFoundError, InvalidArgumentError) as error:
            raise type(error)(
                f"there is no model {wanted} at Vertex AI in project "
                f"{self._publication.target.project}, {self._publication.target.region}"
                ": give its id or full name with --parent-model, or leave it out for "
                "the model of the same display name"
            ) from error
        return str(found.resource_name)

    def _there(self) -> dict[str, str]:
        """Return the checksums of the objects that are there, by name."""
        if not self._publication.objects:
            return {}
        try:
            with _translated(f"listing gs://{self._publication.bucket}"):
                blobs = self._storage.list_blobs(
                    self._publication.bucket, prefix=self._publication.prefix
                )
                return {blob.name: blob.crc32c for blob in blobs}
        except NotFoundError as error:
            raise NotFoundError(
                f"there is no bucket gs://{self._publication.bucket}: make it, in the "
                "region of the model; nothing was registered"
            ) from error
        except PermissionDeniedError as error:
            raise self._forbidden(error) from error

    def _send(self, folder: pathlib.Path, path: str, name: str) -> None:
        blob = self._storage.bucket(self._publication.bucket).blob(name)
        what = f"writing gs://{self._publication.bucket}/{name}"
        try:
            with _translated(what):
                blob.upload_from_filename(**plan.upload_of(path, folder))
        except PermissionDeniedError as error:
            raise self._forbidden(error) from error
        except HomeportError as error:
            if isinstance(error.__cause__, exceptions.PreconditionFailed):
                raise AbortedError(
                    f"{what}: somebody else did: say it again"
                ) from error
            error.message += "; nothing was registered: say it again, and it goes on"
            raise

    def _forbidden(self, error: HomeportError) -> PermissionDeniedError:
        return PermissionDeniedError(
            f"gs://{self._publication.bucket} cannot be written by these credentials: "
            "give their account roles/storage.objectUser there; nothing was registered "
            f"({error.message})"
        )


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    """Raise errors of ours also for what the SDK refuses before it sends anything."""
    try:
        with translated(what):
            yield
    except (ValueError, RuntimeError) as error:
        raise InvalidArgumentError(f"{what}: {error}") from error


def _checksum(path: pathlib.Path) -> str:
    """Return a file's CRC32C as Cloud Storage writes it."""
    found = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            found = crc32c.crc32c(chunk, found)
    return base64.b64encode(found.to_bytes(4, "big")).decode()


def _how_to_go_on(wanted: dict[str, Any]) -> str:
    where = f"the files are in {wanted['artifact_uri']}, and " * (
        "artifact_uri" in wanted
    )
    return (
        f"; {where}saying it again goes on from there: it looks first whether the "
        "version is there, so wait while an operation at Vertex AI still registers it"
    )
