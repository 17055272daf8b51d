"""Where artifacts come from: buckets of this server, outside stores, listed files."""

import re
from collections.abc import Iterable
from typing import Final

from homeport.errors import (
    AbortedError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from homeport.metadata import skeleton_rows
from homeport.metadata.database import Database
from homeport.objects.blobs import Blobs
from homeport.objects.file_roots import FileRoots
from homeport.objects.offers import Offer
from homeport.objects.outside import Outside
from homeport.registry.buckets import Buckets
from homeport.resources.model import ArtifactFile

_GS_URI: Final = re.compile(r"gs://([^/]+)/?(.*)", re.DOTALL)
_FILE: Final = "file:"


class Sources:
    """Reads what an artifact's address names.

    Args:
        database: Where it is noted that bytes were written anew.
        buckets: Those of this server.
        blobs: Where bytes from elsewhere are copied to.
        outside: Folders in buckets of others.
        roots: Directories of this machine.
    """

    def __init__(
        self,
        database: Database,
        buckets: Buckets,
        blobs: Blobs,
        outside: Outside,
        roots: FileRoots,
    ) -> None:
        self._database = database
        self._buckets = buckets
        self._blobs = blobs
        self._outside = outside
        self._roots = roots

    def start(self) -> None:
        """Refuse two buckets of one name, here and outside.

        Raises:
            FailedPreconditionError: There are.
        """
        for name in sorted(self._outside.gs_buckets):
            try:
                self._buckets.get_bucket(name)
            except NotFoundError:
                continue
            raise FailedPreconditionError(
                f"gs://{name} is a bucket of this server and of --outside-prefix: "
                "delete the one, or leave out the other"
            )

    def is_elsewhere(self, uri: str) -> bool:
        """Tell whether bytes have to be copied, which takes long; never raises."""
        return not uri.startswith("gs://") or (
            _GS_URI.sub(r"\1", uri) in self._outside.gs_buckets
        )

    def files(self, uri: str) -> list[ArtifactFile]:
        """Return what lies at an address at this moment; its bytes are blobs then.

        The address names a folder (every file under `uri/`) or one file. What later
        happens there changes nothing.

        Raises:
            InvalidArgumentError: It is no address that this server reads.
            PermissionDeniedError: It is none that the server's owner has named.
            NotFoundError: There is no such bucket, or nothing at that path.
            AbortedError: It changed while it was read.
            UnavailableError: An outside store does not answer.
            ResourceExhaustedError: The disk is full.
        """
        if uri.startswith(_FILE):
            return self._copied(self._roots.offers(uri))
        place = self._outside.find(uri)
        if place is not None:
            return self._copied(place.offers())
        return self._here(uri)

    def _copied(self, offers: Iterable[Offer]) -> list[ArtifactFile]:
        return [self._copy(offer) for offer in offers]

    def _copy(self, offer: Offer) -> ArtifactFile:
        writer = self._blobs.begin(md5=False)
        try:
            writer.expect(offer.size_bytes)
            for block in offer.blocks():
                writer.write(block)
            if writer.size_bytes != offer.size_bytes:
                raise AbortedError(
                    f"{offer.path} had {offer.size_bytes} bytes, and "
                    f"{writer.size_bytes} when it was read: ask again when nobody "
                    "writes it"
                )
            content = writer.commit()
        finally:
            writer.abort()
        with self._database.transaction() as transaction:
            skeleton_rows.note_written(transaction, content.sha256)
        return ArtifactFile(offer.path, content.sha256, content.size_bytes)

    def _here(self, uri: str) -> list[ArtifactFile]:
        match = _GS_URI.fullmatch(uri)
        if match is None:
            raise InvalidArgumentError(
                f"artifact_uri {uri!r}: expected gs://bucket/path; copy the files into "
                "a bucket of this server and name them there"
            )
        bucket, path = match[1], match[2].rstrip("/")
        prefix = f"{path}/" if path else ""
        files = [
            ArtifactFile(
                found.name.removeprefix(prefix), found.sha256, found.size_bytes
            )
            for found in self._buckets.iter_prefix(bucket, prefix)
            # Folder placeholders that storage browsers make.
            if not found.name.endswith("/")
        ]
        if not files and path:
            files = [
                ArtifactFile(path.rpartition("/")[2], found.sha256, found.size_bytes)
                for found in self._buckets.iter_prefix(bucket, path)
                if found.name == path
            ]
        if not files:
            raise NotFoundError(
                f"nothing is stored at {uri}: upload the archive there first"
            )
        return files
