"""Object stores that are not ours: one bucket, spoken to through obstore.

Requests are tried again with bounds. Credentials are obstore's affair, which reads the
variables of the environment that the tools of the store read; no message and no log
line has them.
"""

import contextlib
import datetime as dt
import json
import os
import pathlib
import urllib.parse
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple, final

import obstore
from obstore import exceptions
from obstore.store import GCSStore, ObjectStore, S3Store

from homeport.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    UnavailableError,
)
from homeport.objects import store_failures
from homeport.objects.addresses import StoreAddress, check_endpoint

_PUBLIC_GCS: Final = "https://storage.googleapis.com"
_PART_BYTES: Final = 8 << 20
_MAX_PARTS: Final = 9_000  # S3 and GCS take 10,000
_PARALLEL_PARTS: Final = 4
_PAGE: Final = 1000
_ATTEMPTS: Final = 3
_CONNECT_TIMEOUT: Final = dt.timedelta(seconds=3)
_TIMEOUT: Final = dt.timedelta(seconds=120)
_RETRY_TIMEOUT: Final = dt.timedelta(seconds=10)
_MAX_RETRIES: Final = 4


class Stat(NamedTuple):
    """What a store knows of an object.

    Attributes:
        key: Its path in the bucket, without the store's own prefix.
        size_bytes: How long it is.
        etag: Another one after each change.
        written: When, by the store's clock.
    """

    key: str
    size_bytes: int
    etag: str
    written: dt.datetime


