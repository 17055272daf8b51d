"""What a sender says and does not do, and names that look like something else."""

import base64
import concurrent.futures
import itertools
import json
import pathlib
import socket
import unicodedata
import urllib.parse
from collections.abc import Callable, Iterator

import httpx
import pytest

from servers import Server, running, wait_until

pytestmark = pytest.mark.service

OBJECTS = "/storage/v1/b/models/o"
UPLOAD = "/upload/storage/v1/b/models/o"
CHUNK = 256 << 10
HELLO_CRC32C = "mnG7TA=="
HELLO_MD5 = "XUFAKrxLKna5cZ2REBfFkg=="
OTHER_MD5 = base64.b64encode(bytes(16)).decode()
_numbers = itertools.count()


@pytest.fixture
def client(shared_server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=shared_server.url, timeout=60) as client:
        for bucket in ("models", "others"):
            client.post("/storage/v1/b?project=p", json={"name": bucket})
        yield client


@pytest.fixture
def name() -> str:
    """A name that no other test of this process uses."""
    return f"object-{next(_numbers)}"


def media(client: httpx.Client, name: str) -> bytes | None:
    """Return an object's bytes, None if there is none."""
    quoted = urllib.parse.quote(name, safe="")
    answer = client.get(f"{OBJECTS}/{quoted}?alt=media")
    assert answer.status_code in {200, 404}, answer.text
    return answer.content if answer.status_code == 200 else None


def send(
    client: httpx.Client, name: str, content: bytes, **query: str
) -> httpx.Response:
    params = {"uploadType": "media", "name": name, **query}
    return client.post(UPLOAD, params=params, content=content)


# --- checksums


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"x-goog-hash": "crc32c=AAAAAA=="}, id="crc32c"),
        pytest.param({"x-goog-hash": f"md5={OTHER_MD5}"}, id="md5"),
        pytest.param({"content-md5": OTHER_MD5}, id="Content-MD5"),
        pytest.param(
            {"x-goog-hash": f"crc32c={HELLO_CRC32C},md5={OTHER_MD5}"}, id="one of two"
        ),
        pytest.param({"x-goog-hash": "crc32c=AAAA"}, id="of another length"),
        pytest.param({"x-goog-hash": "md5=%%%"}, id="no base64"),
        pytest.param({"x-goog-hash": "crc32c="}, id="empty"),
    ],
)
@pytest.mark.parametrize("api", ["json", "xml", "resumable", "part"])
def test_bytes_with_another_checksum_leave_nothing(
    client: httpx.Client, name: str, api: str, headers: dict[str, str]
) -> None:
    answer = sending(client, name, api)(headers)

    assert answer.status_code == 400, answer.text
    assert media(client, name) is None


@pytest.mark.parametrize("api", ["json", "xml", "resumable", "part"])
def test_bytes_with_their_checksums_are_taken(
    client: httpx.Client, name: str, api: str
) -> None:
    said = {"x-goog-hash": f"crc32c={HELLO_CRC32C}, md5={HELLO_MD5}"}

    assert sending(client, name, api)(said).status_code == 200


def sending(
    client: httpx.Client, name: str, api: str
) -> Callable[[dict[str, str]], httpx.Response]:
    """Return what sends "hello" with some headers, by one of four ways."""
    match api:
        case "json":
            method, url = "POST", f"{UPLOAD}?uploadType=media&name={name}"
        case "xml":
            method, url = "PUT", f"/models/{name}"
        case "resumable":
            method, url = "PUT", session(client, name)
        case _:
            begun = client.post(f"/models/{name}?uploads").text
            upload = begun.partition("<UploadId>")[2].partition("</UploadId>")[0]
            method, url = "PUT", f"/models/{name}?partNumber=1&uploadId={upload}"
    return lambda headers: client.request(
        method, url, content=b"hello", headers=headers
    )


# --- lengths


