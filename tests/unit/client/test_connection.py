"""What a server answers, refuses, or does not answer, is told in one sentence."""

import _thread
import contextlib
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from homeport import errors
from homeport.client.connection import Address, Connection

Answer = tuple[int, Any] | Callable[[str], tuple[int, Any]]
Answering = Callable[[dict[str, Answer]], Connection]
PATH = "/v1/projects/p/locations/l/models/5"


@pytest.fixture
def answering() -> Iterator[Answering]:
    """Return a function that starts a server with these answers to GET, by path."""
    with contextlib.ExitStack() as stack:

        def start(answers: dict[str, Answer], **options: Any) -> Connection:
            class Handler(http.server.BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    answer = answers[self.path]
                    status, body = answer(self.path) if callable(answer) else answer
                    text = (
                        body if isinstance(body, bytes) else json.dumps(body).encode()
                    )
                    self.send_response(status)
                    self.send_header("content-length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)

                def log_message(self, *args: object) -> None:
                    del args

            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            stack.callback(server.server_close)
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            url = f"http://127.0.0.1:{server.server_port}"
            return stack.enter_context(Connection(Address(url, "p", "l"), **options))

        yield start


def refusal(status: int, name: str, message: str = "no") -> tuple[int, Any]:
    return status, {"error": {"code": status, "status": name, "message": message}}


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        pytest.param(404, "NOT_FOUND", errors.NotFoundError, id="not found"),
        pytest.param(400, "INVALID_ARGUMENT", errors.InvalidArgumentError, id="bad"),
        pytest.param(
            400, "FAILED_PRECONDITION", errors.FailedPreconditionError, id="state"
        ),
        pytest.param(409, "ABORTED", errors.AbortedError, id="aborted"),
        pytest.param(409, "ALREADY_EXISTS", errors.AlreadyExistsError, id="exists"),
        pytest.param(
            429, "RESOURCE_EXHAUSTED", errors.ResourceExhaustedError, id="full"
        ),
        pytest.param(503, "UNAVAILABLE", errors.UnavailableError, id="away"),
        pytest.param(500, "OF_THE_FUTURE", errors.HomeportError, id="unknown"),
    ],
)
def test_a_refusal_is_of_the_class_that_its_code_names(
    answering: Answering, status: int, name: str, kind: type[Exception]
) -> None:
    connection = answering({PATH: refusal(status, name, "the server's sentence")})

    with pytest.raises(errors.HomeportError, match="the server's sentence") as raised:
        connection.get(PATH)

    assert type(raised.value) is kind


def test_an_unknown_method_of_an_older_server_is_told_with_both_versions(
    answering: Answering,
) -> None:
    path = "/homeport/v1/projects/p/locations/l/endpoints/5/trafficStates"
    connection = answering(
        {path: refusal(404, "NOT_FOUND"), "/": (200, {"version": "0.0.1"})}
    )

    with pytest.raises(
        errors.UnimplementedError, match=r"the server is homeport 0\.0\.1"
    ):
        connection.get(path)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((502, b"<html>Bad Gateway</html>"), id="a proxy"),
        pytest.param((404, {"detail": "Not Found"}), id="another program"),
        pytest.param((200, b"<html>It works</html>"), id="a web page"),
        pytest.param((200, b"[]"), id="no object"),
        pytest.param((302, b""), id="a redirect"),
    ],
)
def test_what_is_no_homeport_is_told(
    answering: Answering, answer: tuple[int, Any]
) -> None:
    connection = answering({PATH: answer})

    with pytest.raises(errors.HomeportError, match="a homeport server\\?"):
        connection.get(PATH)


def test_an_answer_that_is_too_long_is_not_held(answering: Any) -> None:
    connection = answering(
        {PATH: (200, {"predictions": "x" * 2000})}, max_answer_bytes=1000
    )

    with pytest.raises(errors.ResourceExhaustedError, match="more than 1000 bytes"):
        connection.get(PATH)


def test_ctrl_c_says_what_goes_on_in_the_server(answering: Answering) -> None:
    name = "projects/p/locations/l/operations/7"
    asked: list[str] = []

    def poll(path: str) -> tuple[int, Any]:
        asked.append(path)
        if len(asked) == 2:
            _thread.interrupt_main()
        return 200, {"name": name}

    connection = answering({f"/v1/{name}": poll})

    with pytest.raises(KeyboardInterrupt) as interrupted:
        connection.wait({"name": name}, timeout_s=60)

    assert interrupted.value.__notes__ == [f"{name} goes on in the server"]


def test_a_server_that_is_away_is_told_with_its_address() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with (
            Connection(Address(url, "p", "l")) as connection,
            pytest.raises(errors.UnavailableError, match=f"no server .* {url}"),
        ):
            connection.get(PATH)


def test_a_server_that_hangs_is_told_apart_from_one_that_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with (
            Connection(Address(url, "p", "l"), timeout_s=0.5) as connection,
            pytest.raises(errors.DeadlineExceededError, match=r"for 0\.5 s"),
        ):
            connection.get(PATH)


def test_a_header_that_cannot_be_sent_is_no_silence_of_the_server(
    answering: Answering,
) -> None:
    connection = answering({PATH: (200, {})})

    for name in ("a b", "ä"):
        with pytest.raises(errors.InvalidArgumentError, match="cannot be sent"):
            connection.exchange("GET", PATH, headers={name: "1"})
