"""The stores of bytes that the contracts are for, each begun empty for each test."""

import json
import pathlib
import secrets
from collections.abc import Iterator
from typing import Protocol

import obstore
import pytest
from obstore.store import GCSStore, MemoryStore, ObjectStore, S3Store

import s3_servers
from homeport.objects.blobs import Blobs, FileBlobs
from homeport.objects.bucket_blobs import BucketBlobs
from homeport.objects.bucket_parts import BucketParts
from homeport.objects.parts import FileParts, Parts
from homeport.objects.stores import Store
from servers import Server, running

PART_OF_A_BUCKET = "of/a/bucket/"


class Place(Protocol):
    """Where a store keeps its bytes; may be begun again, as a restart does."""

    @property
    def directory(self) -> pathlib.Path:
        """Where what is being received lies."""

    def blobs(self, keep_free_bytes: int = 0) -> Blobs:
        """Return the store of blobs, started."""

    def parts(self) -> Parts:
        """Return the store of parts, started."""

    def kept(self) -> list[str]:
        """Return the names of all files and objects, in order."""

    def damage(self, name: str, content: bytes) -> None:
        """Write other bytes under a name."""


class Files:
    """A directory."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory

    def blobs(self, keep_free_bytes: int = 0) -> Blobs:
        blobs = FileBlobs(self.directory, keep_free_bytes=keep_free_bytes)
        blobs.start()
        return blobs

    def parts(self) -> Parts:
        parts = FileParts(self.directory)
        parts.start()
        return parts

    def kept(self) -> list[str]:
        return files(self.directory)

    def damage(self, name: str, content: bytes) -> None:
        path = self.directory / name
        path.chmod(0o600)
        path.write_bytes(content)


class Bucket:
    """A folder of a bucket, and a directory for what is being received."""

    def __init__(self, raw: ObjectStore, directory: pathlib.Path) -> None:
        self.directory = directory
        self._raw = raw
        self._prefix = f"{secrets.token_hex(8)}/{PART_OF_A_BUCKET}"

    def store(self) -> Store:
        return Store(self._raw, f"test://bucket/{self._prefix}", self._prefix)

    def blobs(self, keep_free_bytes: int = 0) -> Blobs:
        blobs = BucketBlobs(
            self.store(), self.directory, keep_free_bytes=keep_free_bytes
        )
        blobs.start()
        return blobs

    def parts(self) -> Parts:
        parts = BucketParts(self.store(), self.directory / "receiving")
        parts.start()
        return parts

    def kept(self) -> list[str]:
        objects = [
            stat.key
            for stat in self.store().iterate("")
            if stat.key.split("/")[0] in {"sha256", "parts", "doomed"}
        ]
        return sorted(objects + files(self.directory))

    def damage(self, name: str, content: bytes) -> None:
        obstore.put(self._raw, self._prefix + name, content)


def files(directory: pathlib.Path) -> list[str]:
    paths = (path for path in directory.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(directory)) for path in paths)


@pytest.fixture(scope="session")
def s3() -> Iterator[ObjectStore]:
    """A bucket of moto's S3."""
    with s3_servers.running() as url:
        s3_servers.create_bucket(url, "bucket")
        yield S3Store(
            "bucket",
            config={
                "access_key_id": "key",
                "secret_access_key": "secret",
                "region": "us-east-1",
                "aws_endpoint_url_s3": url,
            },
            client_options={"allow_http": True},
        )


@pytest.fixture(scope="session")
def gs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A bucket of another Homeport, as a store of GCS."""
    with running(Server(tmp_path_factory.mktemp("gcs") / "data")) as server:
        status, answer = server.call("POST", "/storage/v1/b?project=p", {"name": "bkt"})
        assert status == 200, answer
        account = {
            "gcs_base_url": server.url,
            "disable_oauth": True,
            "client_email": "",
            "private_key": "",
            "private_key_id": "",
        }
        yield GCSStore(
            "bkt",
            config={"service_account_key": json.dumps(account)},
            client_options={"allow_http": True},
        )


@pytest.fixture(params=["files", "memory", "s3", "gs"])
def place(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Place:
    directory = tmp_path / "store"
    match request.param:
        case "files":
            return Files(directory)
        case "memory":
            return Bucket(MemoryStore(), directory)
        case name:
            return Bucket(request.getfixturevalue(name), directory)