def raw_request(
    server: Server, head: list[str], body: bytes, *, ended: bool = False
) -> bytes:
    """Send a request as it stands, and return all that is answered.

    `ended` leaves the server nothing to wait for.
    """
    host, _, port = server.url.removeprefix("http://").partition(":")
    lines = [*head, f"host: localhost:{port}", "connection: close", "", ""]
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall("\r\n".join(lines).encode() + body)
        if ended:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while received := connection.recv(65536):
            answer += received
    return answer


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        pytest.param(["content-length: 100"], b"hello", id="longer than it is"),
        pytest.param(["content-length: -1"], b"hello", id="negative"),
        pytest.param(["content-length: 5x"], b"hello", id="no number"),
        pytest.param(
            ["content-length: 5", "content-length: 6"], b"hello!", id="two lengths"
        ),
        pytest.param(
            ["transfer-encoding: chunked"], b"5\r\nhello\r\n", id="no last chunk"
        ),
        pytest.param(
            ["transfer-encoding: chunked"], b"zz\r\nhello\r\n0\r\n\r\n", id="no size"
        ),
        pytest.param(
            ["transfer-encoding: chunked"], b"9\r\nhello\r\n0\r\n\r\n", id="short chunk"
        ),
    ],
)
@pytest.mark.parametrize("path", ["json", "xml"])
def test_a_body_that_is_not_as_long_as_it_says_leaves_nothing(
    shared_server: Server,
    client: httpx.Client,
    name: str,
    path: str,
    headers: list[str],
    body: bytes,
) -> None:
    line = (
        f"POST {UPLOAD}?uploadType=media&name={name} HTTP/1.1"
        if path == "json"
        else f"PUT /models/{name} HTTP/1.1"
    )

    raw_request(shared_server, [line, *headers], body, ended=True)

    assert media(client, name) is None
    assert receiving(shared_server) == []


def receiving(server: Server) -> list[str]:
    """Return what is half received, once the requests before have ended."""
    partial = server.data_dir / "blobs" / "partial"
    wait_until(lambda: not list(partial.iterdir()))
    return [path.name for path in partial.iterdir()]


def test_what_follows_a_body_is_another_request_and_no_part_of_it(
    shared_server: Server, client: httpx.Client, name: str
) -> None:
    line = f"POST {UPLOAD}?uploadType=media&name={name} HTTP/1.1"

    answer = raw_request(shared_server, [line, "content-length: 5"], b"hello and more")

    assert answer.startswith(b"HTTP/1.1 200")
    assert media(client, name) == b"hello"


def test_a_body_in_chunks_needs_no_length(client: httpx.Client, name: str) -> None:
    content = [b"a" * 100_000, b"", b"b" * 1_500_000]

    answer = client.put(f"/models/{name}", content=iter(content))

    assert answer.status_code == 200
    assert media(client, name) == b"".join(content)


def test_a_request_without_a_body_is_an_empty_object(
    shared_server: Server, client: httpx.Client, name: str
) -> None:
    answer = raw_request(shared_server, [f"PUT /models/{name} HTTP/1.1"], b"")

    assert answer.startswith(b"HTTP/1.1 200")
    assert media(client, name) == b""


# --- sessions


def session(client: httpx.Client, name: str, bucket: str = "models") -> str:
    answer = client.post(
        f"/upload/storage/v1/b/{bucket}/o",
        params={"uploadType": "resumable", "name": name},
    )
    assert answer.status_code == 200, answer.text
    return answer.headers["location"]


def put(client: httpx.Client, url: str, content: bytes, said: str) -> httpx.Response:
    headers = {"content-range": f"bytes {said}"}
    return client.put(url, content=content, headers=headers)


def test_a_session_that_is_over_answers_its_object_and_takes_no_other(
    client: httpx.Client, name: str
) -> None:
    url = session(client, name)
    first = put(client, url, b"hello", "0-4/5").json()

    again = put(client, url, b"jello", "0-4/5")
    longer = put(client, url, b"!", "5-5/6")

    assert (again.status_code, again.json()["generation"]) == (
        200,
        first["generation"],
    )
    assert longer.json()["generation"] == first["generation"]
    assert media(client, name) == b"hello"


