"""What `homeport storage cp` copies where.

A target that ends with "/", is a bucket alone or a folder that is there takes the
sources under their own names; any other is itself the new name, also of a folder.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

from homeport.client import buckets
from homeport.client.connection import Connection
from homeport.client.objects import parse_uri
from homeport.errors import InvalidArgumentError

# A place in a bucket (bucket, name), or a file.
Place: TypeAlias = tuple[str, str] | Path
_SCHEME: Final = "gs://"


@dataclasses.dataclass(frozen=True, slots=True)
class Copy:
    """One file or object and where it goes."""

    source: Place
    target: Place


def is_remote(text: str) -> bool:
    """Return whether a word is an address in a bucket."""
    return text.startswith(_SCHEME)


def shown(place: Place) -> str:
    """Return a place as people write it."""
    return str(place) if isinstance(place, Path) else f"{_SCHEME}{place[0]}/{place[1]}"


def planned(
    connection: Connection, sources: tuple[str, ...], target: str, *, deep: bool
) -> list[Copy]:
    """Return every single copy that a command means.

    Args:
        connection: The server.
        sources: Files, folders, addresses, patterns of addresses.
        target: Where to.
        deep: Whether folders are copied with what is below them.

    Raises:
        InvalidArgumentError: Two copies would have one target, or it makes no sense.
        NotFoundError: A source is not there.
    """
    into = len(sources) > 1 or _is_folder(target) or buckets.is_pattern(sources[0])
    if not is_remote(target) and not all(map(is_remote, sources)):
        raise InvalidArgumentError(
            "neither source nor target are in a bucket: give a gs:// address"
        )
    copies: dict[str, Copy] = {}
    for source in sources:
        for place, below in _found(connection, source, deep=deep):
            one = Copy(place, _below(target, below, into=into))
            if shown(one.target) in copies:
                raise InvalidArgumentError(
                    f"two sources would become {shown(one.target)}: copy them apart"
                )
            copies[shown(one.target)] = one
    return list(copies.values())


def _found(
    connection: Connection, source: str, *, deep: bool
) -> Iterator[tuple[Place, tuple[str, str]]]:
    """Yield what a source means, each with its folder's name and its path in there."""
    if not is_remote(source):
        yield from _files(Path(source), deep=deep)
        return
    bucket, name = parse_uri(source)
    if deep:
        prefix = f"{name.rstrip('/')}/" if name else ""
        folder = name.rstrip("/").rpartition("/")[2] or bucket
        below = list(buckets.entries(connection, bucket, prefix, deep=True))
        for one in below:
            if not one.name.endswith("/"):
                yield (bucket, one.name), (folder, one.name.removeprefix(prefix))
        if below:
            return
    if not name or name.endswith("/"):
        raise InvalidArgumentError(
            f"{source} is no object: say --recursive to copy what is below it"
            if not deep
            else f"there is nothing below {source}"
        )
    for one in buckets.matching(connection, bucket, name):
        yield (bucket, one.name), (one.name.rpartition("/")[2], "")


def _files(source: Path, *, deep: bool) -> Iterator[tuple[Place, tuple[str, str]]]:
    if source.is_file():
        yield source, (source.name, "")
        return
    if not source.is_dir():
        raise InvalidArgumentError(f"{source} is not there: give a file or a folder")
    if not deep:
        raise InvalidArgumentError(f"{source} is a folder: say --recursive to copy it")
    files = sorted(one for one in source.rglob("*") if one.is_file())
    if not files:
        raise InvalidArgumentError(f"{source} has no files")
    for file in files:
        yield file, (source.resolve().name, file.relative_to(source).as_posix())


def _below(target: str, below: tuple[str, str], *, into: bool) -> Place:
    """Return where something goes: its own name, or its folder's and its path."""
    own, path = below
    tail = "/".join(part for part in (own if into else "", path) if part)
    if is_remote(target):
        bucket, name = parse_uri(target)
        joined = "/".join(part for part in (name.rstrip("/"), tail) if part)
        return bucket, joined
    folder = Path(target)
    file = folder / tail if tail else folder
    if not file.resolve().is_relative_to(folder.resolve()):
        raise InvalidArgumentError(f"{tail!r} would be written outside of {target}")
    return file


def _is_folder(target: str) -> bool:
    if is_remote(target):
        _, name = parse_uri(target)
        return not name or name.endswith("/")
    return target.endswith("/") or Path(target).is_dir()
