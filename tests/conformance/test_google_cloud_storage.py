"""google-cloud-storage works unmodified: STORAGE_EMULATOR_HOST is all it is told."""

import io
import pathlib
import random
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import google.api_core.exceptions
import google.auth.credentials
import google.cloud.storage
import pytest
import requests
import requests.adapters
import uvicorn
from google.cloud.storage import transfer_manager

import storage_surface
from homeport.metadata.database import Database
from homeport.objects.blobs import FileBlobs

MIB = 1 << 20


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a storage surface."""
    directory = tmp_path_factory.mktemp("storage")
    database = Database(f"sqlite:///{directory / 'rows.sqlite'}")
    database.upgrade()
    blobs = FileBlobs(directory / "blobs")
    blobs.start()

    app = storage_surface.application(database, blobs, directory / "parts")
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        deadline = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            threading.Event().wait(0.01)
        yield "http://{}:{}".format(*listener.getsockname())
        server.should_exit = True
        thread.join(timeout=10)
    database.close()


@pytest.fixture
def client(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    client = google.cloud.storage.Client(
        project="p", credentials=google.auth.credentials.AnonymousCredentials()
    )
    yield client
    client.close()


@pytest.fixture
def bucket(client: Any) -> Any:
    digits = "".join(random.choices("0123456789", k=12))  # noqa: S311  # a name
    bucket = client.create_bucket(f"bucket-{digits}")
    yield bucket
    bucket.delete(force=True)


def content_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)  # noqa: S311  # test bytes


def names(blobs: Any) -> list[str]:
    return [blob.name for blob in blobs]


def test_buckets_are_made_found_listed_and_deleted(client: Any) -> None:
    made = client.create_bucket("life-of-a-bucket", location="europe-west4")

    assert client.get_bucket("life-of-a-bucket").location == "EUROPE-WEST4"
    assert client.lookup_bucket("no-such-bucket") is None
    assert names(client.list_buckets(prefix="life")) == ["life-of-a-bucket"]
    assert made.exists()
    with pytest.raises(google.api_core.exceptions.Conflict):
        client.create_bucket("life-of-a-bucket")
    made.labels = {"team": "vision"}
    made.patch()
    assert client.get_bucket("life-of-a-bucket").labels == {"team": "vision"}
    made.delete()
    assert not made.exists()


def test_a_bucket_with_objects_is_not_deleted(bucket: Any) -> None:
    bucket.blob("a").upload_from_string("a")

    with pytest.raises(google.api_core.exceptions.Conflict):
        bucket.delete()


@pytest.mark.parametrize(
    "name",
    [
        "model.mar",
        "vertex_ai_auto_staging/2026-11-20-23:46:12.567/model.joblib",
        "a b@c+d&e=f?g#h",
        "größe/模型/🚢.pt",
        "percent%2Fslash%20",
        "/leading//double/",
        "with/copyTo/b/other/o/name",
    ],
)
def test_a_small_object_keeps_its_name_and_bytes(bucket: Any, name: str) -> None:
    blob = bucket.blob(name)

    blob.upload_from_string(b"weights", content_type="application/x-mar")

    assert names(bucket.list_blobs()) == [name]
    assert blob.download_as_bytes() == b"weights"
    found = bucket.get_blob(name)
    assert (found.name, found.size) == (name, 7)
    assert found.content_type == "application/x-mar"
    assert found.crc32c == blob.crc32c
    assert blob.exists()
    assert not bucket.blob(f"{name}-not").exists()
    blob.delete()
    assert not blob.exists()
    with pytest.raises(google.api_core.exceptions.NotFound):
        blob.delete()


def test_an_empty_object(bucket: Any) -> None:
    bucket.blob("empty").upload_from_string(b"")
    bucket.blob("empty-resumable", chunk_size=MIB).upload_from_file(io.BytesIO(b""))

    assert bucket.blob("empty").download_as_bytes() == b""
    assert bucket.blob("empty-resumable").download_as_bytes() == b""


@pytest.mark.parametrize("checksum", ["auto", "md5", "crc32c", None])
def test_a_large_object_comes_in_chunks(
    bucket: Any, tmp_path: pathlib.Path, checksum: str | None
) -> None:
    content = content_of(20 * MIB + 12345)
    blob = bucket.blob("large", chunk_size=4 * MIB)

    blob.upload_from_file(io.BytesIO(content), size=len(content), checksum=checksum)
    bucket.blob("large").download_to_filename(tmp_path / "large", checksum=checksum)

    assert (tmp_path / "large").read_bytes() == content


def test_a_stream_of_unknown_length(bucket: Any) -> None:
    content = content_of(2 * MIB + 5)

    with bucket.blob("stream").open("wb", chunk_size=MIB) as file:
        file.write(content)

    with bucket.blob("stream").open("rb") as file:
        assert file.read() == content


def test_a_large_object_in_one_request(bucket: Any) -> None:
    content = content_of(9 * MIB)

    bucket.blob("one-put").upload_from_file(io.BytesIO(content), size=len(content))

    assert bucket.blob("one-put").download_as_bytes() == content


class FailingAdapter(requests.adapters.HTTPAdapter):
    """Breaks the second chunk of an upload in its middle, once."""

    def __init__(self) -> None:
        super().__init__()
        self.puts = 0

    def send(self, request: requests.PreparedRequest, **options: Any) -> Any:  # type: ignore[override]  # options of requests
        if request.method == "PUT" and request.body:
            self.puts += 1
            if self.puts == 2:
                assert isinstance(request.body, bytes)
                half = request.body[: 3 * MIB // 2]
                request.body = broken(half)  # type: ignore[assignment]  # streamed
        return super().send(request, **options)


def broken(half: bytes) -> Iterator[bytes]:
    yield half
    raise requests.ConnectionError("the cable was pulled")


def test_an_interrupted_upload_goes_on(bucket: Any, client: Any) -> None:
    content = content_of(9 * MIB)
    adapter = FailingAdapter()
    client._http.mount("http://", adapter)  # noqa: SLF001  # no public way

    bucket.blob("resumed", chunk_size=2 * MIB).upload_from_file(
        io.BytesIO(content), size=len(content)
    )

    assert adapter.puts > 5
    assert bucket.blob("resumed").download_as_bytes() == content


def test_ranges_and_generations(bucket: Any) -> None:
    blob = bucket.blob("a")
    blob.upload_from_string(b"0123456789")
    first = blob.generation
    bucket.blob("a").upload_from_string(b"new")

    new = bucket.blob("a")
    assert new.download_as_bytes(start=1, end=1) == b"e"
    assert new.download_as_bytes(start=1) == b"ew"
    assert bucket.blob("a", generation=new.generation).download_as_bytes() == b"new"
    with pytest.raises(google.api_core.exceptions.NotFound):
        bucket.blob("a", generation=first).download_as_bytes()
    assert bucket.get_blob("a").generation > first


def test_lists_by_prefix_delimiter_and_page(bucket: Any) -> None:
    for name in ("a/1", "a/2", "b/1", "c", "d"):
        bucket.blob(name).upload_from_string(name)

    folded = bucket.list_blobs(delimiter="/")
    assert (names(folded), folded.prefixes) == (["c", "d"], {"a/", "b/"})
    assert names(bucket.list_blobs(prefix="a/")) == ["a/1", "a/2"]
    assert names(bucket.list_blobs(start_offset="a/2", end_offset="d")) == [
        "a/2",
        "b/1",
        "c",
    ]
    paged = bucket.list_blobs(page_size=2)
    assert [names(page) for page in paged.pages] == [
        ["a/1", "a/2"],
        ["b/1", "c"],
        ["d"],
    ]
    assert names(bucket.list_blobs(max_results=3)) == ["a/1", "a/2", "b/1"]


def test_metadata_is_patched(bucket: Any) -> None:
    blob = bucket.blob("a")
    blob.metadata = {"accuracy": "0.93", "epoch": "1"}
    blob.upload_from_string(b"a")

    blob.metadata = {"accuracy": "0.95", "epoch": None}
    blob.cache_control = "no-store"
    blob.patch(if_metageneration_match=1)

    found = bucket.get_blob("a")
    assert found.metadata == {"accuracy": "0.95"}
    assert found.cache_control == "no-store"
    assert found.metageneration == 2
    assert found.updated > found.time_created
    with pytest.raises(google.api_core.exceptions.PreconditionFailed):
        blob.patch(if_metageneration_match=1)


def test_conditions(bucket: Any) -> None:
    blob = bucket.blob("a")
    blob.upload_from_string(b"first", if_generation_match=0)

    for options in (
        {"if_generation_match": 0},
        {"if_generation_match": blob.generation + 1},
        {"if_generation_not_match": blob.generation},
        {"if_metageneration_match": 7},
        {"if_metageneration_not_match": 1},
    ):
        with pytest.raises(google.api_core.exceptions.PreconditionFailed):
            bucket.blob("a").upload_from_string(b"second", **options)
    with pytest.raises(google.api_core.exceptions.PreconditionFailed):
        bucket.blob("a", chunk_size=MIB).upload_from_file(
            io.BytesIO(content_of(2 * MIB)), if_generation_match=0
        )
    with pytest.raises(google.api_core.exceptions.PreconditionFailed):
        blob.delete(if_generation_match=1)
    with pytest.raises(google.api_core.exceptions.NotModified):
        bucket.blob("a").download_as_bytes(if_generation_not_match=blob.generation)

    assert blob.download_as_bytes(if_generation_match=blob.generation) == b"first"
    blob.delete(if_generation_match=blob.generation)


def test_copies_renames_and_rewrites(bucket: Any) -> None:
    source = bucket.blob("dir/a")
    source.metadata = {"k": "v"}
    source.upload_from_string(b"bytes", content_type="x/y")

    copied = bucket.copy_blob(source, bucket, "dir/b")
    renamed = bucket.rename_blob(copied, "dir/c")
    rewritten = bucket.blob("dir/d")
    token, done, size = rewritten.rewrite(source)

    assert (token, done, size) == (None, 5, 5)
    assert names(bucket.list_blobs()) == ["dir/a", "dir/c", "dir/d"]
    for blob in (renamed, rewritten):
        found = bucket.get_blob(blob.name)
        assert found.metadata == {"k": "v"}
        assert found.content_type == "x/y"
        assert found.download_as_bytes() == b"bytes"


def test_a_missing_bucket_is_named_with_the_remedy(client: Any) -> None:
    with pytest.raises(
        google.api_core.exceptions.NotFound, match="homeport storage mb"
    ):
        client.bucket("nowhere").blob("a").upload_from_string(b"a")


def test_objects_are_composed(bucket: Any) -> None:
    parts = [bucket.blob("a b"), bucket.blob("c/d")]
    for part, content in zip(parts, (b"hello ", b"world"), strict=True):
        part.upload_from_string(content)
    whole = bucket.blob("whole")
    whole.content_type = "text/plain"

    whole.compose(parts, if_generation_match=0)

    assert whole.download_as_bytes() == b"hello world"
    assert (whole.component_count, whole.content_type) == (2, "text/plain")
    whole.compose([whole, parts[1]])
    assert whole.download_as_bytes() == b"hello worldworld"
    assert whole.component_count == 3


def test_an_object_is_moved(bucket: Any) -> None:
    bucket.blob("old").upload_from_string(b"1")

    moved = bucket.move_blob(bucket.blob("old"), "new/ name")

    assert moved.download_as_bytes() == b"1"
    assert not bucket.blob("old").exists()


def test_requests_are_batched(bucket: Any, client: Any) -> None:
    kept, gone = bucket.blob("a b/ü"), bucket.blob("gone")
    for one in (kept, gone):
        one.upload_from_string(b"1")
    kept.metadata = {"k": "v"}

    with client.batch():
        gone.delete()
        kept.patch()
    failing = client.batch(raise_exception=False)
    with failing:
        bucket.blob("none").delete()
        kept.delete()

    assert names(bucket.list_blobs()) == []


def test_a_large_object_goes_up_and_down_in_parts(
    bucket: Any, tmp_path: pathlib.Path
) -> None:
    path, back = tmp_path / "large", tmp_path / "back"
    path.write_bytes(content_of(6 * MIB + 1))
    blob = bucket.blob("in parts/2026:ü@1")

    transfer_manager.upload_chunks_concurrently(
        str(path), blob, chunk_size=2 * MIB, worker_type="thread"
    )
    transfer_manager.download_chunks_concurrently(
        blob, str(back), chunk_size=MIB, worker_type="thread"
    )

    assert back.read_bytes() == path.read_bytes()


def test_a_read_is_conditional_on_an_etag(bucket: Any) -> None:
    bucket.blob("a").upload_from_string(b"1")
    blob = bucket.get_blob("a")

    assert blob.download_as_bytes(if_etag_match=blob.etag) == b"1"
    with pytest.raises(google.api_core.exceptions.NotModified):
        blob.download_as_bytes(if_etag_not_match=blob.etag)
    with pytest.raises(google.api_core.exceptions.PreconditionFailed):
        blob.download_as_bytes(if_etag_match="another")
