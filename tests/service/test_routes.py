"""Which requests a route takes: HEAD where GET is, a slash too many, no other verb."""

import http.client
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
    connection: http.client.HTTPConnection, path: str
) -> None:
    status, headers, _ = _asked(connection, "GET", path)

    told, told_headers, body = _asked(connection, "HEAD", path)

    assert (told, body) == (status, b"")
    assert told_headers["content-type"] == headers["content-type"]


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


def test_a_verb_that_a_path_does_not_have_is_refused_by_its_name(
    shared_server: Server,
) -> None:
    status, answer = shared_server.call("PUT", f"/v1/{PARENT}/operations/1")

    assert (status, answer["error"]["status"]) == (501, "UNIMPLEMENTED")
    assert f"PUT /v1/{PARENT}/operations/1 " in answer["error"]["message"]


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
