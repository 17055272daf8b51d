"""A connection carries one request after another, whatever a client offers or sends."""

import http.client
import json
import pathlib
import urllib.parse
from typing import BinaryIO

import pytest

from refusals import connect
from servers import Server

pytestmark = pytest.mark.service
UPGRADE = (
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAEAAEAAAAIAAAAB",
)


@pytest.fixture(scope="module")
def endpoint(shared_server: Server, acting: pathlib.Path) -> str:
    name, operation = shared_server.deploy(acting)
    assert "response" in operation, operation
    return name


def _request(endpoint: str, body: bytes, *headers: str) -> bytes:
    lines = [
        f"POST /v1/{endpoint}:predict HTTP/1.1",
        "Host: localhost",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _answers(server: Server, *parts: bytes, count: int) -> list[tuple[int, object]]:
    """Send the parts on one connection; return status and JSON of each answer."""
    with connect(server) as connection, connection.makefile("rb") as answers:
        for part in parts:
            connection.sendall(part)
        return [_answer(answers) for _ in range(count)]


def _answer(answers: BinaryIO) -> tuple[int, object]:
    status = int(answers.readline().split()[1])
    headers = http.client.parse_headers(answers)
    return status, json.loads(answers.read(int(headers["content-length"])))


@pytest.mark.parametrize("offer", [UPGRADE, UPGRADE[1:], ()], ids=["h2c", "half", "no"])
def test_an_offered_upgrade_is_ignored(
    shared_server: Server, endpoint: str, offer: tuple[str, ...]
) -> None:
    body = b'{"instances": []}'

    ((status, answer),) = _answers(
        shared_server, _request(endpoint, body, *offer), count=1
    )

    # The body was read: it is what the refusal is about.
    assert status == 400
    assert "empty" in json.dumps(answer)


def test_an_upgrade_in_pieces_is_ignored_and_the_connection_goes_on(
    shared_server: Server, endpoint: str
) -> None:
    request = _request(endpoint, b'{"instances": []}', *UPGRADE)
    pieces = [request[begin : begin + 7] for begin in range(0, len(request), 7)]

    answers = _answers(shared_server, *pieces, *pieces, count=2)

    assert [status for status, _ in answers] == [400, 400]
    assert json.dumps(answers).count("empty") == 2


def test_websockets_are_no_protocol_of_this_server(shared_server: Server) -> None:
    status, _ = shared_server.call(
        "GET",
        "/healthz",
        headers={
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
        },
    )

    assert status == 200


def test_what_is_no_request_is_refused_and_the_connection_ends(
    shared_server: Server,
) -> None:
    for text in (
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\r\n",
    ):
        with connect(shared_server) as connection:
            connection.sendall(text)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))

            assert answer.split()[1] == b"400"


def test_a_connection_is_kept_and_answers_come_in_order(
    shared_server: Server, endpoint: str
) -> None:
    health = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    predict = _request(endpoint, b'{"instances": []}')

    answers = _answers(shared_server, predict + health + predict + health, count=4)

    assert [status for status, _ in answers] == [400, 200, 400, 200]


def test_a_long_answer_arrives_whole(shared_server: Server) -> None:
    address = urllib.parse.urlsplit(shared_server.url)
    stored = bytes(range(256)) * 2000
    shared_server.call("POST", "/storage/v1/b?project=p", {"name": "long-answers"})
    shared_server.call(
        "POST", "/upload/storage/v1/b/long-answers/o?uploadType=media&name=x", stored
    )
    connection = http.client.HTTPConnection(
        str(address.hostname), address.port, timeout=30
    )

    for _ in range(2):
        connection.request("GET", "/storage/v1/b/long-answers/o/x?alt=media")
        assert connection.getresponse().read() == stored
    connection.close()
