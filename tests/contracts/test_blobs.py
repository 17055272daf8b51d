"""A blob store keeps bytes once under their sha256, whole or not at all."""

import dataclasses
import datetime as dt
import hashlib
import io
import pathlib
import random
import shutil
from collections.abc import Iterator
from concurrent import futures

import hypothesis
import pytest
from hypothesis import strategies as st

from contracts.conftest import Place
from homeport.errors import DataLossError, ResourceExhaustedError
from homeport.objects.blobs import Blobs, BlobWriter
from homeport.resources.bucket import Content

HELLO = Content(
    sha256="2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    size_bytes=5,
    crc32c=0x9A71BB4C,
    md5="5d41402abc4b2a76b9719d911017c592",
)
PAST = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
FUTURE = dt.datetime(2101, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def blobs(place: Place) -> Blobs:
    return place.blobs()


def put(blobs: Blobs, *blocks: bytes) -> Content:
    return write(blobs.begin(), *blocks).commit()


def write(writer: BlobWriter, *blocks: bytes) -> BlobWriter:
    for block in blocks:
        writer.write(block)
    return writer


def read(blobs: Blobs, sha256: str) -> bytes:
    with blobs.open(sha256) as file:
        return file.read()


def test_what_was_written_is_read_under_its_digest(blobs: Blobs) -> None:
    content = put(blobs, b"he", b"", b"llo")

    assert content == HELLO
    assert read(blobs, HELLO.sha256) == b"hello"


def test_nobody_waits_for_an_md5_that_is_not_asked_for(blobs: Blobs) -> None:
    writer = blobs.begin(md5=False)
    writer.write(b"hello")

    assert writer.commit() == dataclasses.replace(HELLO, md5="")
    assert read(blobs, HELLO.sha256) == b"hello"


def test_an_empty_blob_is_a_blob(blobs: Blobs) -> None:
    content = put(blobs)

    assert content.size_bytes == 0
    assert content.crc32c == 0
    assert read(blobs, hashlib.sha256().hexdigest()) == b""


@hypothesis.settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(blocks=st.lists(st.binary(max_size=50), max_size=5))
def test_blocks_do_not_matter(blobs: Blobs, blocks: list[bytes]) -> None:
    assert put(blobs, *blocks) == put(blobs, b"".join(blocks))


def test_the_layout_is_that_of_the_module_docstring(blobs: Blobs, place: Place) -> None:
    put(blobs, b"hello")
    write(blobs.resume("session-1"), b"half").suspend()

    assert place.kept() == ["resumable/session-1", f"sha256/2c/{HELLO.sha256}"]


def test_the_same_bytes_are_kept_once(blobs: Blobs) -> None:
    put(blobs, b"hello")
    put(blobs, b"hello")

    assert list(blobs.iterate()) == [HELLO.sha256]


def test_writing_again_heals_a_damaged_blob(blobs: Blobs, place: Place) -> None:
    put(blobs, b"hello")
    place.damage(f"sha256/2c/{HELLO.sha256}", b"jello")

    put(blobs, b"hello")

    assert read(blobs, HELLO.sha256) == b"hello"


def test_nothing_is_seen_before_the_commit_or_left_by_an_abort(
    blobs: Blobs, place: Place
) -> None:
    writer = write(blobs.begin(), b"hello")
    seen = list(blobs.iterate())
    writer.abort()
    writer.abort()

    assert seen == []
    assert place.kept() == []


def test_a_missing_blob_is_data_loss(blobs: Blobs) -> None:
    with pytest.raises(DataLossError, match=HELLO.sha256):
        blobs.open(HELLO.sha256)


def test_a_blob_stays_readable_while_it_is_deleted(blobs: Blobs) -> None:
    put(blobs, b"hello")

    with blobs.open(HELLO.sha256) as file:
        went = blobs.delete(HELLO.sha256, unused_since=FUTURE)
        left = file.read()

    assert went
    assert left == b"hello"
    assert list(blobs.iterate()) == []


def test_a_blob_written_since_is_not_deleted(blobs: Blobs) -> None:
    put(blobs, b"hello")

    assert not blobs.delete(HELLO.sha256, unused_since=PAST)
    assert read(blobs, HELLO.sha256) == b"hello"


def test_deleting_what_is_not_there_does_nothing(blobs: Blobs) -> None:
    assert not blobs.delete(HELLO.sha256, unused_since=FUTURE)


def test_a_restart_removes_what_one_request_left(blobs: Blobs, place: Place) -> None:
    writer = write(blobs.begin(), b"half")
    left = place.kept()

    place.blobs()

    assert len(left) == 1
    assert place.kept() == []
    writer.abort()


@pytest.mark.parametrize("restarts", [False, True], ids=["same process", "restarted"])
def test_an_upload_goes_on_where_it_was(
    blobs: Blobs, place: Place, *, restarts: bool
) -> None:
    write(blobs.resume("session-1"), b"he").suspend()
    if restarts:
        blobs = place.blobs()

    writer = blobs.resume("session-1")
    size_bytes = writer.size_bytes
    content = write(writer, b"llo").commit()

    assert size_bytes == 2
    assert content == HELLO
    assert read(blobs, HELLO.sha256) == b"hello"
    assert list(blobs.uploads()) == []


def test_bytes_that_reached_the_disk_before_a_crash_are_hashed(
    blobs: Blobs, place: Place
) -> None:
    write(blobs.resume("session-1"), b"he").suspend()
    with (place.directory / "resumable" / "session-1").open("ab") as file:
        file.write(b"ll")

    content = write(blobs.resume("session-1"), b"o").commit()

    assert content == HELLO


def test_unfinished_uploads_are_known_until_aborted(blobs: Blobs) -> None:
    write(blobs.resume("session-1"), b"he").suspend()
    known = list(blobs.uploads())
    blobs.resume("session-1").abort()

    assert known == ["session-1"]
    assert list(blobs.uploads()) == []


def test_only_an_upload_over_requests_is_suspended(blobs: Blobs) -> None:
    writer = blobs.begin()

    with pytest.raises(RuntimeError):
        writer.suspend()
    writer.abort()


@pytest.fixture
def full_upload(place: Place) -> Iterator[BlobWriter]:
    """The writer of an upload whose file is on a full disk."""
    if not pathlib.Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    blobs = place.blobs()
    (place.directory / "resumable" / "full").symlink_to("/dev/full")
    writer = blobs.resume("full")
    yield writer
    writer.abort()


def test_a_full_disk_is_resource_exhausted(
    full_upload: BlobWriter, place: Place
) -> None:
    with pytest.raises(ResourceExhaustedError, match="full") as caught:
        full_upload.write(b"hello")

    assert str(place.directory) not in caught.value.message


def test_starting_twice_keeps_blobs(blobs: Blobs, place: Place) -> None:
    put(blobs, b"hello")
    shutil.rmtree(place.directory / "partial")

    assert read(place.blobs(), HELLO.sha256) == b"hello"


def test_a_blob_is_measured(blobs: Blobs) -> None:
    put(blobs, b"hello")

    assert blobs.measure(HELLO.sha256) == HELLO


def test_a_blob_that_changed_is_not_measured(blobs: Blobs, place: Place) -> None:
    put(blobs, b"hello")
    place.damage(f"sha256/2c/{HELLO.sha256}", b"jello")

    with pytest.raises(DataLossError, match="have changed"):
        blobs.measure(HELLO.sha256)
    with pytest.raises(DataLossError):
        blobs.measure("0" * 64)


def test_the_disk_is_never_filled(place: Place) -> None:
    writer = place.blobs(keep_free_bytes=1 << 60).begin()

    with pytest.raises(ResourceExhaustedError, match="--keep-free-bytes"):
        writer.write(b"hello")
    writer.abort()

    assert place.kept() == []


def test_what_is_announced_and_has_no_room_is_refused_before_it_comes(
    blobs: Blobs, place: Place
) -> None:
    writer = blobs.begin()
    writer.expect(5)

    with pytest.raises(ResourceExhaustedError, match="--keep-free-bytes"):
        writer.expect(1 << 60)
    writer.write(b"hello")

    assert writer.commit() == HELLO
    assert place.kept() == [f"sha256/2c/{HELLO.sha256}"]


def test_a_long_blob_is_read_from_any_place(blobs: Blobs) -> None:
    content = random.Random(0).randbytes(20_000_001)  # noqa: S311  # test bytes
    sha256 = put(blobs, content).sha256

    with blobs.open(sha256) as file:
        size_bytes = file.seek(0, io.SEEK_END)
        file.seek(9_999_999)
        middle = file.read(2_000_003)
        file.seek(-5, io.SEEK_CUR)
        rest = file.read()
        after = file.read(1)
        file.seek(0)
        first = file.read(3)

    assert size_bytes == 20_000_001
    assert middle == content[9_999_999:12_000_002]
    assert rest == content[11_999_997:]
    assert after == b""
    assert first == content[:3]


def test_one_blob_may_be_written_by_many_at_a_time(place: Place) -> None:
    stores = [place.blobs() for _ in range(3)]

    with futures.ThreadPoolExecutor(6) as threads:
        written = list(threads.map(lambda n: put(stores[n % 3], b"hello"), range(12)))

    assert written == [HELLO] * 12
    assert read(stores[0], HELLO.sha256) == b"hello"
    assert place.kept() == [f"sha256/2c/{HELLO.sha256}"]
