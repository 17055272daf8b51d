"""The XML API and batches over real sockets: what official clients never send."""

import re
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

import storage_surface
from homeport.metadata.database import Database
from homeport.objects.blobs import FileBlobs

CRC32C_OF_HELLO = "mnG7TA=="
SHA256_OF_HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a storage surface with the bucket `models`."""
    directory = tmp_path_factory.mktemp("storage")
    database = Database(f"sqlite:///{directory / 'rows.sqlite'}")
    database.upgrade()
    blobs = FileBlobs(directory / "blobs")
    blobs.start()
    app = storage_surface.application(database, blobs, directory / "parts")
    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        deadline = time.monotonic() + 60
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            threading.Event().wait(0.01)
        url = "http://{}:{}".format(*listener.getsockname())
        with httpx.Client(base_url=url) as client:
            client.post("/storage/v1/b?project=p", json={"name": "models"})
            yield client
        server.should_exit = True
        thread.join(timeout=10)
    database.close()


def begin(client: httpx.Client, name: str) -> str:
    answer = client.post(f"/models/{name}?uploads=")
    found = re.search("<UploadId>(.*)</UploadId>", answer.text)
    assert found, answer.text
    return found[1]


def put_part(client: httpx.Client, name: str, upload: str, content: bytes) -> str:
    path = f"/models/{name}?partNumber=1&uploadId={upload}"
    answer = client.put(path, content=content)
    assert answer.status_code == 200, answer.text
    return str(answer.headers["etag"])


def listed(*parts: tuple[int, str]) -> str:
    return "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in parts
    )


def complete(
    client: httpx.Client, name: str, upload: str, *parts: tuple[int, str]
) -> httpx.Response:
    body = f"<CompleteMultipartUpload>{listed(*parts)}</CompleteMultipartUpload>"
    return client.post(f"/models/{name}", params={"uploadId": upload}, content=body)


def test_both_apis_show_one_object(client: httpx.Client) -> None:
    client.put("/models/one/a", content=b"hello", headers={"content-type": "x/y"})

    document = client.get("/storage/v1/b/models/o/one%2Fa").json()
    head = client.head("/models/one%2Fa").headers

    assert document["contentType"] == head["content-type"] == "x/y"
    assert head["etag"] == f'"{document["etag"]}"'
    assert head["x-goog-generation"] == document["generation"]
    assert head["content-length"] == "5"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/models/none", 404, "NotFound"),
        ("GET", "/no-such-bucket?list-type=2", 404, "NotFound"),
        ("PUT", "/no-such-bucket/a", 404, "NotFound"),
        ("PATCH", "/models/a", 501, "NotImplemented"),
        ("PUT", "/models", 501, "NotImplemented"),
        ("GET", "/models/%ff", 400, "InvalidArgument"),
        ("GET", "/models?continuation-token=%21", 400, "InvalidArgument"),
        ("PUT", "/models/a?partNumber=1&uploadId=none", 404, "NotFound"),
        ("DELETE", "/models/a?uploadId=none", 404, "NotFound"),
    ],
)
def test_failures_are_said_in_xml(
    client: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/xml"
    assert f"<Code>{code}</Code>" in answer.text


def test_a_wrong_checksum_leaves_nothing(client: httpx.Client) -> None:
    for header in ("x-goog-hash", "content-md5"):
        value = "crc32c=AAAAAA==" if header == "x-goog-hash" else "A" * 22 + "=="
        refused = client.put("/models/wrong", content=b"hello", headers={header: value})
        assert refused.status_code == 400

    assert client.head("/models/wrong").status_code == 404


def test_names_that_xml_cannot_hold_are_encoded_when_asked(
    client: httpx.Client,
) -> None:
    client.put("/models/odd/%01%26", content=b"")

    plain = client.get("/models?list-type=2&prefix=odd").text
    encoded = client.get("/models?list-type=2&prefix=odd&encoding-type=url").text

    assert "<Key>odd/�&amp;</Key>" in plain
    assert "<Key>odd/%01%26</Key>" in encoded


def test_a_date_decides_as_an_etag_does(client: httpx.Client) -> None:
    client.put("/models/dated", content=b"hello")
    modified = client.head("/models/dated").headers["last-modified"]

    unchanged = client.get("/models/dated", headers={"if-modified-since": modified})
    nonsense = client.get("/models/dated", headers={"if-modified-since": "yesterday"})

    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert nonsense.status_code == 200


def test_parts_are_put_together_in_their_order(client: httpx.Client) -> None:
    upload = begin(client, "parted")
    query = f"/models/parted?uploadId={upload}"
    etags = {
        number: client.put(f"{query}&partNumber={number}", content=content)
        for number, content in ((2, b"lo"), (1, b"hel"))
    }

    done = complete(
        client,
        "parted",
        upload,
        (1, etags[1].headers["etag"]),
        (2, etags[2].headers["etag"].replace('"', "&quot;")),
    )

    assert done.status_code == 200
    assert f"crc32c={CRC32C_OF_HELLO}" in done.headers["x-goog-hash"]
    assert client.get("/models/parted").content == b"hello"


def test_the_newest_part_of_a_number_is_the_one_that_is_named(
    client: httpx.Client,
) -> None:
    upload = begin(client, "twice")
    put_part(client, "twice", upload, b"old")
    etag = put_part(client, "twice", upload, b"new")

    complete(client, "twice", upload, (1, etag))

    assert client.get("/models/twice").content == b"new"


def test_completing_again_answers_the_same(client: httpx.Client) -> None:
    upload = begin(client, "lost-answer")
    etag = put_part(client, "lost-answer", upload, b"hello")

    first = complete(client, "lost-answer", upload, (1, etag))
    again = complete(client, "lost-answer", upload, (1, etag))

    assert again.status_code == 200
    assert again.headers["x-goog-generation"] == first.headers["x-goog-generation"]


def test_what_does_not_fit_is_refused_and_the_upload_lives(
    client: httpx.Client,
) -> None:
    upload = begin(client, "strict")
    etag = put_part(client, "strict", upload, b"hello")
    other = f'"{"0" * 64}"'

    for parts in (
        [],
        [(2, etag)],
        [(1, other)],
        [(1, "../../../etc/passwd")],
        [(1, etag), (1, etag)],
    ):
        assert complete(client, "strict", upload, *parts).status_code == 400
    too_many = client.put(
        "/models/strict", params={"partNumber": 10001, "uploadId": upload}
    )

    assert too_many.status_code == 400
    assert client.head("/models/strict").status_code == 404
    assert complete(client, "strict", upload, (1, etag)).status_code == 200


def test_an_aborted_upload_is_gone(client: httpx.Client) -> None:
    upload = begin(client, "aborted")
    etag = put_part(client, "aborted", upload, b"hello")

    ended = client.delete("/models/aborted", params={"uploadId": upload})

    assert ended.status_code == 204
    assert complete(client, "aborted", upload, (1, etag)).status_code == 404
    assert client.head("/models/aborted").status_code == 404


def batch(client: httpx.Client, *requests: str) -> httpx.Response:
    parts = [f"--b\nContent-Type: application/http\n\n{one}\n\n" for one in requests]
    return client.post(
        "/batch/storage/v1",
        content="".join([*parts, "--b--"]),
        headers={"content-type": "multipart/mixed; boundary=b"},
    )


def test_a_batch_answers_each_request_by_itself(client: httpx.Client) -> None:
    client.put("/models/batched", content=b"hello")

    answer = batch(
        client,
        "DELETE /storage/v1/b/models/o/none HTTP/1.1\nAccept: */*",
        "PATCH /storage/v1/b/models/o/batched HTTP/1.1\n"
        "Content-Type: application/json\n\n"
        '{"metadata": {"k": "v"}}',
        "GET http://localhost/storage/v1/b/models/o/batched?alt=json HTTP/1.1",
        "GET /storage/v1/b/models/o/batched?alt=media HTTP/1.1",
        "POST /v1/projects/p/locations/l/models:upload HTTP/1.1",
        "nonsense",
    )

    statuses = re.findall(r"HTTP/1.1 (\d+)", answer.text)
    assert statuses == ["404", "200", "200", "400", "400", "400"]
    assert '"metadata":{"k":"v"}' in answer.text


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"--b--"),
        ("multipart/mixed; boundary=b", b"--b\n\nDELETE"),
        ("multipart/mixed; boundary=b", b"--b\n\nx" * 101 + b"--b--"),
    ],
)
def test_what_is_no_batch_is_refused(
    client: httpx.Client, content_type: str, body: bytes
) -> None:
    answer = client.post(
        "/batch/storage/v1", content=body, headers={"content-type": content_type}
    )

    assert answer.status_code == 400


@pytest.mark.parametrize("generation", ["1", 1])
def test_a_compose_holds_its_sources_to_their_generation(
    client: httpx.Client, generation: object
) -> None:
    client.put("/models/source", content=b"hello")
    path = "/storage/v1/b/models/o/composed/compose"
    sources = [
        {"name": "source", "generation": generation},
        {"name": "source", "objectPreconditions": {"ifGenerationMatch": generation}},
    ]

    answers = [
        client.post(path, json={"sourceObjects": [source]}) for source in sources
    ]

    assert [answer.status_code for answer in answers] == [404, 412]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"sourceObjects": []},
        {"sourceObjects": [{"name": "source"}] * 33},
        {"sourceObjects": ["source"]},
        {"sourceObjects": [{"name": "source", "generation": "new"}]},
    ],
)
def test_a_compose_of_nonsense_is_refused(
    client: httpx.Client, body: dict[str, object]
) -> None:
    client.put("/models/source", content=b"hello")

    answer = client.post("/storage/v1/b/models/o/composed/compose", json=body)

    assert answer.status_code == 400


def test_the_parts_of_an_upload_are_listed_page_by_page(client: httpx.Client) -> None:
    upload = begin(client, "parts")
    for number in (1, 2, 10):
        path = f"/models/parts?partNumber={number}&uploadId={upload}"
        assert client.put(path, content=b"hello").status_code == 200

    first = client.get(f"/models/parts?uploadId={upload}&max-parts=2")
    rest = client.get(f"/models/parts?uploadId={upload}&part-number-marker=2")

    assert re.findall("<PartNumber>(.*?)</PartNumber>", first.text) == ["1", "2"]
    assert "<NextPartNumberMarker>2</NextPartNumberMarker>" in first.text
    assert "<IsTruncated>true</IsTruncated>" in first.text
    assert re.findall("<PartNumber>(.*?)</PartNumber>", rest.text) == ["10"]
    assert re.findall("<ETag>(.*?)</ETag>", rest.text) == [f'"{SHA256_OF_HELLO}"']
    assert re.findall("<Size>(.*?)</Size>", rest.text) == ["5"]
    assert "<IsTruncated>false</IsTruncated>" in rest.text
    assert client.get("/models/parts?uploadId=none").status_code == 404
    assert client.get(f"/models/other?uploadId={upload}").status_code == 404
