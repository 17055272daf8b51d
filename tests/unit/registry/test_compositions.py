"""An upload in parts becomes one object, whichever servers are asked and when."""

import pathlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pytest
from obstore.store import MemoryStore

from homeport.errors import InvalidArgumentError, NotFoundError
from homeport.objects.blobs import BlobWriter
from homeport.objects.bucket_parts import BucketParts
from homeport.objects.parts import Parts
from homeport.objects.stores import Store
from homeport.registry.compositions import Compositions, PartRef
from homeport.resources.bucket import (
    NO_CONDITIONS,
    Checksums,
    Conditions,
    KeptPart,
    NewObject,
    ObjectQuery,
    ObjectRef,
)
from rooms import BUCKET, Rooms

AT = ObjectRef(BUCKET, "parted")
MIB = 1 << 20


class WatchedParts:
    """Parts beside which something happens when one of them is opened.

    Args:
        parts: The others.
        on_open: What is done, given the part's number, before it is opened.
    """

    def __init__(self, parts: Parts, on_open: Callable[[int], object]) -> None:
        self._parts = parts
        self._on_open = on_open

    def begin(self, upload: str, number: int) -> BlobWriter:
        return self._parts.begin(upload, number)

    def open(self, upload: str, number: int, sha256: str) -> BinaryIO:
        self._on_open(number)
        return self._parts.open(upload, number, sha256)

    def iterate(self, upload: str) -> Iterator[KeptPart]:
        return self._parts.iterate(upload)

    def discard(self, upload: str) -> None:
        self._parts.discard(upload)

    def uploads(self) -> Iterator[str]:
        return self._parts.uploads()


@pytest.fixture
def parts(tmp_path: pathlib.Path) -> BucketParts:
    kept = BucketParts(Store(MemoryStore(), "s3://lab/"), tmp_path / "receiving")
    kept.start()
    return kept


def server(rooms: Rooms, parts: Parts) -> Compositions:
    return Compositions(rooms.database, rooms.blobs, parts, rooms.clock.now)


def begun(
    at: Compositions, conditions: Conditions = NO_CONDITIONS
) -> tuple[str, list[PartRef]]:
    """Return a new upload, whose two parts are there."""
    session = at.begin(NewObject(BUCKET, AT.name, conditions=conditions))
    put = []
    for number, content in ((1, b"\1" * 3 * MIB), (2, b"\2" * 3 * MIB)):
        upload = at.begin_part(AT, session.id, number)
        upload.write(content)
        put.append(PartRef(number, upload.finish(Checksums()).sha256))
    return session.id, put


@pytest.mark.parametrize(
    "conditions",
    [
        pytest.param(NO_CONDITIONS, id="whatever is there"),
        pytest.param(Conditions(generation_match=0), id="if nothing is there"),
    ],
)
@pytest.mark.parametrize("opening", [1, 2])
def test_two_servers_that_complete_an_upload_at_once_make_one_object(
    rooms: Rooms, parts: BucketParts, opening: int, conditions: Conditions
) -> None:
    rooms.buckets.create_bucket(BUCKET)
    first = server(rooms, parts)
    upload, put = begun(first, conditions)
    made = []

    def overtake(number: int) -> None:
        if number == opening:
            made.append(first.complete(AT, upload, put))

    made.append(server(rooms, WatchedParts(parts, overtake)).complete(AT, upload, put))

    assert made[0] == made[1]
    assert rooms.buckets.list_objects(ObjectQuery(BUCKET)).objects == (made[0],)
    with rooms.buckets.open_object(BUCKET, AT.name) as file:
        assert file.read() == b"\1" * 3 * MIB + b"\2" * 3 * MIB
    assert list(parts.uploads()) == []


def test_an_object_deleted_while_another_server_completes_it_stays_deleted(
    rooms: Rooms, parts: BucketParts
) -> None:
    rooms.buckets.create_bucket(BUCKET)
    first = server(rooms, parts)
    upload, put = begun(first)

    def overtake(number: int) -> None:
        if number == 1:
            first.complete(AT, upload, put)
            rooms.buckets.delete_object(AT)

    with pytest.raises(NotFoundError, match="replaced or deleted"):
        server(rooms, WatchedParts(parts, overtake)).complete(AT, upload, put)

    assert rooms.buckets.list_objects(ObjectQuery(BUCKET)).objects == ()


def test_an_upload_aborted_while_another_server_completes_it_is_no_object(
    rooms: Rooms, parts: BucketParts
) -> None:
    rooms.buckets.create_bucket(BUCKET)
    first = server(rooms, parts)
    upload, put = begun(first)

    def abort(number: int) -> None:
        if number == 2:
            first.abort(AT, upload)

    with pytest.raises(NotFoundError, match="aborted"):
        server(rooms, WatchedParts(parts, abort)).complete(AT, upload, put)

    assert rooms.buckets.list_objects(ObjectQuery(BUCKET)).objects == ()
    assert list(parts.uploads()) == []


def test_a_part_that_is_missing_is_said_where_nobody_else_completes(
    rooms: Rooms, parts: BucketParts
) -> None:
    rooms.buckets.create_bucket(BUCKET)
    first = server(rooms, parts)
    upload, put = begun(first)

    with pytest.raises(InvalidArgumentError, match="part 3 has not been uploaded"):
        first.complete(AT, upload, [*put, PartRef(3, "0" * 64)])

    assert first.complete(AT, upload, put).size_bytes == 6 * MIB
