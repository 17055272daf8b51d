"""Archives are divided in a bucket as on a disk, also while somebody reads them."""

import datetime as dt
import hashlib
import pathlib
import secrets
from collections.abc import Iterator

import pytest
from obstore.store import MemoryStore

from homeport.environments.build import Environments
from homeport.errors import DataLossError
from homeport.metadata import server_rows
from homeport.objects.bucket_blobs import BucketBlobs
from homeport.objects.parts import FileParts
from homeport.objects.stores import Store
from homeport.registry import blob_sweep
from homeport.registry.byte_stores import ByteStores
from homeport.registry.pieces import PiecedBlobs
from homeport.registry.splitting import Splitting
from homeport.registry.upkeep import Upkeep
from homeport.resources.bucket import ObjectRef
from homeport.resources.model import VersionSpec
from rooms import Rooms, archive

MIB = 1 << 20
DAY = dt.timedelta(days=1)


@pytest.fixture
def raw() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def bucket(raw: MemoryStore, tmp_path: pathlib.Path) -> BucketBlobs:
    return _blobs(raw, tmp_path / "receiving")


@pytest.fixture
def rooms(
    rows_url: str, tmp_path: pathlib.Path, bucket: BucketBlobs
) -> Iterator[Rooms]:
    opened = Rooms(tmp_path, rows_url, stored=bucket)
    yield opened
    opened.close()


def _blobs(raw: MemoryStore, directory: pathlib.Path) -> BucketBlobs:
    blobs = BucketBlobs(Store(raw, "s3://lab/"), directory)
    blobs.start()
    return blobs


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _registered(rooms: Rooms, *weights: bytes) -> bytes:
    """Return the bytes of an archive that is a version now."""
    files = {f"weights-{number}.bin": one for number, one in enumerate(weights)}
    content = archive(files=files)
    rooms.put("m/model.mar", content)
    ended = rooms.upload(VersionSpec("m", artifact_uri="gs://models/m"))
    assert ended.failure is None, ended.failure
    return content


def test_an_archive_in_a_bucket_is_read_from_its_pieces(rooms: Rooms) -> None:
    weights = [secrets.token_bytes(2 * MIB), secrets.token_bytes(MIB)]
    content = _registered(rooms, *weights)

    rooms.splitting.divide_all()

    there = set(rooms.stored.iterate())
    assert _digest(content) not in there
    assert {_digest(one) for one in weights} <= there
    with rooms.blobs.open(_digest(content)) as file:
        assert file.read() == content
        file.seek(MIB)
        assert file.read(3 * MIB) == content[MIB : 4 * MIB]


def test_who_reads_an_archive_while_it_is_divided_reads_it_to_its_end(
    rooms: Rooms,
) -> None:
    content = _registered(rooms, secrets.token_bytes(5 * MIB))

    with rooms.blobs.open(_digest(content)) as file:
        head = file.read(100)
        rooms.splitting.divide_all()
        rest = file.read()

    assert _digest(content) not in set(rooms.stored.iterate())
    assert head + rest == content


def test_who_reads_what_is_lost_meanwhile_is_told_so(rooms: Rooms) -> None:
    rooms.put("lost", secrets.token_bytes(5 * MIB))
    stored = rooms.buckets.get_object(ObjectRef("models", "lost"))

    with rooms.blobs.open(stored.sha256) as file:
        file.read(100)
        assert rooms.stored.delete(stored.sha256, unused_since=_now() + DAY)

        with pytest.raises(DataLossError, match=stored.sha256):
            file.read()


def test_two_servers_that_divide_one_archive_keep_it(
    rooms: Rooms, raw: MemoryStore, tmp_path: pathlib.Path
) -> None:
    content = _registered(rooms, secrets.token_bytes(3 * MIB))
    theirs = _blobs(raw, tmp_path / "theirs")
    other = Splitting(rooms.database, theirs, _now)
    with theirs.open(_digest(content)) as file:
        assert file.read(1)

    rooms.splitting.divide_all()
    other.divide_all()

    assert blob_sweep.sweep(rooms.database, theirs, _now(), grace=-DAY) == set()
    with PiecedBlobs(rooms.database, theirs).open(_digest(content)) as file:
        assert file.read() == content


def test_one_of_several_servers_divides(rooms: Rooms, bucket: BucketBlobs) -> None:
    content = _registered(rooms, secrets.token_bytes(3 * MIB))
    with rooms.database.transaction() as transaction:
        for server in ("a", "b"):
            server_rows.renew(transaction, server, dt.timedelta(hours=1))
    stored = ByteStores(bucket, FileParts(rooms.directory / "parts"), bucket)

    environments = Environments(rooms.directory / "environments")

    Upkeep(rooms.database, stored, _now, "b", environments).divide()
    after_the_second = set(bucket.iterate())
    upkeep = Upkeep(rooms.database, stored, _now, "a", environments)
    upkeep.divide()

    assert after_the_second == {_digest(content)}
    assert _digest(content) not in set(bucket.iterate())
    with upkeep.whole().blobs.open(_digest(content)) as file:
        assert file.read() == content


def test_bytes_sent_again_while_others_remove_the_whole_are_there(
    rooms: Rooms, raw: MemoryStore, tmp_path: pathlib.Path
) -> None:
    content = _registered(rooms, secrets.token_bytes(3 * MIB))
    rooms.splitting.divide_all()
    rooms.put("again", content)
    # Another server removes it, which it had begun before.
    theirs = _blobs(raw, tmp_path / "theirs")
    assert theirs.delete(_digest(content), unused_since=_now() + DAY)

    with rooms.blobs.open(_digest(content)) as file:
        assert file.read() == content
    rooms.splitting.divide_all()
    with rooms.blobs.open(_digest(content)) as file:
        assert file.read() == content
