"""Which requests a route takes: HEAD where GET is, a slash too many, no other verb."""

import http.client
import socket
import urllib.parse
from collections.abc import Iterator

import pytest

from servers import PARENT, Server

pytestmark = pytest.mark.service


@pytest.fixture
def connection(shared_server: Server) -> Iterator[http.client.HTTPConnection]:
    there = urllib.parse.urlsplit(shared_server.url)
    connection = http.client.HTTPConnection(there.netloc, timeout=60)
    yield connection
    connection.close()


def _asked(
    connection: http.client.HTTPConnection, verb: str, path: str
) -> tuple[int, dict[str, str], bytes]:
    connection.request(verb, path)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def _asked_twice(server: Server, verb: str, path: str) -> tuple[str, str]:
    """Return the head of an answer, and all that follows it when GET is asked next.

    By a socket: http.client reads no body behind HEAD, whether there is one or not.
    """
    there = urllib.parse.urlsplit(server.url)
    fields = f"{path} HTTP/1.1\r\nhost: {there.netloc}\r\n"
    with socket.create_connection((there.hostname, there.port), 60) as connection:
        connection.sendall(f"{verb} {fields}\r\n".encode())
        received = b""
        while b"\r\n\r\n" not in received:
            more = connection.recv(1 << 16)
            assert more, received
            received += more
        connection.sendall(f"GET {fields}connection: close\r\n\r\n".encode())
        while more := connection.recv(1 << 16):
            received += more
    head, _, behind = received.decode().partition("\r\n\r\n")
    return head + "\r\n", behind


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/healthz", id="health"),
        pytest.param(f"/v1/{PARENT}/operations", id="operations"),
        pytest.param(f"/v1/{PARENT}/models", id="models"),
        pytest.param(f"/v1/{PARENT}/endpoints/1", id="nothing there"),
        pytest.param(f"/homeport/v1/{PARENT}/history?pageSize=1", id="our own"),
    ],
)
def test_head_tells_what_get_would_without_a_body(
    connection: http.client.HTTPConnection, shared_server: Server, path: str
) -> None:
    status, headers, _ = _asked(connection, "GET", path)

    told, behind = _asked_twice(shared_server, "HEAD", path)

    assert told.startswith(f"HTTP/1.1 {status} ")
    assert f"content-type: {headers['content-type']}\r\n" in told
    # A body would stand before the next answer.
    assert behind.startswith(f"HTTP/1.1 {status} ")


def test_the_object_stores_json_api_has_no_head(shared_server: Server) -> None:
    listing = "/storage/v1/b?project=p"

    assert shared_server.call("GET", listing)[0] == 200
    assert shared_server.call("HEAD", listing)[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/healthz", id="our own"),
        pytest.param(f"/ui/{PARENT}/operations/1", id="under a version"),
    ],
)
def test_a_slash_too_many_leads_to_the_method_on_the_same_host(
    connection: http.client.HTTPConnection, shared_server: Server, path: str
) -> None:
    status, headers, _ = _asked(connection, "GET", f"{path}/?page_size=2")

    assert status == 307
    assert headers["location"] == f"{shared_server.url}{path}?page_size=2"


@pytest.mark.parametrize("verb", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/v1", "/v1beta1", "/ui"])
def test_a_version_alone_is_no_method_and_leads_nowhere(
    connection: http.client.HTTPConnection, verb: str, path: str
) -> None:
    status, _, body = _asked(connection, verb, path)

    assert status == 404
    assert f"{verb} {path} is not a method of this server" in body.decode()


def test_a_verb_that_a_path_does_not_have_is_refused_by_its_name(
    shared_server: Server,
) -> None:
    status, answer = shared_server.call("PUT", f"/v1/{PARENT}/operations/1")

    assert (status, answer["error"]["status"]) == (501, "UNIMPLEMENTED")
    assert f"PUT /v1/{PARENT}/operations/1 " in answer["error"]["message"]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/v1/{}/1:cancel", id="a verb that is not GET's"),
        pytest.param("/homeport/v1/{}/1%202/logs", id="our own"),
    ],
)
def test_what_cannot_name_a_job_is_refused(shared_server: Server, path: str) -> None:
    jobs = f"{PARENT}/batchPredictionJobs"

    status, answer = shared_server.call("GET", path.format(jobs))

    assert status == 400, answer
    assert "is not a batch prediction job" in answer["error"]["message"]


def test_parts_of_a_path_are_read_as_they_were_meant(shared_server: Server) -> None:
    alias = f"/homeport/v1/{PARENT}/models/m/aliases/a%20b"

    status, answer = shared_server.call("GET", alias)

    assert status == 400, answer
    assert "'a b'" in answer["error"]["message"]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(f"/v1/{PARENT}/endpoints/1%0A2", id="a line feed"),
        pytest.param(f"/v1/{PARENT}/endpoints/1%0A", id="a line feed at the end"),
        pytest.param("/nowhere%0A", id="where nothing is"),
    ],
)
def test_a_line_feed_is_named_in_the_answer(shared_server: Server, path: str) -> None:
    status, answer = shared_server.call("GET", path)

    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
    named = repr(urllib.parse.unquote(path))
    assert answer["error"]["message"].startswith(f"GET {named} has control characters")


@pytest.mark.parametrize("odd", ["1%092", "1%0D2", "12%3Fa", "12%23a"])
@pytest.mark.parametrize(
    "collection",
    [
        "batchPredictionJobs",
        "operations",
        "models/m/evaluations",
        "models/m/evaluations/1/slices",
    ],
)
def test_no_character_of_a_name_is_passed_over(
    shared_server: Server, collection: str, odd: str
) -> None:
    path = f"/v1/{PARENT}/{collection}/{odd}"

    status, answer = shared_server.call("GET", path)

    # 12 would be a name, of nothing that is there.
    assert status == 400, answer
    assert repr(urllib.parse.unquote(odd))[1:-1] in answer["error"]["message"]