def test_a_session_whose_object_was_replaced_or_deleted_is_gone(
    client: httpx.Client, name: str
) -> None:
    url = session(client, name)
    put(client, url, b"hello", "0-4/5")
    send(client, name, b"newer")

    assert put(client, url, b"hello", "0-4/5").status_code == 404
    assert media(client, name) == b"newer"


def test_chunks_out_of_order_are_refused_and_the_session_goes_on(
    client: httpx.Client, name: str
) -> None:
    url = session(client, name)
    total = 2 * CHUNK + 5

    early = put(client, url, b"b" * CHUNK, f"{CHUNK}-{2 * CHUNK - 1}/{total}")
    first = put(client, url, b"a" * CHUNK, f"0-{CHUNK - 1}/{total}")
    gap = put(client, url, b"c" * 5, f"{2 * CHUNK}-{total - 1}/{total}")
    second = put(client, url, b"b" * CHUNK, f"{CHUNK}-{2 * CHUNK - 1}/{total}")
    last = put(client, url, b"c" * 5, f"{2 * CHUNK}-{total - 1}/{total}")

    told = [answer.status_code for answer in (early, first, gap, second, last)]
    assert told == [400, 308, 400, 308, 200]
    assert media(client, name) == b"a" * CHUNK + b"b" * CHUNK + b"c" * 5


@pytest.mark.parametrize(
    ("said", "content"),
    [
        pytest.param(f"{CHUNK}-{CHUNK + 4}/{CHUNK + 3}", b"x" * 5, id="beyond total"),
        pytest.param(f"{CHUNK}-{CHUNK - 1}/{CHUNK}", b"x", id="backwards"),
        pytest.param(f"{CHUNK}-{CHUNK + 9}/*", b"x" * 5, id="short"),
        pytest.param(f"{CHUNK}-{CHUNK + 4}/{CHUNK + 5}", b"x" * 10, id="long"),
        pytest.param("0-x/5", b"hello", id="no number"),
        pytest.param("5", b"hello", id="no range"),
        pytest.param(f"{10**20}-{10**20 + 1}/*", b"xx", id="huge"),
    ],
)
def test_a_range_that_is_none_is_refused_and_the_session_goes_on(
    client: httpx.Client, name: str, said: str, content: bytes
) -> None:
    url = session(client, name)
    put(client, url, b"a" * CHUNK, f"0-{CHUNK - 1}/*")

    refused = put(client, url, content, said)
    at = put(client, url, b"", "*/*").headers["range"]
    first = int(at.rpartition("-")[2]) + 1
    rest = (b"a" * CHUNK + b"x" * 5)[first:] or b""
    total = CHUNK + 5
    said = f"{first}-{total - 1}/{total}" if rest else f"*/{total}"
    ended = put(client, url, rest, said)

    assert refused.status_code == 400
    assert ended.status_code == 200
    assert media(client, name) == b"a" * CHUNK + b"x" * 5


def test_a_total_that_changes_is_refused_and_the_session_goes_on(
    client: httpx.Client, name: str
) -> None:
    url = session(client, name)
    put(client, url, b"a" * CHUNK, f"0-{CHUNK - 1}/{CHUNK + 5}")

    refused = put(client, url, b"b" * 9, f"{CHUNK}-{CHUNK + 8}/{CHUNK + 9}")
    ended = put(client, url, b"b" * 5, f"{CHUNK}-{CHUNK + 4}/{CHUNK + 5}")

    assert refused.status_code == 400
    assert "said before" in refused.json()["error"]["message"]
    assert ended.status_code == 200
    assert media(client, name) == b"a" * CHUNK + b"b" * 5


def test_the_length_that_opened_a_session_holds(
    client: httpx.Client, name: str
) -> None:
    opened = client.post(
        UPLOAD,
        params={"uploadType": "resumable", "name": name},
        headers={"x-upload-content-length": "5"},
    )
    url = opened.headers["location"]

    refused = put(client, url, b"hello!", "0-5/6")

    assert refused.status_code == 400
    assert put(client, url, b"hello", "0-4/5").status_code == 200


