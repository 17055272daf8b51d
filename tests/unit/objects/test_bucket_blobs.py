import datetime as dt
import os
import pathlib
import socket
from concurrent import futures

import obstore
import pytest
from obstore.store import LocalStore, MemoryStore

from homeport.errors import UnavailableError
from homeport.objects.addresses import StoreAddress
from homeport.objects.bucket_blobs import BucketBlobs
from homeport.objects.stores import Store, open_store

SHA256_OF_HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
KEY = f"sha256/2c/{SHA256_OF_HELLO}"


@pytest.fixture
def raw() -> MemoryStore:
    return MemoryStore()


def server(raw: MemoryStore | LocalStore, directory: pathlib.Path) -> BucketBlobs:
    blobs = BucketBlobs(Store(raw, "s3://lab/"), directory)
    blobs.start()
    return blobs


def put(blobs: BucketBlobs) -> None:
    writer = blobs.begin()
    writer.write(b"hello")
    writer.commit()


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def test_what_is_written_while_it_is_deleted_is_there(
    raw: MemoryStore, tmp_path: pathlib.Path
) -> None:
    ours, theirs = server(raw, tmp_path / "1"), server(raw, tmp_path / "2")

    with futures.ThreadPoolExecutor(2) as threads:
        for _ in range(200):
            before = now()
            written = threads.submit(put, ours)
            threads.submit(theirs.delete, SHA256_OF_HELLO, unused_since=before).result()
            written.result()
            with theirs.open(SHA256_OF_HELLO) as file:
                assert file.read() == b"hello"

    assert [one["path"] for one in obstore.list(raw, "doomed").collect()] == []


def test_the_same_bytes_are_sent_once(raw: MemoryStore, tmp_path: pathlib.Path) -> None:
    blobs = server(raw, tmp_path)
    put(blobs)
    first = obstore.head(raw, KEY)["last_modified"]

    between = now()
    put(blobs)

    assert obstore.head(raw, KEY)["last_modified"] == first
    assert not blobs.delete(SHA256_OF_HELLO, unused_since=between)


def test_a_delete_that_a_server_died_in_is_forgotten_at_a_start(
    tmp_path: pathlib.Path,
) -> None:
    raw = LocalStore(tmp_path / "bucket", mkdir=True)
    put(server(raw, tmp_path / "1"))
    for name in ("doomed", "doomed-just-now"):
        obstore.put(raw, f"doomed/{name}", b"")
    hour_ago = (now() - dt.timedelta(hours=1)).timestamp()
    os.utime(tmp_path / "bucket" / "doomed" / "doomed", (hour_ago, hour_ago))

    server(raw, tmp_path / "2")

    left = [one["path"] for one in obstore.list(raw, "doomed").collect()]
    assert left == ["doomed/doomed-just-now"]


def test_bytes_are_of_the_registry_that_came_first(
    raw: MemoryStore, tmp_path: pathlib.Path
) -> None:
    ours, theirs = server(raw, tmp_path / "1"), server(raw, tmp_path / "2")

    assert ours.claim("ours") == "ours"
    assert theirs.claim("theirs") == "ours"
    assert ours.claim("ours") == "ours"


def test_an_upload_is_kept_while_the_bucket_is_away(
    raw: MemoryStore, tmp_path: pathlib.Path
) -> None:
    server(raw, tmp_path)
    with socket.socket() as taken:  # and not listening
        taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"
        address = StoreAddress.parse(
            f"s3://lab?endpoint=http://{host}&region=us-east-1&anonymous=true"
        )
        away = BucketBlobs(open_store(address, {}, [host]), tmp_path)
        writer = away.resume("session-1")
        writer.write(b"hello")
        with pytest.raises(UnavailableError):
            writer.commit()
        writer.suspend()

    content = server(raw, tmp_path).resume("session-1").commit()

    assert content.sha256 == SHA256_OF_HELLO
    assert obstore.head(raw, KEY)["size"] == 5
