"""What arrived of uploads that are over is freed, also while the server runs."""

import datetime as dt

import pytest

from homeport.environments.build import Environments
from homeport.errors import NotFoundError
from homeport.objects.parts import FileParts
from homeport.registry.byte_stores import ByteStores
from homeport.registry.compositions import Compositions, PartRef
from homeport.registry.object_uploads import ObjectUploads
from homeport.registry.upkeep import Upkeep
from homeport.resources.bucket import Checksums, NewObject, ObjectRef
from rooms import BUCKET, Clock, Rooms

NEW = NewObject(BUCKET, "o")
AT = ObjectRef(BUCKET, "o")
CONTENT = b"\1" * 1000


class Server:
    """What receives objects, and what tidies up behind it."""

    def __init__(self, rooms: Rooms) -> None:
        now = rooms.clock.now
        self.directory = rooms.directory
        parts = FileParts(rooms.directory / "blobs" / "parts")
        parts.start()
        stored = ByteStores(rooms.stored, parts)
        self.uploads = ObjectUploads(
            rooms.database, rooms.blobs, now, claims=stored.claims
        )
        self.compositions = Compositions(
            rooms.database, rooms.blobs, parts, now, claims=stored.claims
        )
        self.upkeep = Upkeep(
            rooms.database,
            stored,
            now,
            "me",
            Environments(rooms.directory / "environments"),
        )

    def half_sent(self) -> str:
        """Return a session of which some bytes are there."""
        session = self.uploads.open_session(NEW)
        upload = self.uploads.resume(session.id, BUCKET)
        upload.write(CONTENT)
        upload.leave()
        return session.id

    def part_sent(self) -> tuple[str, PartRef]:
        """Return an upload in parts of which one is there."""
        session = self.compositions.begin(NEW)
        part = self.compositions.begin_part(AT, session.id, 1)
        part.write(CONTENT)
        return session.id, PartRef(1, part.finish(Checksums()).sha256)

    def kept_bytes(self) -> int:
        """Return how much the uploads take on the disk."""
        folders = (self.directory / "blobs" / name for name in ("resumable", "parts"))
        files = (path for folder in folders for path in folder.rglob("*"))
        return sum(path.stat().st_size for path in files if path.is_file())


@pytest.fixture
def server(rooms: Rooms) -> Server:
    # Blobs are dated by the file system.
    rooms.clock.time = dt.datetime.now(dt.UTC)
    rooms.buckets.create_bucket(BUCKET)
    return Server(rooms)


@pytest.fixture
def clock(rooms: Rooms) -> Clock:
    return rooms.clock


def test_what_arrived_of_expired_uploads_goes_and_the_others_go_on(
    server: Server, clock: Clock
) -> None:
    server.half_sent()
    server.part_sent()
    clock.advance(days=6)
    younger = server.half_sent()
    younger_in_parts, part = server.part_sent()
    clock.advance(days=1, minutes=1)
    before_bytes = server.kept_bytes()

    server.upkeep.sweep()

    assert (before_bytes, server.kept_bytes()) == (4000, 2000)
    again = server.uploads.resume(younger, BUCKET)
    again.write(b"end")
    assert again.finish().size_bytes == 1003
    made = server.compositions.complete(AT, younger_in_parts, [part])
    assert made.size_bytes == 1000


def test_uploads_that_take_days_are_whole_whatever_is_swept_meanwhile(
    server: Server, clock: Clock, rooms: Rooms
) -> None:
    # The same bytes were there before, and nothing needs them any more.
    rooms.objects.put(NEW, [CONTENT * 3])
    rooms.buckets.delete_object(AT)
    session, (in_parts, part) = server.uploads.open_session(NEW), server.part_sent()

    for _ in range(3):
        upload = server.uploads.resume(session.id, BUCKET)
        upload.write(CONTENT)
        upload.leave()
        for _ in range(3):
            clock.advance(days=0.5)
            server.upkeep.sweep()
    server.uploads.resume(session.id, BUCKET).finish()
    server.upkeep.sweep()
    with rooms.buckets.open_object(BUCKET, "o") as file:
        whole = file.read()
    made = server.compositions.complete(AT, in_parts, [part])
    server.upkeep.sweep()

    assert whole == CONTENT * 3
    assert made.size_bytes == 1000
    with rooms.buckets.open_object(BUCKET, "o") as file:
        assert file.read() == CONTENT


def test_a_server_that_stops_leaves_what_is_over_to_the_next_one(
    server: Server, clock: Clock, rooms: Rooms
) -> None:
    server.half_sent()
    server.part_sent()
    clock.advance(days=8)
    server.upkeep.stop()

    server.upkeep.sweep()
    left_bytes = server.kept_bytes()
    Server(rooms).upkeep.sweep()

    assert left_bytes == 2000
    assert server.kept_bytes() == 0


def test_what_arrived_for_a_bucket_that_is_gone_goes(
    server: Server, rooms: Rooms
) -> None:
    server.half_sent()
    server.part_sent()
    rooms.buckets.delete_bucket(BUCKET)

    server.upkeep.sweep()

    assert server.kept_bytes() == 0


def test_an_expired_upload_that_a_request_is_writing_to_goes_after_it(
    server: Server, clock: Clock
) -> None:
    upload = server.uploads.resume(server.half_sent(), BUCKET)
    clock.advance(days=8)

    server.upkeep.sweep()
    upload.write(CONTENT)
    while_written_bytes = server.kept_bytes()
    upload.leave()
    server.upkeep.sweep()

    assert while_written_bytes == 2000
    assert server.kept_bytes() == 0


def test_a_request_that_ends_an_expired_upload_makes_no_object(
    server: Server, clock: Clock, rooms: Rooms
) -> None:
    upload = server.uploads.resume(server.half_sent(), BUCKET)
    clock.advance(days=8)

    server.upkeep.sweep()
    with pytest.raises(NotFoundError, match="start a new upload"):
        upload.finish()

    assert server.kept_bytes() == 0
    with pytest.raises(NotFoundError):
        rooms.buckets.get_object(AT)


def test_a_restarted_server_has_what_unfinished_uploads_need_alone(
    server: Server, clock: Clock, rooms: Rooms
) -> None:
    server.half_sent()
    clock.advance(days=8)
    younger = server.half_sent()

    restarted = Server(rooms)
    restarted.upkeep.sweep()

    assert list(rooms.stored.uploads()) == [younger]
    assert restarted.uploads.progress(younger, BUCKET).size_bytes == 1000