def test_a_session_belongs_to_its_bucket(client: httpx.Client, name: str) -> None:
    url = session(client, name)
    strange = url.replace("/b/models/", "/b/others/")

    refused = put(client, strange, b"hello", "0-4/5")
    asked = put(client, strange, b"", "*/5")
    cancelled = client.delete(strange)

    assert {answer.status_code for answer in (refused, asked, cancelled)} == {404}
    assert put(client, url, b"hello", "0-4/5").status_code == 200


def test_an_upload_in_parts_belongs_to_its_object(
    client: httpx.Client, name: str
) -> None:
    begun = client.post(f"/models/{name}?uploads").text
    upload = begun.partition("<UploadId>")[2].partition("</UploadId>")[0]
    strange = [f"/others/{name}", f"/models/{name}x"]

    refused = [
        client.request(method, path, params={"uploadId": upload, **more}, content=b"x")
        for path in strange
        for method, more in (("PUT", {"partNumber": 1}), ("POST", {}), ("DELETE", {}))
    ]

    assert {answer.status_code for answer in refused} == {404}
    own = client.delete(f"/models/{name}", params={"uploadId": upload})
    assert own.status_code == 204


# --- names


PATHS = (
    *("../x", "../../etc/passwd", "a/../b", "/", "//", "/a", "a//b", "a/", "./a"),
    *("a/./b", "a/.", "..a", "...", " ", "a b", "~", "C:\\x", "a?b#c", "a%2Fb", "%"),
    *("a+b", "ä", unicodedata.normalize("NFD", "ä"), "日本/語", "🤖", "\ufeffa"),
    *("a\tb", "\x7f", "<&>\"'", "*", "[x]", "o/o", "x" * 1024, "ä" * 512, "u\u202ex"),
)  # fmt: skip


def test_a_name_is_a_name_and_never_a_path(
    shared_server: Server, client: httpx.Client
) -> None:
    before = outside(shared_server)

    for name in PATHS:
        quoted = urllib.parse.quote(name, safe="")
        assert send(client, name, name.encode()).status_code == 200, name
        resource = client.get(f"{OBJECTS}/{quoted}").json()
        assert resource["name"] == name
        assert client.get(f"/models/{quoted}").content == name.encode(), name
        listed = client.get(OBJECTS, params={"prefix": name, "maxResults": 1}).json()
        assert listed["items"][0]["name"] == name
    for name in PATHS:
        assert media(client, name) == name.encode(), name
        quoted = urllib.parse.quote(name, safe="")
        assert client.delete(f"{OBJECTS}/{quoted}").status_code == 204, name
        assert media(client, name) is None, name

    assert outside(shared_server) == before


def outside(server: Server) -> set[str]:
    """Return the files around and in the data directory that are no blobs."""
    root = server.data_dir.parent
    files = (path.relative_to(root) for path in root.rglob("*"))
    return {str(path) for path in files if "sha256" not in path.parts}


@pytest.mark.parametrize(
    "quoted",
    [
        *("%00", "a%00b", "%0A", "a%0Db", ".", "..", "%2E%2E", "%FF", "%ED%A0%80"),
        pytest.param("x" * 1025, id="1025 bytes"),
        pytest.param("%C3%A4" * 513, id="1026 bytes of 513 characters"),
    ],
)
def test_what_cannot_be_a_name_is_refused(
    shared_server: Server, client: httpx.Client, quoted: str
) -> None:
    by_query = raw_request(
        shared_server,
        [f"POST {UPLOAD}?uploadType=media&name={quoted} HTTP/1.1", "content-length: 0"],
        b"",
    )
    by_path = raw_request(
        shared_server, [f"PUT /models/{quoted} HTTP/1.1", "content-length: 0"], b""
    )
    in_metadata = client.post(
        f"{UPLOAD}?uploadType=resumable",
        content=json.dumps(
            {"name": urllib.parse.unquote(quoted, errors="surrogateescape")}
        ),
    )

    assert by_query.split()[1] == b"400", by_query
    assert by_path.split()[1] == b"400", by_path
    assert in_metadata.status_code == 400


