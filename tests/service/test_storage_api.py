"""The storage surface over real sockets: half uploads, lies, and errors in GCS's words.

What the official client sends is in tests/conformance; here is what it never sends.
"""

import base64
import contextlib
import datetime as dt
import json
import pathlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

import httpx
import pytest
import uvicorn

import storage_surface
from homeport.errors import ResourceExhaustedError
from homeport.metadata.database import Database
from homeport.objects.blobs import Blobs, BlobWriter, FileBlobs
from homeport.resources.bucket import Content

CRC32C_OF_HELLO = "mnG7TA=="
MD5_OF_HELLO = "XUFAKrxLKna5cZ2REBfFkg=="
BLOCK = 1 << 20


class Server:
    """A storage surface on a loopback port, in a thread."""

    def __init__(self, blobs: Blobs, database: Database, parts: pathlib.Path) -> None:
        app = storage_surface.application(database, blobs, parts)
        self._listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._uvicorn.run, kwargs={"sockets": [self._listener]}
        )
        self.address = self._listener.getsockname()

    def __enter__(self) -> httpx.Client:
        self._thread.start()
        wait_until(lambda: self._uvicorn.started)
        self.client = httpx.Client(base_url="http://{}:{}".format(*self.address))
        return self.client

    def __exit__(self, *raised: object) -> None:
        self.client.close()
        self._uvicorn.should_exit = True
        self._thread.join(timeout=10)
        self._listener.close()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "the condition never came true"
        threading.Event().wait(0.01)


@contextlib.contextmanager
def serving(directory: pathlib.Path, blobs: Blobs | None = None) -> Iterator[Server]:
    database = Database(f"sqlite:///{directory / 'rows.sqlite'}")
    database.upgrade()
    if blobs is None:
        blobs = FileBlobs(directory / "blobs")
        blobs.start()
    server = Server(blobs, database, directory / "parts")
    with server:
        yield server
    database.close()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def server(directory: pathlib.Path) -> Iterator[Server]:
    with serving(directory) as started:
        yield started


@pytest.fixture(scope="module")
def client(server: Server) -> httpx.Client:
    create_bucket(server.client)
    return server.client


def create_bucket(client: httpx.Client) -> None:
    created = client.post("/storage/v1/b?project=p", json={"name": "models"})
    assert created.status_code == 200


def upload(client: httpx.Client, name: str, content: bytes) -> dict[str, str]:
    answer = client.post(
        "/upload/storage/v1/b/models/o",
        params={"uploadType": "media", "name": name},
        content=content,
    )
    assert answer.status_code == 200, answer.text
    resource: dict[str, str] = answer.json()
    return resource


def media(client: httpx.Client, name: str) -> bytes:
    answer = client.get(f"/storage/v1/b/models/o/{name}?alt=media")
    assert answer.status_code == 200, answer.text
    return answer.content


def exists(client: httpx.Client, name: str) -> bool:
    return client.get(f"/storage/v1/b/models/o/{name}").status_code == 200


def open_session(client: httpx.Client, name: str) -> str:
    answer = client.post(
        "/upload/storage/v1/b/models/o?uploadType=resumable",
        json={"name": name},
    )
    assert answer.status_code == 200, answer.text
    return answer.headers["location"]


def send(
    client: httpx.Client, session: str, content: bytes, content_range: str
) -> httpx.Response:
    headers = {"content-range": content_range}
    return client.put(session, content=content, headers=headers)


# --- errors


