import contextlib
import http.server
import logging
import socket
import threading
from collections.abc import Iterator

import pytest

from homeport.errors import (
    FailedPreconditionError,
    HomeportError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)
from homeport.objects.addresses import StoreAddress
from homeport.objects.stores import Store, open_store

QUOTED = "hunter2"


@contextlib.contextmanager
def answering(status: int) -> Iterator[Store]:
    """Yield a store that answers every request so, with a secret in its body."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"<Error><Code>{QUOTED}</Code></Error>".encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield store_at(f"127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


def store_at(host: str) -> Store:
    address = StoreAddress.parse(
        f"s3://lab/a?endpoint=http://{host}&region=us-east-1&anonymous=true"
    )
    return open_store(address, {}, [host])


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, PermissionDeniedError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (500, UnavailableError),
        (503, UnavailableError),
        (400, UnavailableError),
    ],
)
def test_what_a_store_answers_is_told_without_what_it_says(
    caplog: pytest.LogCaptureFixture, status: int, error: type[HomeportError]
) -> None:
    caplog.set_level(logging.DEBUG)

    with answering(status) as store, pytest.raises(error, match="s3://lab/a/") as told:
        store.read("m?x", 0, 10)

    assert QUOTED not in told.value.message + caplog.text


def test_a_store_that_is_away_is_unavailable() -> None:
    with socket.socket() as taken:  # and not listening
        taken.bind(("127.0.0.1", 0))
        store = store_at(f"127.0.0.1:{taken.getsockname()[1]}")

        with pytest.raises(UnavailableError, match="does not answer"):
            store.head("m")


@pytest.mark.parametrize("key", ["a//b", "../a", "a\nb"])
def test_a_key_that_no_path_can_name_is_refused_before_it_is_sent(key: str) -> None:
    with pytest.raises(HomeportError, match="plain path"):
        store_at("127.0.0.1:9").head(key)


def test_credentials_that_cannot_be_read_are_not_quoted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", f'{{"private_key": "{QUOTED}"')

    with pytest.raises(FailedPreconditionError, match="credentials") as told:
        open_store(StoreAddress.parse("gs://lab"), {}, [])

    assert QUOTED not in told.value.message
    assert told.value.__cause__ is None


def test_an_endpoint_of_the_variables_is_checked_too() -> None:
    variables = {"AWS_ENDPOINT_URL": "https://127.0.0.1:9000"}

    with pytest.raises(FailedPreconditionError, match="--private-endpoint"):
        open_store(StoreAddress.parse("s3://lab"), variables, [])