# --- at the same time


def test_of_writers_with_one_condition_exactly_one_wins(
    client: httpx.Client, name: str
) -> None:
    generation = send(client, name, b"first").json()["generation"]
    started = concurrent.futures.ThreadPoolExecutor(16)

    def write(number: int) -> tuple[int, int]:
        content = f"writer {number}".encode() * 10_000
        query = {"ifGenerationMatch": generation}
        return number, send(client, name, content, **query).status_code

    with started as threads:
        answers = dict(threads.map(write, range(16)))

    (winner,) = [number for number, status in answers.items() if status == 200]
    assert sorted(answers.values()) == [200] + [412] * 15
    assert media(client, name) == f"writer {winner}".encode() * 10_000


def test_of_first_writers_by_all_ways_exactly_one_wins(
    client: httpx.Client, name: str
) -> None:
    send(client, "source", b"source")
    document = {"sourceObjects": [{"name": "source"}]}
    absent = "ifGenerationMatch=0"
    ways: list[Callable[[], httpx.Response]] = [
        lambda: send(client, name, b"media", ifGenerationMatch="0"),
        lambda: client.put(
            f"/models/{name}",
            content=b"xml",
            headers={"x-goog-if-generation-match": "0"},
        ),
        lambda: client.post(
            f"{OBJECTS}/source/rewriteTo/b/models/o/{name}?{absent}", json={}
        ),
        lambda: client.post(f"{OBJECTS}/{name}/compose?{absent}", json=document),
    ]

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda way: way().status_code, ways * 2))

    assert sorted(answers) == [200] + [412] * 7
    assert media(client, name) in {b"media", b"xml", b"source"}


# --- quota and disk


def test_what_is_too_long_for_its_bucket_is_refused_before_it_is_sent(
    tmp_path: pathlib.Path,
) -> None:
    options = ("--bucket-quota-bytes", "1000", "--no-access-log")
    with (
        running(Server(tmp_path / "data", options)) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        client.post("/storage/v1/b?project=p", json={"name": "models"})
        long = {"x-upload-content-length": "1001"}
        query = {"uploadType": "resumable", "name": "a"}

        session = client.post(UPLOAD, params=query, headers=long)
        # Of the body nothing is sent: the answer comes all the same.
        media = raw_request(
            server,
            [
                f"POST {UPLOAD}?uploadType=media&name=a HTTP/1.1",
                "content-length: 1001",
            ],
            b"",
        )
        fits = send(client, "a", b"x" * 1000)

        assert session.status_code == 507
        assert "1000 left of its quota" in session.json()["error"]["message"]
        assert media.split()[1] == b"507"
        assert fits.status_code == 200


@pytest.mark.timeout(600)
@pytest.mark.parametrize("keep_free_bytes", [0, 4 << 20])
def test_a_full_disk_is_said_and_loses_nothing(
    small_disk: pathlib.Path, keep_free_bytes: int
) -> None:
    options = ("--keep-free-bytes", str(keep_free_bytes), "--no-access-log")
    server = Server(small_disk / "data", options)
    with (
        running(server),
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        client.post("/storage/v1/b?project=p", json={"name": "models"})
        send(client, "kept", b"k" * (4 << 20))

        refused = send(client, "large", b"l" * (20 << 20))
        in_parts = sending(client, "parts", "part")({})
        taken = send(client, "small", b"hello")

        assert refused.status_code == 507
        assert "free space there and send again" in refused.text
        assert in_parts.status_code == 200
        assert taken.status_code == 200
        assert receiving(server) == []
        assert media(client, "large") is None
        assert media(client, "kept") == b"k" * (4 << 20)
        server.stop()
        server.start()
        client.base_url = httpx.URL(server.url)
        assert media(client, "kept") == b"k" * (4 << 20)
        assert media(client, "small") == b"hello"