@pytest.mark.parametrize(
    ("method", "path", "http", "reason"),
    [
        pytest.param("GET", "/storage/v1/b/nowhere", 404, "notFound", id="bucket"),
        pytest.param("GET", "/storage/v1/b/nowhere/o", 404, "notFound", id="list"),
        pytest.param("GET", "/storage/v1/b/models/o/no", 404, "notFound", id="object"),
        pytest.param(
            "DELETE", "/storage/v1/b/models/o/no", 404, "notFound", id="delete"
        ),
        pytest.param(
            "GET",
            "/download/storage/v1/b/models/o/no?alt=media",
            404,
            "notFound",
            id="media",
        ),
        pytest.param("GET", "/storage/v1/nothing", 404, "notFound", id="path"),
        pytest.param(
            "GET", "/storage/v1/b/models/o?maxResults=x", 400, "invalid", id="number"
        ),
        pytest.param(
            "GET", "/storage/v1/b/models/o?pageToken=%21", 400, "invalid", id="token"
        ),
        pytest.param(
            "GET", "/storage/v1/b/models/o/%FF", 400, "invalid", id="not UTF-8"
        ),
        pytest.param(
            "GET",
            "/storage/v1/b/models/o?matchGlob=*",
            501,
            "notImplemented",
            id="matchGlob",
        ),
        pytest.param(
            "POST", "/upload/storage/v1/b/models/o?name=a", 400, "invalid", id="no type"
        ),
        pytest.param(
            "POST",
            "/upload/storage/v1/b/models/o?uploadType=media",
            400,
            "invalid",
            id="no name",
        ),
        pytest.param(
            "POST",
            "/upload/storage/v1/b/nowhere/o?uploadType=media&name=a",
            404,
            "notFound",
            id="no bucket to upload to",
        ),
        pytest.param(
            "PUT",
            "/upload/storage/v1/b/models/o?upload_id=never",
            404,
            "notFound",
            id="no session",
        ),
    ],
)
def test_failures_are_said_as_gcs_says_them(
    client: httpx.Client, method: str, path: str, http: int, reason: str
) -> None:
    answer = client.request(method, path)

    error = answer.json()["error"]
    assert answer.status_code == http
    assert error["code"] == http
    assert error["message"]
    assert error["errors"][0]["reason"] == reason


def test_a_taken_bucket_name_and_a_full_bucket_are_conflicts(
    client: httpx.Client,
) -> None:
    upload(client, "conflict", b"")

    assert client.post("/storage/v1/b", json={"name": "models"}).status_code == 409
    assert client.delete("/storage/v1/b/models").status_code == 409


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"metadata": {"a": 1}}'])
def test_bad_metadata_is_refused(client: httpx.Client, body: bytes) -> None:
    upload(client, "patched", b"")

    answer = client.patch("/storage/v1/b/models/o/patched", content=body)

    assert answer.status_code == 400


def test_a_header_cannot_be_smuggled_through_metadata(client: httpx.Client) -> None:
    upload(client, "patched", b"")

    answer = client.patch(
        "/storage/v1/b/models/o/patched",
        json={"contentType": "text/plain\r\nset-cookie: a=b"},
    )

    assert answer.status_code == 400


def test_a_failed_condition_is_412_and_an_unchanged_read_304(
    client: httpx.Client,
) -> None:
    generation = upload(client, "conditional", b"old")["generation"]
    path = "/storage/v1/b/models/o/conditional"

    refused = client.post(
        "/upload/storage/v1/b/models/o?uploadType=media&name=conditional"
        "&ifGenerationMatch=0",
        content=b"new",
    )
    unchanged = client.get(f"{path}?alt=media&ifGenerationNotMatch={generation}")

    assert refused.status_code == 412
    assert refused.json()["error"]["errors"][0]["reason"] == "conditionNotMet"
    assert unchanged.status_code == 304
    assert client.get(f"{path}?ifGenerationMatch=1").status_code == 412
    assert media(client, "conditional") == b"old"


# --- uploads in one request


@pytest.mark.parametrize(
    ("said", "http"),
    [
        pytest.param(f"crc32c={CRC32C_OF_HELLO},md5={MD5_OF_HELLO}", 200, id="right"),
        pytest.param("crc32c=AAAAAA==", 400, id="wrong crc32c"),
        pytest.param(f"md5={MD5_OF_HELLO[::-1]}", 400, id="not base64"),
        pytest.param("md5=AAAAAAAAAAAAAAAAAAAAAA==", 400, id="wrong md5"),
        pytest.param("crc32c=AAAA", 400, id="short crc32c"),
    ],
)
def test_checksums_in_the_header(
    client: httpx.Client, directory: pathlib.Path, said: str, http: int
) -> None:
    answer = client.post(
        f"/upload/storage/v1/b/models/o?uploadType=media&name={http}-hashed",
        content=b"hello",
        headers={"x-goog-hash": said},
    )

    assert answer.status_code == http, answer.text
    assert exists(client, f"{http}-hashed") is (http == 200)
    assert list((directory / "blobs" / "partial").iterdir()) == []


def test_checksums_in_the_metadata_of_a_multipart_upload(client: httpx.Client) -> None:
    def post(md5: str) -> httpx.Response:
        metadata = json.dumps({"name": "multi", "md5Hash": md5})
        return client.post(
            "/upload/storage/v1/b/models/o?uploadType=multipart",
            content=(
                f"--B\nContent-Type: application/json\n\n{metadata}\n"
                "--B\nContent-Type: text/x\n\nhello\n--B--\n"
            ),
            headers={"content-type": "multipart/related; boundary='B'"},
        )

    wrong, right = post(base64.b64encode(bytes(16)).decode()), post(MD5_OF_HELLO)

    assert wrong.status_code == 400
    assert right.json()["contentType"] == "text/x"
    assert right.json()["crc32c"] == CRC32C_OF_HELLO
    assert media(client, "multi") == b"hello"


