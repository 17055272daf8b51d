"""What the server's log says of failures: ours once, a client that left not at all."""

import contextlib
import pathlib
import socket
import sqlite3
import urllib.parse
from collections.abc import Iterator

import pytest

from servers import PARENT, Server, running, wait_until

pytestmark = pytest.mark.service


@pytest.fixture
def server(tmp_path: pathlib.Path) -> Iterator[Server]:
    with running(Server(tmp_path / "data")) as started:
        yield started


def _leave_in_mid_body(server: Server, path: str) -> None:
    there = urllib.parse.urlsplit(server.url)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {there.netloc}\r\ncontent-length: 100\r\n\r\n"
    )
    with socket.create_connection((there.hostname, there.port), 60) as connection:
        connection.sendall(head.encode() + b'{"displayName"')


def test_a_failure_of_ours_is_logged_once(server: Server) -> None:
    with contextlib.closing(sqlite3.connect(server.data_dir / "homeport.db")) as rows:
        rows.execute("DROP TABLE batch_jobs")
    path = f"/v1/{PARENT}/batchPredictionJobs/1"

    status, answer = server.call("GET", path)

    assert (status, answer["error"]["status"]) == (500, "INTERNAL")
    # The access log comes after what is said of the failure.
    wait_until(lambda: f"GET {path} 500" in server.log())
    assert server.log().count(f"GET {path} failed") == 1
    assert "Exception in ASGI application" not in server.log()


def test_a_client_that_leaves_in_mid_body_is_no_failure(server: Server) -> None:
    path = f"/v1/{PARENT}/endpoints"

    _leave_in_mid_body(server, path)

    wait_until(lambda: f"POST {path} " in server.log())
    assert f"POST {path} 499 0B" in server.log()
    assert "Traceback" not in server.log()