@final
class Store:
    """A folder in one bucket; used by any number of threads.

    Args:
        raw: The bucket.
        name: How it is called in messages.
        prefix: The folder, "" or ended by "/".
    """

    def __init__(self, raw: ObjectStore, name: str, prefix: str = "") -> None:
        self._raw = raw
        self._name = name
        self._prefix = prefix

    def __str__(self) -> str:
        return self._name

    def head(self, key: str) -> Stat | None:
        """Return what is known of an object, None if there is none.

        Raises:
            UnavailableError: The store does not answer.
            PermissionDeniedError: It lets this server not in.
        """
        with store_failures.told(self, key):
            try:
                return self._stat(obstore.head(self._raw, self._prefix + key))
            except FileNotFoundError:
                return None

    def read(self, key: str, start: int, end: int, etag: str = "") -> bytes:
        """Return a range of an object's bytes; the end is excluded.

        Raises:
            NotFoundError: No such object.
            AbortedError: It is another one than that of the etag by now.
            UnavailableError: The store does not answer.
            PermissionDeniedError: It lets this server not in.
        """
        if start >= end:
            return b""
        options: obstore.GetOptions = {"range": (start, end)}
        if etag:
            options["if_match"] = etag
        for _ in range(_ATTEMPTS - 1):
            # What a connection lost in the middle of a body is asked for again.
            with contextlib.suppress(UnavailableError):
                return self._read(key, options)
        return self._read(key, options)

    def _read(self, key: str, options: "obstore.GetOptions") -> bytes:
        with store_failures.told(self, key):
            found = obstore.get(self._raw, self._prefix + key, options=options)
            return bytes(found.bytes())

    def begin(self, key: str, most_bytes: int) -> tuple[Stat, bytes] | None:
        """Return what is known of an object and its first bytes, by one request.

        None if there is none.

        Raises:
            UnavailableError: The store does not answer.
            PermissionDeniedError: It lets this server not in.
        """
        options: obstore.GetOptions = {"range": (0, most_bytes)}
        try:
            found = obstore.get(self._raw, self._prefix + key, options=options)
            return self._stat(found.meta), bytes(found.bytes())
        except FileNotFoundError:
            return None
        except exceptions.BaseError:
            # An empty object has no range; of another failure this request tells.
            stat = self.head(key)
            return stat and (stat, self.read(key, 0, min(most_bytes, stat.size_bytes)))

    def read_all(self, key: str) -> bytes:
        """Return the content of a short object.

        Raises:
            NotFoundError: No such object.
            UnavailableError: The store does not answer.
            PermissionDeniedError: It lets this server not in.
        """
        with store_failures.told(self, key):
            return bytes(obstore.get(self._raw, self._prefix + key).bytes())

    def put(self, key: str, content: bytes) -> None:
        """Write a short object.

        Raises:
            UnavailableError: The store does not answer.
            PermissionDeniedError: It lets this server not in.
        """
        with store_failures.told(self, key):
            obstore.put(self._raw, self._prefix + key, content, use_multipart=False)

    def create(self, key: str, content: bytes) -> bool:
        """Write a short object unless it is there; tell whether it was written.

        Raises:
            UnavailableError: The store does not answer.
            PermissionDeniedError: It lets this server not in.
        """
        with store_failures.told(self, key):
            path = self._prefix + key
            try:
                obstore.put(
                    self._raw, path, content, mode="create", use_multipart=False
                )
            except exceptions.AlreadyExistsError:
                return False
            return True

    def put_blocks(self, key: str, blocks: Iterator[bytes], size_bytes: int) -> None:
        """Write a new object, visible when it is whole; what blocks raise leaves none.

        Raises:
            AlreadyExistsError: There is one.
            UnavailableError: The store does not answer.
            PermissionDeniedError: It lets this server not in.
        """
        if self.head(key) is not None:
            raise AlreadyExistsError(f"{self}{key} exists already: delete it first")
        with store_failures.told(self, key):
            obstore.put(
                self._raw,
                self._prefix + key,
                blocks,
                chunk_size=_part_bytes(size_bytes),
                max_concurrency=_PARALLEL_PARTS,
            )

    def put_file(self, key: str, path: pathlib.Path) -> None:
        """Write a file as an object, visible when it is whole.

        Raises:
            UnavailableError: The store does not answer.
            PermissionDeniedError: It lets this server not in.
        """
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            with store_failures.told(self, key):
                obstore.put(
                    self._raw,
                    self._prefix + key,
                    file,
                    use_multipart=size_bytes > _PART_BYTES,
                    chunk_size=_part_bytes(size_bytes),
                    max_concurrency=_PARALLEL_PARTS,
                )

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens if there is none.

        Raises:
            UnavailableError: The store does not answer.
            PermissionDeniedError: It lets this server not in.
        """
        with store_failures.told(self, key), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._raw, self._prefix + key)

    def delete_folder(self, folder: str) -> None:
        """Remove what is in a folder and in those below it, if there is anything.

        Args:
            folder: Ended by "/".

        Raises:
            UnavailableError: The store does not answer.
            PermissionDeniedError: It lets this server not in.
        """
        keys = [stat.key for stat in self.iterate(folder)]
        for start in range(0, len(keys), _PAGE):
            some = keys[start : start + _PAGE]
            try:
                obstore.delete(self._raw, [self._prefix + key for key in some])
            except (FileNotFoundError, exceptions.BaseError):
                # Somebody else is at it too, or the store takes one key at a time.
                for key in some:
                    self.delete(key)

    def iterate(self, folder: str) -> Iterator[Stat]:
        """Yield every object in a folder and in those below it, in no order.

        Args:
            folder: "" or ended by "/".

        Raises:
            InvalidArgumentError: One has a key that no plain path can name.
            NotFoundError: No such bucket.
            UnavailableError: The store does not answer.
            PermissionDeniedError: It lets this server not in.
        """
        path = (self._prefix + folder).rstrip("/")
        with store_failures.told(self, folder):
            pages = iter(obstore.list(self._raw, path or None, chunk_size=_PAGE))
        while True:
            with store_failures.told(self, folder):
                page = next(pages, None)
            if page is None:
                return
            # An object may have the very name of the folder: a browser's placeholder.
            yield from (self._stat(one) for one in page if one["path"] != path)

    def folders(self, folder: str) -> Iterator[str]:
        """Yield the names of the folders that are right in a folder.

        Args:
            folder: "" or ended by "/".

        Raises:
            UnavailableError: The store does not answer.
            PermissionDeniedError: It lets this server not in.
        """
        path = (self._prefix + folder).rstrip("/")
        with store_failures.told(self, folder):
            found = obstore.list_with_delimiter(self._raw, path or None)
        for name in found["common_prefixes"]:
            yield name.rstrip("/").rpartition("/")[2]

    def _stat(self, meta: "obstore.ObjectMeta") -> Stat:
        key = meta["path"].removeprefix(self._prefix)
        return Stat(key, meta["size"], meta["e_tag"] or "", meta["last_modified"])


def open_store(
    address: StoreAddress, variables: Mapping[str, str], private: Collection[str]
) -> Store:
    """Return the store at an address; nothing is asked of it yet.

    Args:
        address: Where.
        variables: Those of the environment.
        private: `HOST:PORT` of endpoints that may be other than public.

    Raises:
        FailedPreconditionError: The endpoint is none that may be used, or the
            credentials cannot be read.
        InvalidArgumentError: The endpoint is no URL.
    """
    endpoint = address.reached(variables)
    if endpoint:
        check_endpoint(endpoint, private)
    try:
        raw = _raw(address, endpoint)
    except (exceptions.BaseError, ValueError, OSError):
        # What it quotes may be a key.
        raise FailedPreconditionError(
            f"the credentials or the region of {address} cannot be read: look at the "
            "variables of the environment that say them"
        ) from None
    return Store(raw, str(address), address.prefix)


def _raw(address: StoreAddress, endpoint: str) -> ObjectStore:
    client: obstore.store.ClientConfig = {
        "allow_http": urllib.parse.urlsplit(endpoint).scheme == "http",
        "connect_timeout": _CONNECT_TIMEOUT,
        "timeout": _TIMEOUT,
    }
    retry: obstore.store.RetryConfig = {
        "max_retries": _MAX_RETRIES,
        "retry_timeout": _RETRY_TIMEOUT,
    }
    if address.scheme == "gs":
        gs: obstore.store.GCSConfig = {"base_url": endpoint or _PUBLIC_GCS}
        if address.anonymous:
            gs["service_account_key"] = _nobody(endpoint or _PUBLIC_GCS)
        return GCSStore(
            address.bucket, config=gs, client_options=client, retry_config=retry
        )
    config: obstore.store.S3Config = {"skip_signature": address.anonymous}
    if endpoint:
        config["aws_endpoint_url_s3"] = endpoint
    if address.region:
        config["region"] = address.region
    return S3Store(
        address.bucket, config=config, client_options=client, retry_config=retry
    )


def _nobody(endpoint: str) -> str:
    """Return an account that signs nothing; `skip_signature` is for reads alone."""
    return json.dumps(
        {
            "gcs_base_url": endpoint,
            "disable_oauth": True,
            "client_email": "",
            "private_key": "",
            "private_key_id": "",
        }
    )


def _part_bytes(size_bytes: int) -> int:
    return max(_PART_BYTES, size_bytes // _MAX_PARTS + 1)