def test_a_multipart_body_that_is_cut_short_leaves_nothing(
    client: httpx.Client, directory: pathlib.Path
) -> None:
    answer = client.post(
        "/upload/storage/v1/b/models/o?uploadType=multipart",
        content=b'--B\r\n\r\n{"name": "cut"}\r\n--B\r\n\r\nhello',
        headers={"content-type": "multipart/related; boundary=B"},
    )

    assert answer.status_code == 400
    assert not exists(client, "cut")
    assert list((directory / "blobs" / "partial").iterdir()) == []


def test_a_client_that_goes_away_leaves_nothing(
    client: httpx.Client, server: Server, directory: pathlib.Path
) -> None:
    partial = directory / "blobs" / "partial"
    with socket.create_connection(server.address) as connection:
        connection.sendall(
            b"POST /upload/storage/v1/b/models/o?uploadType=media&name=half "
            b"HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n"
            + bytes(3 * BLOCK)
        )
        wait_until(lambda: any(path.stat().st_size for path in partial.iterdir()))

    wait_until(lambda: not list(partial.iterdir()))
    assert not exists(client, "half")


def test_names_are_read_from_the_path_as_it_was_sent(client: httpx.Client) -> None:
    for name in ("a/b", "a%2Fb", "a b+c:d@e?f#g", "ü/日本", "x/copyTo/b/y/o/z"):
        upload(client, name, name.encode())
        escaped = "".join(f"%{byte:02X}" for byte in name.encode())

        assert media(client, escaped) == name.encode()

    assert media(client, "a/b") == b"a/b"


# --- uploads over several requests


def test_a_session_reports_and_goes_on(client: httpx.Client) -> None:
    session = open_session(client, "session")

    fresh = send(client, session, b"", "bytes */*")
    first = send(client, session, b"hel", "bytes 0-2/*")
    asked = send(client, session, b"", "bytes */5")
    last = send(client, session, b"lo", "bytes 3-4/5")
    again = send(client, session, b"lo", "bytes 3-4/5")
    done = send(client, session, b"", "bytes */5")

    assert (fresh.status_code, fresh.headers.get("range")) == (308, None)
    assert (first.status_code, first.headers["range"]) == (308, "bytes=0-2")
    assert (asked.status_code, asked.headers["range"]) == (308, "bytes=0-2")
    assert last.status_code == 200
    assert last.json()["crc32c"] == CRC32C_OF_HELLO
    assert again.json() == last.json()
    assert done.json() == last.json()
    assert media(client, "session") == b"hello"


def test_a_session_without_a_range_is_one_request(client: httpx.Client) -> None:
    session = open_session(client, "one-put")

    answer = client.put(session, content=b"hello")

    assert answer.json()["size"] == "5"


def test_a_session_of_unknown_length_ends_when_the_total_is_said(
    client: httpx.Client,
) -> None:
    session = open_session(client, "unknown")
    send(client, session, b"hello", "bytes 0-4/*")

    answer = send(client, session, b"", "bytes */5")

    assert answer.status_code == 200
    assert media(client, "unknown") == b"hello"


def test_bytes_that_were_sent_before_are_skipped(client: httpx.Client) -> None:
    session = open_session(client, "overlap")
    send(client, session, b"hel", "bytes 0-2/5")

    answer = send(client, session, b"hello", "bytes 0-4/5")

    assert answer.status_code == 200
    assert media(client, "overlap") == b"hello"


@pytest.mark.parametrize(
    ("content", "content_range"),
    [
        pytest.param(b"lo", "bytes 4-5/6", id="leaves a gap"),
        pytest.param(b"hello", "bytes 3-4/5", id="longer than said"),
        pytest.param(b"l", "bytes 3-4/5", id="shorter than said"),
        pytest.param(b"lo", "bytes 3-4/4", id="beyond the total"),
        pytest.param(b"lo", "bytes 4-3/5", id="backwards"),
        pytest.param(b"lo", "3-4/5", id="no range"),
    ],
)
def test_a_range_that_lies_is_refused_and_the_session_lives(
    client: httpx.Client, content: bytes, content_range: str
) -> None:
    session = open_session(client, "lies")
    send(client, session, b"hel", "bytes 0-2/5")

    answer = send(client, session, content, content_range)

    assert answer.status_code == 400
    assert not exists(client, "lies")
    asked = send(client, session, b"", "bytes */5")
    done = int(asked.headers["range"].partition("-")[2]) + 1
    rest = b"hello"[done:]
    last = send(client, session, rest, f"bytes {done}-4/5" if rest else "bytes */5")
    assert last.status_code == 200
    assert media(client, "lies") == b"hello"
    assert client.delete("/storage/v1/b/models/o/lies").status_code == 204


