"""Buckets, by Google's own client."""

import os
from pathlib import Path
from typing import Final

from google.api_core import exceptions
from google.auth.credentials import Credentials
from google.cloud import storage

from homeport.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from homeport.pipelines import addresses
from homeport.pipelines.credentials import shown_to
from homeport.pipelines.googleerrors import translated
from homeport.pipelines.place import Place
from homeport.pipelines.storage import uncopied

MAX_FILES: Final = 10_000
_EMULATOR: Final = "STORAGE_EMULATOR_HOST"


def client(place: Place, credentials: Credentials) -> storage.Client:
    """Return Google's client of the buckets that a service reads from.

    They are at Google, where a variable says, or at the service's own address.

    Raises:
        FailedPreconditionError: The variable leads away from where Google looks.
    """
    emulator = os.environ.get(_EMULATOR)
    if emulator and place.is_google:
        raise FailedPreconditionError(
            f"{_EMULATOR} is set, so the files would not go to Cloud Storage, "
            "where Vertex AI looks for them: unset it"
        )
    if emulator:  # Google's client looks for it itself
        return storage.Client(place.project, shown_to(emulator, credentials))
    own = {} if place.is_google else {"client_options": {"api_endpoint": place.url}}
    return storage.Client(place.project, credentials, **own)


class GoogleBuckets:
    """Files by their `gs://` addresses; bytes are checked by their checksums."""

    def __init__(self, place: Place, credentials: Credentials) -> None:
        self._client = client(place, credentials)

    def below(self, folder: str) -> dict[str, int]:
        """Return sizes in bytes by relative path, without the marks of empty folders.

        Raises:
            InvalidArgumentError: There are more than 10,000.
            HomeportError: As the store says.
        """
        bucket, name = addresses.in_bucket(folder)
        prefix = f"{name}/" if name else ""
        with translated(f"listing {folder}"):
            blobs = self._client.list_blobs(
                bucket, prefix=prefix, max_results=MAX_FILES + 1
            )
            found = {blob.name.removeprefix(prefix): int(blob.size) for blob in blobs}
        if len(found) > MAX_FILES:
            raise InvalidArgumentError(
                f"{folder} has more than {MAX_FILES:,} files: give the folder of the "
                "one model"
            )
        return {
            path: size for path, size in found.items() if path[-1:] not in ("", "/")
        }

    def exists(self, address: str) -> bool:
        """Return whether there is an object.

        Raises:
            HomeportError: As the store says.
        """
        with translated(f"looking for {address}"):
            return bool(self._blob(address).exists())

    def fetch(self, address: str, path: Path) -> None:
        """Copy an object.

        Raises:
            DataLossError: Other bytes came than it has.
            FailedPreconditionError: The disk is full, or cannot be written.
            HomeportError: As the store says.
        """
        try:
            with translated(f"reading {address}"):
                self._blob(address).download_to_filename(str(path))
        except OSError as error:
            raise uncopied(address, error) from error

    def store(self, path: Path, address: str) -> bool:
        """Copy a file; return False if there is an object of this name already.

        Raises:
            PermissionDeniedError: The bucket cannot be written to.
            HomeportError: As the store says.
        """
        try:
            with translated(f"writing {address}"):
                return self._created(path, address)
        except (NotFoundError, PermissionDeniedError) as error:
            bucket, _ = addresses.in_bucket(address)
            raise PermissionDeniedError(
                f"bucket {bucket} cannot be written to ({error.message}): let this "
                "step's account create objects in it, or give another folder as "
                "archive_path"
            ) from error

    def remove(self, address: str) -> None:
        """Remove an object; none is no mistake.

        Raises:
            HomeportError: As the store says.
        """
        try:
            with translated(f"removing {address}"):
                self._blob(address).delete()
        except NotFoundError:
            return

    def _created(self, path: Path, address: str) -> bool:
        # 0: only where none is yet.
        blob = self._blob(address)
        try:
            blob.upload_from_filename(
                str(path),
                content_type="application/octet-stream",
                if_generation_match=0,
                checksum="crc32c",
            )
        except exceptions.PreconditionFailed:
            return False
        return True

    def _blob(self, address: str) -> storage.Blob:
        bucket, name = addresses.in_bucket(address)
        return self._client.bucket(bucket).blob(name)
