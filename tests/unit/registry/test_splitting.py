"""Versions share what their archives have in common, and nobody sees how it lies."""

import datetime as dt
import hashlib
import io
import itertools
import pathlib
import secrets
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from homeport.errors import DataLossError
from homeport.metadata import artifact_rows, skeleton_rows
from homeport.metadata.skeleton_rows import Kept
from homeport.objects.blobs import Blobs, BlobWriter
from homeport.registry import blob_sweep
from homeport.registry.periodic import Periodic
from homeport.registry.splitting import Splitting
from homeport.resources.bucket import Content, ObjectRef
from homeport.resources.model import VersionSpec
from homeport.resources.names import ModelName
from rooms import Rooms, archive, until

PART = 64 << 10
DAY = dt.timedelta(days=1)


def layers(last: bytes = b"\xff") -> list[bytes]:
    """Return 19 layers that stay and one that changes, 1.3 MB together."""
    return [bytes([number]) * PART for number in range(19)] + [last * PART]


def model(contents: list[bytes]) -> bytes:
    """Return a `.mar` with a stored zip of layers in it, as a torch `.pt` is one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for number, content in enumerate(contents):
            file.writestr(zipfile.ZipInfo(f"data/{number}"), content)
    return archive(files={"model.pt": buffer.getvalue()})


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def kept(rooms: Rooms) -> dict[str, int]:
    """Return the size of every blob."""
    sizes = {}
    for sha256 in rooms.stored.iterate():
        with rooms.stored.open(sha256) as file:
            sizes[sha256] = file.seek(0, io.SEEK_END)
    return sizes


def registered(rooms: Rooms, content: bytes, name: str = "m") -> str:
    """Register an archive and return its version."""
    rooms.put(f"{name}/model.mar", content)
    spec = VersionSpec(name, artifact_uri=f"gs://models/{name}")
    ended = rooms.upload(spec)
    assert ended.failure is None, ended.failure
    return ended.result["model"]


def read(rooms: Rooms, content: bytes) -> bytes:
    with rooms.blobs.open(digest(content)) as file:
        return file.read()


def path_of(rooms: Rooms, sha256: str) -> pathlib.Path:
    return rooms.directory / "blobs" / "sha256" / sha256[:2] / sha256


def flip(path: pathlib.Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def swept(rooms: Rooms) -> int:
    gone = blob_sweep.sweep(
        rooms.database, rooms.stored, _now() + DAY, grace=dt.timedelta()
    )
    return len(gone)


def test_a_stored_archive_is_kept_as_its_members_and_given_back_as_it_was(
    rooms: Rooms,
) -> None:
    content = model(layers())
    registered(rooms, content)

    rooms.splitting.divide_all()

    sizes = kept(rooms)
    assert digest(content) not in sizes
    assert {digest(layer) for layer in layers()} <= sizes.keys()
    assert sum(sizes.values()) < len(content) + 2000
    assert read(rooms, content) == content


def test_a_version_with_another_last_layer_finds_the_others_there(
    rooms: Rooms,
) -> None:
    registered(rooms, model(layers()), "one")
    rooms.splitting.divide_all()
    before = kept(rooms)
    second = model(layers(b"\xfe"))

    registered(rooms, second, "two")
    rooms.splitting.divide_all()

    added_bytes = sum(kept(rooms).values()) - sum(before.values())
    assert added_bytes < PART + 20_000
    assert read(rooms, second) == second
    assert read(rooms, model(layers())) == model(layers())


def test_pieces_that_are_there_are_not_written_again(rooms: Rooms) -> None:
    registered(rooms, model(layers()), "one")
    rooms.splitting.divide_all()
    path = path_of(rooms, digest(layers()[0]))
    made = path.stat().st_ino

    registered(rooms, model(layers(b"\xfe")), "two")
    rooms.splitting.divide_all()

    assert path.stat().st_ino == made


def deflated() -> bytes:
    buffer = io.BytesIO(archive(files={"model.pt": b""}))
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("weights.bin", secrets.token_bytes(2 * PART))
    return buffer.getvalue()


def test_another_archive_stays_one_blob_and_is_looked_into_once(rooms: Rooms) -> None:
    content = deflated()
    registered(rooms, content)

    rooms.splitting.divide_all()

    with rooms.database.snapshot() as transaction:
        found = skeleton_rows.find(transaction, digest(content))
        left = skeleton_rows.next_to_divide(transaction, after="", min_bytes=1)
    assert kept(rooms) == {digest(content): len(content)}
    assert found == Kept(None, rewritten=False)
    assert left is None


def test_ranges_of_an_object_are_those_of_its_bytes(rooms: Rooms) -> None:
    content = model(layers())
    registered(rooms, content)
    rooms.splitting.divide_all()
    middle = len(content) // 2

    stored, file = rooms.buckets.read_object(ObjectRef("models", "m/model.mar"))

    with file:
        file.seek(middle)
        assert file.read(2 * PART) == content[middle : middle + 2 * PART]
        file.seek(-100, io.SEEK_END)
        assert file.read() == content[-100:]
    assert stored.size_bytes == len(content)


def test_a_file_open_while_it_is_divided_is_read_to_its_end(rooms: Rooms) -> None:
    content = model(layers())
    registered(rooms, content)

    with rooms.blobs.open(digest(content)) as file:
        head = file.read(100)
        rooms.splitting.divide_all()
        rest = file.read()

    assert head + rest == content


def test_a_version_is_laid_out_of_its_pieces(rooms: Rooms) -> None:
    content = model(layers())
    registered(rooms, content)
    rooms.splitting.divide_all()

    staged = rooms.artifacts.stage("gs://models/m")
    directory = rooms.artifacts.lay_out(staged)

    with zipfile.ZipFile(directory / "model.pt") as file:
        assert file.read("data/7") == layers()[7]


def test_the_pieces_of_a_file_go_when_nothing_needs_it(rooms: Rooms) -> None:
    model_name = registered(rooms, model(layers()), "one")
    registered(rooms, model(layers(b"\xfe")), "two")
    rooms.splitting.divide_all()
    rooms.wait(rooms.catalog.delete_model(ModelName.parse(model_name)))
    with rooms.database.transaction() as transaction:
        artifact_rows.delete_unreferenced(transaction)
    rooms.buckets.delete_object(ObjectRef("models", "one/model.mar"))

    gone = {one.sha256 for one in blob_sweep.unused(rooms.database, rooms.stored)}
    before = kept(rooms)
    count = swept(rooms)

    assert digest(layers()[-1]) in gone
    assert digest(layers()[0]) not in gone
    assert before.keys() - kept(rooms).keys() == gone
    assert count == len(gone)
    assert read(rooms, model(layers(b"\xfe"))) == model(layers(b"\xfe"))


def test_a_sweep_of_what_is_needed_removes_nothing(rooms: Rooms) -> None:
    registered(rooms, model(layers()))
    rooms.splitting.divide_all()

    assert blob_sweep.unused(rooms.database, rooms.stored) == ()
    assert swept(rooms) == 0
    assert read(rooms, model(layers())) == model(layers())


def test_the_same_bytes_sent_again_are_kept_once(rooms: Rooms) -> None:
    content = model(layers())
    registered(rooms, content)
    rooms.splitting.divide_all()
    before = kept(rooms)

    rooms.put("again/model.mar", content)
    assert read(rooms, content) == content
    rooms.splitting.divide_all()

    assert kept(rooms) == before
    assert read(rooms, content) == content


def test_an_object_sent_again_when_its_version_is_gone_is_kept_once(
    rooms: Rooms,
) -> None:
    content = model(layers())
    name = registered(rooms, content)
    rooms.splitting.divide_all()
    before = kept(rooms)
    rooms.wait(rooms.catalog.delete_model(ModelName.parse(name)))
    with rooms.database.transaction() as transaction:
        artifact_rows.delete_unreferenced(transaction)

    rooms.put("m/model.mar", content)
    written_bytes = sum(kept(rooms).values()) - sum(before.values())
    rooms.splitting.divide_all()

    assert written_bytes == len(content)
    assert kept(rooms) == before
    assert sum(before.values()) < len(content) + 2000
    assert read(rooms, content) == content


def test_an_object_that_was_never_a_version_stays_one_blob(rooms: Rooms) -> None:
    content = model(layers())
    for _ in range(2):
        rooms.put("m/model.mar", content)

    rooms.splitting.divide_all()

    assert kept(rooms) == {digest(content): len(content)}


@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "changed"])
def test_the_same_bytes_sent_again_heal_a_damaged_piece(
    rooms: Rooms, *, is_lost: bool
) -> None:
    content = model(layers())
    registered(rooms, content)
    rooms.splitting.divide_all()
    path = path_of(rooms, digest(layers()[3]))
    if is_lost:
        path.unlink()
    else:
        flip(path)

    rooms.put("again/model.mar", content)
    rooms.splitting.divide_all()

    assert digest(content) not in kept(rooms)
    assert read(rooms, content) == content
    assert rooms.stored.measure(digest(layers()[3])).size_bytes == PART


def test_bytes_that_changed_before_they_were_divided_stay_as_they_are(
    rooms: Rooms,
) -> None:
    content = model(layers())
    registered(rooms, content)
    flip(path_of(rooms, digest(content)))

    rooms.splitting.divide_all()

    assert digest(content) in kept(rooms)
    with pytest.raises(DataLossError, match="have changed"):
        rooms.blobs.measure(digest(content))


def test_what_a_divided_file_is_measured_as_is_what_was_sent(rooms: Rooms) -> None:
    content = model(layers())
    registered(rooms, content)
    sent = rooms.buckets.get_object(ObjectRef("models", "m/model.mar")).content

    rooms.splitting.divide_all()

    assert rooms.blobs.measure(digest(content)) == sent


class Crash(BaseException):
    """The server dies here."""


class CrashingBlobs:
    """Blobs that let the server die at a moment.

    Args:
        blobs: The others.
        at: Which change of them is the last one before; it does not happen.
    """

    def __init__(self, blobs: Blobs, at: int) -> None:
        self._blobs = blobs
        self._left = at

    def begin(self, *, md5: bool = True) -> BlobWriter:
        self._count()
        return self._blobs.begin(md5=md5)

    def resume(self, upload: str) -> BlobWriter:
        return self._blobs.resume(upload)

    def open(self, sha256: str) -> BinaryIO:
        return self._blobs.open(sha256)

    def measure(self, sha256: str) -> Content:
        return self._blobs.measure(sha256)

    def delete(self, sha256: str, *, unused_since: dt.datetime) -> bool:
        self._count()
        return self._blobs.delete(sha256, unused_since=unused_since)

    def iterate(self) -> Iterator[str]:
        return self._blobs.iterate()

    def uploads(self) -> Iterator[str]:
        return self._blobs.uploads()

    def _count(self) -> None:
        if not self._left:
            raise Crash
        self._left -= 1


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(0, id="before anything"),
        pytest.param(1, id="before the first piece"),
        pytest.param(12, id="among the pieces"),
        pytest.param(21, id="before the whole goes"),
    ],
)
def test_a_crash_while_an_archive_is_divided_loses_nothing(
    rooms: Rooms, at: int
) -> None:
    content = model(layers())
    registered(rooms, content)
    crashing = CrashingBlobs(rooms.stored, at)

    with pytest.raises(Crash):
        Splitting(rooms.database, crashing, _now).divide_all()
    after_crash = read(rooms, content)
    swept(rooms)
    after_sweep = read(rooms, content)
    rooms.splitting.divide_all()

    assert after_crash == after_sweep == read(rooms, content) == content
    assert digest(content) not in kept(rooms)
    assert blob_sweep.unused(rooms.database, rooms.stored) == ()


class SweptBlobs(CrashingBlobs):
    """Blobs of which one is lost when the last that is written is there.

    Args:
        blobs: The others.
        lost: Which one.
    """

    def __init__(self, blobs: Blobs, lost: str) -> None:
        super().__init__(blobs, 1_000)
        self._lost = lost
        self._reads = 0

    def open(self, sha256: str) -> BinaryIO:
        file = super().open(sha256)
        if sha256 == self._lost:
            self._reads += 1
            if self._reads == 1:  # when it is seen that the pieces are the whole
                later = _now() + DAY
                assert super().delete(sha256, unused_since=later)
        return file


def test_a_division_that_takes_long_trusts_no_sweep_of_others(rooms: Rooms) -> None:
    content = model(layers())
    registered(rooms, content)
    times = (_now() + DAY * days for days in itertools.count())
    blobs = SweptBlobs(rooms.stored, digest(layers()[5]))

    Splitting(rooms.database, blobs, lambda: next(times)).divide_all()

    assert digest(content) in kept(rooms)
    assert read(rooms, content) == content


def test_an_archive_that_could_not_be_divided_is_tried_again(rooms: Rooms) -> None:
    content = model(layers())
    registered(rooms, content)
    whole = path_of(rooms, digest(content))
    flip(whole)
    time = [_now()]
    splitting = Splitting(rooms.database, rooms.stored, lambda: time[0])
    splitting.divide_all()

    flip(whole)
    splitting.divide_all()
    soon = digest(content) in kept(rooms)
    time[0] += dt.timedelta(hours=1)
    splitting.divide_all()

    assert soon
    assert digest(content) not in kept(rooms)
    assert read(rooms, content) == content


def test_a_server_that_stops_leaves_the_archive_whole(rooms: Rooms) -> None:
    content = model(layers())
    registered(rooms, content)

    rooms.splitting.stop()
    rooms.splitting.divide_all()

    assert kept(rooms) == {digest(content): len(content)}


def test_archives_are_divided_while_the_server_runs(rooms: Rooms) -> None:
    content = model(layers())
    registered(rooms, content)

    thread = Periodic("splitting", 0.01, rooms.splitting.divide_all)
    thread.start()
    try:
        until(lambda: digest(content) not in kept(rooms))
    finally:
        thread.stop()

    assert read(rooms, content) == content


def test_what_later_happens_in_the_bucket_changes_no_version(rooms: Rooms) -> None:
    content = model(layers())
    name = ModelName.parse(registered(rooms, content)).at("1")
    version = rooms.catalog.get(name)

    rooms.put("m/model.mar", b"something else")
    rooms.splitting.divide_all()
    rooms.buckets.delete_object(ObjectRef("models", "m/model.mar"))
    swept(rooms)

    assert rooms.catalog.get(name).artifact == version.artifact
    assert version.artifact is not None
    directory = rooms.artifacts.lay_out(version.artifact)
    with zipfile.ZipFile(directory / "model.pt") as file:
        assert file.read("data/19") == layers()[19]
