"""Packed objects are told packed to those who take gzip, unpacked to the others."""

import gzip
import random
from collections.abc import Iterator

import httpx
import pytest

from servers import Server

pytestmark = pytest.mark.service

TEXT = b"weights and words\n" * 200_000
OBJECT = "/storage/v1/b/models/o/packed?alt=media"
PLAIN = {"accept-encoding": "identity"}


@pytest.fixture
def client(shared_server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=shared_server.url, timeout=60) as client:
        client.post("/storage/v1/b?project=p", json={"name": "models"})
        yield client


def put(client: httpx.Client, content: bytes, **properties: str) -> None:
    put = client.put(
        "/models/packed",
        content=content,
        headers={
            "content-encoding": "gzip",
            "content-type": "text/plain",
            **{name.replace("_", "-"): text for name, text in properties.items()},
        },
    )
    assert put.status_code == 200, put.text


def raw(client: httpx.Client, headers: dict[str, str]) -> tuple[httpx.Response, bytes]:
    with client.stream("GET", OBJECT, headers=headers) as answer:
        return answer, b"".join(answer.iter_raw())


def test_who_takes_gzip_gets_the_stored_bytes(client: httpx.Client) -> None:
    packed = gzip.compress(TEXT)
    put(client, packed)

    answer, content = raw(client, {"accept-encoding": "deflate, gzip;q=0.5"})

    assert content == packed
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(packed))


@pytest.mark.parametrize("accepted", ["identity", "br", "gzip;q=0, br", ""])
@pytest.mark.parametrize("path", [OBJECT, "/models/packed"])
def test_who_does_not_gets_them_unpacked_and_whole(
    client: httpx.Client, accepted: str, path: str
) -> None:
    put(client, gzip.compress(TEXT))

    answer = client.get(
        path, headers={"accept-encoding": accepted, "range": "bytes=0-9"}
    )

    assert answer.status_code == 200
    assert answer.content == TEXT
    assert "content-encoding" not in answer.headers
    assert "content-length" not in answer.headers
    assert answer.headers["x-goog-stored-content-encoding"] == "gzip"
    assert answer.headers["x-guploader-response-body-transformations"] == "gunzipped"
    assert answer.headers["etag"].startswith('W/"')


def test_several_members_are_one_text(client: httpx.Client) -> None:
    noise = random.Random(1).randbytes(3 << 20)  # noqa: S311  # no secret
    put(client, gzip.compress(noise) + gzip.compress(TEXT))

    _, content = raw(client, PLAIN)

    assert content == noise + TEXT


@pytest.mark.parametrize(
    ("content", "cache_control"),
    [
        pytest.param(gzip.compress(TEXT), "public, no-transform", id="no-transform"),
        pytest.param(b"no gzip at all", "public", id="not packed"),
        pytest.param(b"", "public", id="empty"),
    ],
)
def test_what_is_not_to_be_unpacked_is_told_as_it_is(
    client: httpx.Client, content: bytes, cache_control: str
) -> None:
    put(client, content, cache_control=cache_control)

    answer, told = raw(client, PLAIN)

    assert told == content
    assert answer.headers["content-encoding"] == "gzip"


def test_packed_bytes_that_were_cut_break_the_answer_off(client: httpx.Client) -> None:
    put(client, gzip.compress(TEXT)[:-9])

    with pytest.raises(httpx.RemoteProtocolError):
        raw(client, PLAIN)

    assert client.get("/healthz").status_code == 200


def test_fields_are_told_alone_and_refused_before_anything_is_done(
    client: httpx.Client,
) -> None:
    path = "/upload/storage/v1/b/models/o?uploadType=media&name=shown"

    refused = client.post(f"{path}&fields=name,", content=b"hello")
    assert refused.status_code == 400
    assert client.get("/storage/v1/b/models/o/shown").status_code == 404
    told = client.post(f"{path}&fields=name,size", content=b"hello")
    listed = client.get(
        "/storage/v1/b/models/o?prefix=shown&fields=items(name),nextPageToken"
    )

    assert told.json() == {"name": "shown", "size": "5"}
    assert listed.json() == {"items": [{"name": "shown"}]}


def test_nothing_deleted_is_there(client: httpx.Client) -> None:
    put(client, b"live")

    listed = client.get("/storage/v1/b/models/o?softDeleted=true")
    got = client.get("/storage/v1/b/models/o/packed?softDeleted=true&generation=1")

    assert listed.json() == {"kind": "storage#objects"}
    assert got.status_code == 404
    assert "what is deleted is not kept" in got.json()["error"]["message"]
