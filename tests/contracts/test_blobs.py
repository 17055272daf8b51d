"""A blob store keeps bytes once under their sha256, whole or not at all."""

import datetime as dt
import hashlib
import pathlib
import shutil
from collections.abc import Iterator

import hypothesis
import pytest
from hypothesis import strategies as st

from homeport.errors import DataLossError, ResourceExhaustedError
from homeport.objects.blobs import Blobs, BlobWriter, FileBlobs
from homeport.resources.bucket import Content

HELLO = Content(
    sha256="2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    size_bytes=5,
    crc32c=0x9A71BB4C,
    md5="5d41402abc4b2a76b9719d911017c592",
)
PAST = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
FUTURE = dt.datetime(2101, 1, 1, tzinfo=dt.UTC)


def started(directory: pathlib.Path) -> FileBlobs:
    blobs = FileBlobs(directory)
    blobs.start()
    return blobs


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "blobs"


@pytest.fixture
def blobs(directory: pathlib.Path) -> Blobs:
    return started(directory)


def put(blobs: Blobs, *blocks: bytes) -> Content:
    return write(blobs.begin(), *blocks).commit()


def write(writer: BlobWriter, *blocks: bytes) -> BlobWriter:
    for block in blocks:
        writer.write(block)
    return writer


def read(blobs: Blobs, sha256: str) -> bytes:
    with blobs.open(sha256) as file:
        return file.read()


def files(directory: pathlib.Path) -> list[str]:
    paths = (path for path in directory.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(directory)) for path in paths)


def test_what_was_written_is_read_under_its_digest(blobs: Blobs) -> None:
    content = put(blobs, b"he", b"", b"llo")

    assert content == HELLO
    assert read(blobs, HELLO.sha256) == b"hello"


def test_an_empty_blob_is_a_blob(blobs: Blobs) -> None:
    content = put(blobs)

    assert content.size_bytes == 0
    assert content.crc32c == 0
    assert read(blobs, hashlib.sha256().hexdigest()) == b""


@hypothesis.settings(
    max_examples=30,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(blocks=st.lists(st.binary(max_size=50), max_size=5))
def test_blocks_do_not_matter(blobs: Blobs, blocks: list[bytes]) -> None:
    assert put(blobs, *blocks) == put(blobs, b"".join(blocks))


def test_the_layout_is_that_of_the_module_docstring(
    blobs: Blobs, directory: pathlib.Path
) -> None:
    put(blobs, b"hello")
    write(blobs.resume("session-1"), b"half").suspend()

    assert files(directory) == ["resumable/session-1", f"sha256/2c/{HELLO.sha256}"]


def test_the_same_bytes_are_kept_once(blobs: Blobs) -> None:
    put(blobs, b"hello")
    put(blobs, b"hello")

    assert list(blobs.iterate()) == [HELLO.sha256]


def test_writing_again_heals_a_damaged_blob(
    blobs: Blobs, directory: pathlib.Path
) -> None:
    put(blobs, b"hello")
    path = directory / "sha256" / "2c" / HELLO.sha256
    path.chmod(0o644)
    path.write_bytes(b"jello")

    put(blobs, b"hello")

    assert read(blobs, HELLO.sha256) == b"hello"


def test_nothing_is_seen_before_the_commit_or_left_by_an_abort(
    blobs: Blobs, directory: pathlib.Path
) -> None:
    writer = write(blobs.begin(), b"hello")
    seen = list(blobs.iterate())
    writer.abort()
    writer.abort()

    assert seen == []
    assert files(directory) == []


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


def test_a_restart_removes_what_one_request_left(
    blobs: Blobs, directory: pathlib.Path
) -> None:
    writer = write(blobs.begin(), b"half")
    left = files(directory)

    started(directory)

    assert len(left) == 1
    assert files(directory) == []
    writer.abort()


@pytest.mark.parametrize("restarts", [False, True], ids=["same process", "restarted"])
def test_an_upload_goes_on_where_it_was(
    blobs: Blobs, directory: pathlib.Path, *, restarts: bool
) -> None:
    write(blobs.resume("session-1"), b"he").suspend()
    if restarts:
        blobs = started(directory)

    writer = blobs.resume("session-1")
    size_bytes = writer.size_bytes
    content = write(writer, b"llo").commit()

    assert size_bytes == 2
    assert content == HELLO
    assert read(blobs, HELLO.sha256) == b"hello"
    assert list(blobs.uploads()) == []


def test_bytes_that_reached_the_disk_before_a_crash_are_hashed(
    blobs: Blobs, directory: pathlib.Path
) -> None:
    write(blobs.resume("session-1"), b"he").suspend()
    with (directory / "resumable" / "session-1").open("ab") as file:
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
def full_upload(directory: pathlib.Path) -> Iterator[BlobWriter]:
    """The writer of an upload whose file is on a full disk."""
    if not pathlib.Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    blobs = started(directory)
    (directory / "resumable" / "full").symlink_to("/dev/full")
    writer = blobs.resume("full")
    yield writer
    writer.abort()


def test_a_full_disk_is_resource_exhausted(
    full_upload: BlobWriter, directory: pathlib.Path
) -> None:
    with pytest.raises(ResourceExhaustedError, match="full") as caught:
        full_upload.write(b"hello")

    assert str(directory) not in caught.value.message


def test_starting_twice_keeps_blobs(blobs: Blobs, directory: pathlib.Path) -> None:
    put(blobs, b"hello")
    shutil.rmtree(directory / "partial")

    assert read(started(directory), HELLO.sha256) == b"hello"


def test_a_blob_is_measured(blobs: Blobs) -> None:
    put(blobs, b"hello")

    assert blobs.measure(HELLO.sha256) == HELLO


def test_a_blob_that_changed_is_not_measured(
    blobs: Blobs, directory: pathlib.Path
) -> None:
    put(blobs, b"hello")
    (blob,) = (path for path in directory.rglob("*") if path.is_file())
    blob.chmod(0o600)
    blob.write_bytes(b"jello")

    with pytest.raises(DataLossError, match="have changed"):
        blobs.measure(HELLO.sha256)
    with pytest.raises(DataLossError):
        blobs.measure("0" * 64)


def test_the_disk_is_never_filled(directory: pathlib.Path) -> None:
    blobs = FileBlobs(directory, keep_free_bytes=1 << 60)
    blobs.start()
    writer = blobs.begin()

    with pytest.raises(ResourceExhaustedError, match="--keep-free-bytes"):
        writer.write(b"hello")
    writer.abort()

    assert files(directory) == []