def test_a_wrong_checksum_ends_the_session(client: httpx.Client) -> None:
    session = open_session(client, "wrong-sum")

    answer = client.put(
        session, content=b"hello", headers={"x-goog-hash": "crc32c=AAAAAA=="}
    )

    assert answer.status_code == 400
    assert not exists(client, "wrong-sum")
    assert send(client, session, b"", "bytes */5").status_code == 404


def test_a_cancelled_session_is_gone(client: httpx.Client) -> None:
    session = open_session(client, "cancelled")
    send(client, session, b"hel", "bytes 0-2/5")

    assert client.delete(session).status_code == 499
    assert send(client, session, b"", "bytes */5").status_code == 404


def test_a_broken_chunk_keeps_whole_blocks_and_a_restart_keeps_them_too(
    tmp_path: pathlib.Path,
) -> None:
    content = bytes(range(256)) * (3 * BLOCK // 256)
    with serving(tmp_path) as server:
        create_bucket(server.client)
        session = httpx.URL(open_session(server.client, "restarted")).raw_path.decode()
        with socket.create_connection(server.address) as connection:
            connection.sendall(
                f"PUT {session} HTTP/1.1\r\nHost: localhost\r\n"
                f"Content-Length: {len(content)}\r\n"
                f"Content-Range: bytes 0-{len(content) - 1}/{len(content)}\r\n\r\n"
                "".encode()
                + content[: 2 * BLOCK + 1000]
            )
            wait_until(lambda: size_of(tmp_path / "blobs" / "resumable") == 2 * BLOCK)

    with serving(tmp_path) as server:
        asked = send(server.client, session, b"", f"bytes */{len(content)}")
        rest = send(
            server.client,
            session,
            content[2 * BLOCK :],
            f"bytes {2 * BLOCK}-{len(content) - 1}/{len(content)}",
        )

        assert asked.headers["range"] == f"bytes=0-{2 * BLOCK - 1}"
        assert rest.status_code == 200
        assert media(server.client, "restarted") == content


def size_of(directory: pathlib.Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def test_two_requests_at_once_to_one_session_are_told_to_wait(
    client: httpx.Client, server: Server, directory: pathlib.Path
) -> None:
    session = open_session(client, "claimed")
    path = httpx.URL(session).raw_path.decode()
    with socket.create_connection(server.address) as connection:
        connection.sendall(
            f"PUT {path} HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Length: {4 * BLOCK}\r\n\r\n".encode()
            + bytes(BLOCK)
        )
        wait_until(lambda: size_of(directory / "blobs" / "resumable") >= BLOCK)
        busy = send(client, session, b"", "bytes */*")

    assert busy.status_code == 503
    wait_until(lambda: send(client, session, b"", "bytes */*").status_code == 308)


# --- downloads


@pytest.mark.parametrize(
    ("asked", "http", "content", "content_range"),
    [
        pytest.param("bytes=1-3", 206, b"ell", "bytes 1-3/5", id="middle"),
        pytest.param("bytes=3-", 206, b"lo", "bytes 3-4/5", id="to the end"),
        pytest.param("bytes=-2", 206, b"lo", "bytes 3-4/5", id="last two"),
        pytest.param("bytes=-9", 206, b"hello", "bytes 0-4/5", id="more than all"),
        pytest.param("bytes=2-99", 206, b"llo", "bytes 2-4/5", id="beyond the end"),
        pytest.param("bytes=5-", 416, b"", "bytes */5", id="behind the end"),
        pytest.param("bytes=-0", 416, b"", "bytes */5", id="last none"),
        pytest.param("bytes=3-1", 416, b"", "bytes */5", id="backwards"),
        pytest.param(f"bytes={'9' * 4400}-", 200, b"hello", None, id="no number"),
        pytest.param("bytes=0-1,3-4", 200, b"hello", None, id="several"),
        pytest.param("lines=1-2", 200, b"hello", None, id="other unit"),
    ],
)
def test_ranges(
    client: httpx.Client, asked: str, http: int, content: bytes, content_range: str
) -> None:
    upload(client, "ranged", b"hello")

    answer = client.get(
        "/download/storage/v1/b/models/o/ranged?alt=media", headers={"range": asked}
    )

    assert (answer.status_code, answer.content) == (http, content)
    assert answer.headers.get("content-range") == content_range


def test_a_download_carries_what_the_object_says_of_itself(
    client: httpx.Client,
) -> None:
    generation = upload(client, "headed", b"hello")["generation"]
    client.patch(
        "/storage/v1/b/models/o/headed",
        json={
            "contentType": "text/html",
            "cacheControl": "no-store",
            "contentDisposition": 'attachment; filename="ü日.html"',
        },
    )

    headers = client.get("/storage/v1/b/models/o/headed?alt=media").headers

    assert headers["content-type"] == "text/html"
    assert headers["cache-control"] == "no-store"
    assert headers["content-disposition"] == (
        'attachment; filename="%C3%BC%E6%97%A5.html"'
    )
    assert headers["x-goog-generation"] == generation
    assert headers["x-goog-hash"] == f"crc32c={CRC32C_OF_HELLO},md5={MD5_OF_HELLO}"
    assert headers["content-security-policy"] == "sandbox"


# --- objects without bytes


def test_a_patch_merges_and_an_update_replaces(client: httpx.Client) -> None:
    upload(client, "merged", b"")
    path = "/storage/v1/b/models/o/merged"
    client.patch(path, json={"metadata": {"a": "1", "b": "2"}, "contentType": "x/y"})

    patched = client.patch(path, json={"metadata": {"a": None, "c": "3"}}).json()
    replaced = client.put(path, json={"metadata": {"d": "4"}}).json()

    assert patched["metadata"] == {"b": "2", "c": "3"}
    assert patched["contentType"] == "x/y"
    assert patched["metageneration"] == "3"
    assert replaced["metadata"] == {"d": "4"}
    assert "contentType" not in replaced


def test_a_rewrite_copies_in_one_call(client: httpx.Client) -> None:
    generation = upload(client, "from/a", b"hello")["generation"]
    path = "/storage/v1/b/models/o/from%2Fa/rewriteTo/b/models/o/to%2Fb"

    wrong = client.post(f"{path}?ifSourceGenerationMatch=1")
    copied = client.post(
        f"{path}?ifSourceGenerationMatch={generation}", json={"contentType": "x/y"}
    ).json()

    assert wrong.status_code == 412
    assert copied["done"] is True
    assert copied["resource"]["name"] == "to/b"
    assert copied["resource"]["contentType"] == "x/y"
    assert media(client, "to%2Fb") == b"hello"


def test_a_disk_that_is_full_is_said_at_once(tmp_path: pathlib.Path) -> None:
    with serving(tmp_path, FullBlobs()) as server:
        create_bucket(server.client)

        answer = server.client.post(
            "/upload/storage/v1/b/models/o?uploadType=media&name=a", content=b"hello"
        )

        assert answer.status_code == 507
        assert answer.json()["error"]["message"] == "the disk is full: free space"
        assert not exists(server.client, "a")


class FullWriter:
    """Takes nothing."""

    size_bytes = 0

    def expect(self, size_bytes: int) -> None:
        """Nobody looks."""

    def write(self, block: bytes) -> None:
        del block
        raise ResourceExhaustedError("the disk is full: free space")

    def content(self) -> Content:
        raise AssertionError("nothing was written")

    def commit(self) -> Content:
        raise AssertionError("nothing was written")

    def suspend(self) -> None:
        raise AssertionError("nothing was written")

    def abort(self) -> None:
        """There is nothing to forget."""


class FullBlobs:
    """A blob store on a full disk."""

    def begin(self, *, md5: bool = True) -> BlobWriter:
        del md5
        return FullWriter()

    def resume(self, upload: str) -> BlobWriter:
        del upload
        return FullWriter()

    def open(self, sha256: str) -> BinaryIO:
        raise AssertionError(sha256)

    def measure(self, sha256: str) -> Content:
        raise AssertionError(sha256)

    def delete(self, sha256: str, *, unused_since: dt.datetime) -> bool:
        raise AssertionError(sha256, unused_since)

    def iterate(self) -> Iterator[str]:
        return iter(())

    def uploads(self) -> Iterator[str]:
        return iter(())
