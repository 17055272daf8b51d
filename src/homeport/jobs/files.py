"""The files a job is sent to: objects of this server's buckets, and of outside stores.

Found once when a job begins; opened as they were then, or not at all. Files of this
machine are not read: another server may go on with a job.
"""

import dataclasses
import io
import itertools
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, cast

from homeport.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from homeport.objects.outside import Outside, OutsidePlace
from homeport.objects.remote_file import RemoteFile
from homeport.objects.stores import Stat, Store
from homeport.registry.buckets import Buckets
from homeport.resources.bucket import ObjectRef

# What a job reads at most.
MAX_FILES: Final = 100_000
_URI: Final = re.compile(r"gs://([^/*?\[]+)/(.+)", re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True)
class InputFile:
    """One object that is read, as it was when the job began.

    Attributes:
        bucket: Its bucket; of an outside store the folder that its owner named,
            `s3://bucket/folder/`.
        name: Its name there.
        generation: Which of the contents the name ever had; 0 in an outside store.
        etag: The same in an outside store, else "".
    """

    bucket: str
    name: str
    generation: int
    etag: str = ""

    def __str__(self) -> str:
        folder = self.bucket if self.etag else f"gs://{self.bucket}/"
        return folder + self.name


class Files:
    """Finds and opens what addresses name.

    Args:
        buckets: Those of this server.
        outside: The folders in others' that the server's owner has named.
    """

    def __init__(self, buckets: Buckets, outside: Outside) -> None:
        self._buckets = buckets
        self._outside = outside

    def check(self, uri: str) -> None:
        """Refuse an address that can lead nowhere.

        Raises:
            InvalidArgumentError: It is none.
            NotFoundError: Its bucket is not there.
            PermissionDeniedError: It is in no folder that this server may read.
        """
        if self._outside.find(uri) is None:
            self.check_bucket(_split(uri)[0])

    def check_bucket(self, bucket: str) -> None:
        """Refuse a bucket that is none of this server's.

        Raises:
            InvalidArgumentError: It is another's.
            NotFoundError: There is none of this name.
        """
        if bucket in self._outside.gs_buckets:
            raise InvalidArgumentError(
                f"gs://{bucket} is a bucket outside: jobs write into buckets of this "
                "server; name one, and copy the output from there"
            )
        self._buckets.get_bucket(bucket)

    def named(self, uri: str) -> InputFile:
        """Return the one object of this address; a `*` is a character like others.

        Raises:
            InvalidArgumentError: It is no address.
            NotFoundError: There is none.
            PermissionDeniedError: It is in no folder that this server may read.
            UnavailableError: An outside store does not answer.
        """
        place = self._outside.find(uri)
        if place is None:
            stored = self._buckets.get_object(ObjectRef(*_split(uri)))
            return InputFile(stored.bucket, stored.name, stored.generation)
        found = place.store.head(place.key) if place.key else None
        if found is None:
            raise NotFoundError(f"no such object: {place}")
        return InputFile(str(place.store), place.key, 0, found.etag)

    def matching(
        self, uri: str, given_up: Callable[[], bool] = lambda: False
    ) -> Iterator[InputFile]:
        """Yield the objects that an address names, by name where it has a `*`.

        Args:
            uri: The address.
            given_up: Whether nobody waits any more: then not all of them are.

        Raises:
            NotFoundError: An address without a `*` names none.
            UnavailableError: An outside store does not answer.
        """
        if "*" not in uri:
            yield self.named(uri)
            return
        place = self._outside.find(uri)
        if place is not None:
            yield from _matching(place, given_up)
            return
        bucket, name = _split(uri)
        pattern = _pattern(name)
        for stored in self._buckets.iter_prefix(bucket, name.partition("*")[0]):
            if given_up():
                return
            if pattern.fullmatch(stored.name):
                yield InputFile(stored.bucket, stored.name, stored.generation)

    def open(self, file: InputFile) -> tuple[BinaryIO, int]:
        """Return the bytes of an object as it was found, seekable, and how many.

        Raises:
            FailedPreconditionError: It is not what it was.
        """
        try:
            return self._open_outside(file) if file.etag else self._open_here(file)
        except NotFoundError as error:
            raise FailedPreconditionError(
                f"{file} was deleted or written again while the job read it: create "
                "the job again, and leave its input alone"
            ) from error

    def _open_here(self, file: InputFile) -> tuple[BinaryIO, int]:
        ref = ObjectRef(file.bucket, file.name, file.generation)
        stored, opened = self._buckets.read_object(ref)
        return opened, stored.size_bytes

    def _open_outside(self, file: InputFile) -> tuple[BinaryIO, int]:
        place = self._outside.find(str(file))
        stat = None if place is None else place.store.head(place.key)
        if place is None or stat is None or stat.etag != file.etag:
            raise NotFoundError(f"{file} is not what it was")
        raw = RemoteFile(place.store, stat, b"")
        return cast("BinaryIO", io.BufferedReader(raw)), stat.size_bytes


def _matching(place: OutsidePlace, given_up: Callable[[], bool]) -> Iterator[InputFile]:
    """Yield what matches in an outside store, by name; one more than may be at most."""
    store, pattern = place.store, _pattern(place.key)
    folder = place.key.partition("*")[0].rpartition("/")[0]
    listed = store.iterate(f"{folder}/" if folder else "")
    found = (
        stat
        for stat in itertools.takewhile(lambda _: not given_up(), listed)
        if pattern.fullmatch(stat.key) and _is_file(store, stat)
    )
    for stat in sorted(itertools.islice(found, MAX_FILES + 1)):
        yield InputFile(str(store), stat.key, 0, stat.etag)


def _is_file(store: Store, stat: Stat) -> bool:
    """Tell a file from the empty object `folder/` that storage browsers make.

    obstore shows that one as `folder`, which cannot be read.
    """
    return stat.size_bytes > 0 or store.head(stat.key) is not None


def _pattern(name: str) -> re.Pattern[str]:
    parts = (re.escape(part) for part in re.split(r"\*+", name))
    return re.compile(".*".join(parts), re.DOTALL)


def _split(uri: str) -> tuple[str, str]:
    match = _URI.fullmatch(uri)
    if match is None:
        raise InvalidArgumentError(
            f"{uri!r:.200} is no object of a bucket of this server: expected "
            "gs://bucket/name; copy there first what is elsewhere"
        )
    return match[1], match[2]
