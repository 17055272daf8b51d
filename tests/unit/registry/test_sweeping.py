"""A server that runs removes unused bytes, and none that somebody is about to need."""

import datetime as dt
import hashlib

from homeport.objects.blobs import Blobs
from homeport.registry.blob_sweep import Sweeper
from homeport.resources.bucket import ObjectRef
from homeport.resources.model import VersionSpec
from homeport.resources.names import ModelName
from homeport.resources.operation import OperationKind
from rooms import PARENT, Rooms, archive
from watched_blobs import WatchedBlobs

HOUR = dt.timedelta(hours=1)
WEIGHTS = b"\1" * (64 << 10)


class Hourly:
    """A sweeper that looks once an hour, from now on."""

    def __init__(self, rooms: Rooms, stored: Blobs | None = None) -> None:
        self._time = dt.datetime.now(dt.UTC)
        self._sweeper = Sweeper(rooms.database, stored or rooms.stored, self._next)

    def _next(self) -> dt.datetime:
        self._time += HOUR
        return self._time

    def look(self) -> int:
        return self._sweeper.look()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def deleted(rooms: Rooms) -> None:
    rooms.put("greeting", b"hello")
    rooms.buckets.delete_object(ObjectRef("models", "greeting"))


def test_what_two_looks_find_unused_goes(rooms: Rooms) -> None:
    rooms.put("kept", b"kept")
    deleted(rooms)
    hourly = Hourly(rooms)

    counts = [hourly.look() for _ in range(3)]

    assert counts == [0, 1, 0]
    assert list(rooms.stored.iterate()) == [digest(b"kept")]


def test_what_is_needed_again_before_the_second_look_stays(rooms: Rooms) -> None:
    deleted(rooms)
    hourly = Hourly(rooms)

    hourly.look()
    rooms.put("again", b"hello")

    assert hourly.look() == 0
    assert list(rooms.stored.iterate()) == [digest(b"hello")]


def test_an_operation_that_began_before_holds_the_sweep_up(rooms: Rooms) -> None:
    rooms.put("a/model.mar", archive())
    rooms.artifacts.stage("gs://models/a")
    with rooms.database.transaction() as transaction:
        operation = rooms.operations.promise(
            transaction, OperationKind.UPLOAD_MODEL, PARENT
        )
    rooms.buckets.delete_object(ObjectRef("models", "a/model.mar"))
    hourly = Hourly(rooms)

    while_it_works = [hourly.look() for _ in range(3)]
    with rooms.database.transaction() as transaction:
        rooms.operations.fulfil(transaction, operation, {})
    after = hourly.look()

    assert while_it_works == [0, 0, 0]
    assert after == 1


def test_an_operation_that_began_during_the_look_holds_the_sweep_up(
    rooms: Rooms,
) -> None:
    rooms.put("a/model.mar", archive())
    # Its server has another clock.
    rooms.clock.advance(days=365)

    def begin_and_delete() -> None:
        with rooms.database.transaction() as transaction:
            rooms.operations.promise(transaction, OperationKind.UPLOAD_MODEL, PARENT)
        rooms.artifacts.stage("gs://models/a")
        rooms.buckets.delete_object(ObjectRef("models", "a/model.mar"))

    happens = iter([begin_and_delete])
    stored = WatchedBlobs(rooms.stored, lambda: [one() for one in happens])
    hourly = Hourly(rooms, stored)

    while_it_works = [hourly.look() for _ in range(3)]

    assert while_it_works == [0, 0, 0]


def test_a_sweep_gives_up_when_the_server_stops(rooms: Rooms) -> None:
    for number in range(30):
        rooms.put(f"o{number}", b"%d" % number)
        rooms.buckets.delete_object(ObjectRef("models", f"o{number}"))
    now = dt.datetime.now(dt.UTC)
    sweeper = Sweeper(rooms.database, rooms.stored, lambda: now + HOUR)
    sweeper.look()

    sweeper.stop()

    assert sweeper.look() == 0
    assert len(list(rooms.stored.iterate())) == 30


def test_what_another_clock_has_dated_is_let_be_for_longer(rooms: Rooms) -> None:
    deleted(rooms)
    times = iter(dt.datetime.now(dt.UTC) + HOUR * hours for hours in (1, 2, 30, 31))
    sweeper = Sweeper(
        rooms.database, rooms.stored, lambda: next(times), grace=24 * HOUR
    )

    counts = [sweeper.look() for _ in range(4)]

    assert counts == [0, 0, 0, 1]


def test_the_pieces_of_an_archive_go_after_its_row(rooms: Rooms) -> None:
    content = archive(files={"weights.bin": WEIGHTS})
    name = _registered(rooms, content)
    rooms.splitting.divide_all()
    hourly = Hourly(rooms)
    needed = [hourly.look() for _ in range(2)]
    rooms.catalog.delete_model(ModelName.parse(name))
    rooms.buckets.delete_object(ObjectRef("models", "first/model.mar"))

    counts = [hourly.look() for _ in range(2)]

    assert needed == [0, 0]
    assert counts == [0, 2]
    assert list(rooms.stored.iterate()) == []


def test_an_archive_sent_again_between_two_looks_is_whole(rooms: Rooms) -> None:
    content = archive(files={"weights.bin": WEIGHTS})
    name = _registered(rooms, content)
    rooms.splitting.divide_all()
    rooms.catalog.delete_model(ModelName.parse(name))
    rooms.buckets.delete_object(ObjectRef("models", "first/model.mar"))
    hourly = Hourly(rooms)

    hourly.look()
    rooms.put("again", content)
    for _ in range(3):
        hourly.look()

    with rooms.blobs.open(digest(content)) as file:
        assert file.read() == content


def _registered(rooms: Rooms, content: bytes) -> str:
    rooms.put("first/model.mar", content)
    ended = rooms.upload(VersionSpec("m", artifact_uri="gs://models/first"))
    assert ended.failure is None, ended.failure
    return ended.result["model"]
