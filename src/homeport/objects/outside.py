"""Folders in buckets of others, of which artifacts are read and to which they go."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, final

from homeport.errors import AbortedError, NotFoundError, PermissionDeniedError
from homeport.objects.addresses import StoreAddress, check_key
from homeport.objects.offers import Offer, check_count
from homeport.objects.stores import Stat, Store

_READ_BYTES: Final = 8 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class OutsidePlace:
    """A path in a bucket of others.

    Attributes:
        store: The folder that the server's owner named.
        key: The path below it, "" for all of it.
    """

    store: Store
    key: str

    def __str__(self) -> str:
        return f"{self.store}{self.key}"

    def below(self, path: str) -> "OutsidePlace":
        """Return a path below this one."""
        return OutsidePlace(self.store, f"{self.key}/{path}" if self.key else path)

    def offers(self) -> list[Offer]:
        """Return what lies there: a folder's files by path, else the one object.

        Raises:
            InvalidArgumentError: There are too many files, or one has a key that no
                plain path can name.
            NotFoundError: No such bucket, or nothing at that path.
            UnavailableError: The store does not answer.
            PermissionDeniedError: It lets this server not in.
        """
        folder = f"{self.key}/" if self.key else ""
        found: list[Stat] = []
        for stat in self.store.iterate(folder):
            found.append(stat)
            check_count(len(found), str(self))
        files = [stat for stat in found if self._is_file(stat, found)]
        if not files and self.key:
            only = self.store.head(self.key)
            folder = self.key.rpartition("/")[0] + "/" if "/" in self.key else ""
            files = [] if only is None else [only]
        if not files:
            raise NotFoundError(
                f"nothing is stored at {self}: upload the archive there first"
            )
        return [
            Offer(
                stat.key.removeprefix(folder),
                stat.size_bytes,
                functools.partial(self._blocks, stat),
            )
            for stat in sorted(files)
        ]

    def write(self, files: Iterable[Offer]) -> None:
        """Write new objects below this path: all of them, or none is left.

        Raises:
            AlreadyExistsError: One of them is there already.
            UnavailableError: The store does not answer.
            PermissionDeniedError: It lets this server not in.
        """
        folder = f"{self.key}/" if self.key else ""
        written: list[str] = []
        try:
            for file in files:
                key = folder + file.path
                check_key(key, of=key)
                self.store.put_blocks(key, file.blocks(), file.size_bytes)
                written.append(key)
        except BaseException:
            for key in written:
                # The failure that is being told matters more.
                with contextlib.suppress(Exception):
                    self.store.delete(key)
            raise

    def _is_file(self, stat: Stat, among: Sequence[Stat]) -> bool:
        """Tell a file from the empty object `folder/` that storage browsers make.

        obstore shows that one as `folder`, which cannot be read.
        """
        if stat.size_bytes:
            return True
        beneath = any(one.key.startswith(f"{stat.key}/") for one in among)
        return not beneath and self.store.head(stat.key) is not None

    def _blocks(self, stat: Stat) -> Iterator[bytes]:
        for start in range(0, stat.size_bytes, _READ_BYTES):
            end = min(start + _READ_BYTES, stat.size_bytes)
            block = self.store.read(stat.key, start, end, stat.etag)
            if len(block) != end - start:
                raise AbortedError(
                    f"{self.store}{stat.key} has changed while it was read: ask again "
                    "when nobody writes it"
                )
            yield block


@final
class Outside:
    """The folders that the server's owner has named, and nothing else.

    Args:
        stores: Address -> store.
    """

    def __init__(self, stores: Mapping[StoreAddress, Store]) -> None:
        # A folder in a folder has stores of its own: the longest is meant.
        self._stores = sorted(stores.items(), key=lambda one: -len(str(one[0])))

    @property
    def gs_buckets(self) -> frozenset[str]:
        """The names of `gs://` buckets that are others' and not this server's."""
        return frozenset(one.bucket for one, _ in self._stores if one.scheme == "gs")

    def find(self, uri: str) -> OutsidePlace | None:
        """Return what a URI names, None for a `gs://` bucket of this server.

        Raises:
            InvalidArgumentError: It has a path that no store takes.
            PermissionDeniedError: It is in none of the folders.
        """
        for address, store in self._stores:
            key = address.key_of(uri)
            if key is not None:
                check_key(key, of=uri)
                return OutsidePlace(store, key)
        bucket = uri.removeprefix("gs://").partition("/")[0]
        if uri.startswith("s3://") or bucket in self.gs_buckets:
            raise PermissionDeniedError(
                f"{uri!r} is in no folder that this server may use: its owner names "
                "those with --outside-prefix"
            )
        return None
