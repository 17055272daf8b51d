"""A handler that fails while it serves fails its own request and nobody else's."""

import pathlib
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from homeport.packing import pack
from liveness import is_running
from refusals import check_failure, check_refusal, connect, request_head
from servers import Server, wait_until

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Server:
    return start_server(
        "--no-access-log", "--request-deadline=2", f"--worker-memory-bytes={400 << 20}"
    )


@pytest.fixture(scope="module")
def endpoint(server: Server, acting: pathlib.Path) -> str:
    """Where tests meet that end no process."""
    return deployed(server, acting)


@pytest.fixture
def own_endpoint(server: Server, acting: pathlib.Path) -> str:
    """Where a test may end processes."""
    return deployed(server, acting)


def deployed(server: Server, archive: pathlib.Path) -> str:
    name, operation = server.deploy(archive)
    assert "response" in operation, operation
    return name


def test_a_row_of_the_wrong_shape_is_the_callers_mistake(
    server: Server, mlp_archive: pathlib.Path
) -> None:
    endpoint = deployed(server, mlp_archive)

    wide = server.predict(endpoint, {"instances": [[1.0, 2.0]]})
    ragged = server.predict(endpoint, {"instances": [[1.0, 2.0, 3.0, 4.0], [1.0]]})

    check_refusal(server, wide, 400, "INVALID_ARGUMENT", "shape (1, 2)")
    check_refusal(server, ragged, 400, "INVALID_ARGUMENT", "one shape")
    assert len(server.ask(endpoint, [1.0, 2.0, 3.0, 4.0])) == 1


@pytest.mark.parametrize(
    ("row", "http", "code", "words"),
    [
        pytest.param(
            {"too_many": 1},
            500,
            "INTERNAL",
            ["2 results for 1 instance", "one prediction for each"],
            id="wrong number of results",
        ),
        pytest.param(
            {"do": "raise", "value": "no such user"},
            500,
            "INTERNAL",
            ["the handler raised ValueError: no such user"],
            id="raises",
        ),
        pytest.param(
            {"do": "refuse"}, 404, "NOT_FOUND", ["no such user"], id="chooses a code"
        ),
        pytest.param({"do": "nan"}, 500, "INTERNAL", ["NaN", "postprocess"], id="NaN"),
        pytest.param({"do": "object"}, 500, "INTERNAL", ["type object"], id="not JSON"),
    ],
)
def test_a_handler_fails_only_the_request_it_fails(
    server: Server,
    endpoint: str,
    row: dict[str, Any],
    http: int,
    code: str,
    words: list[str],
) -> None:
    good = {"instances": [{"value": 1}]}
    replies = [server.predict(endpoint, body) for body in (good, good)]

    bad = server.predict(endpoint, {"instances": [row]})
    replies.append(server.predict(endpoint, good))

    check_refusal(server, bad, http, code, *words)
    assert [status for status, _ in replies] == [200, 200, 200]


def test_many_at_once_fail_alone(server: Server, endpoint: str) -> None:
    def ask(index: int) -> None:
        bad = {"do": "raise", "value": str(index)}
        row = bad if index % 3 == 0 else {"value": index}
        replies[index] = server.predict(endpoint, {"instances": [row]})

    replies: dict[int, tuple[int, Any]] = {}
    at_once([lambda index=index: ask(index) for index in range(24)])  # type: ignore[misc]  # mypy infers no default

    for index, (status, answer) in replies.items():
        if index % 3 == 0:
            words = f"ValueError: {index}"
            check_refusal(server, (status, answer), 500, "INTERNAL", words)
        else:
            assert answer["predictions"] == [index]


def at_once(calls: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)


def test_a_handler_that_never_returns_is_replaced(
    server: Server, own_endpoint: str
) -> None:
    hanging = {"instances": [{"do": "sleep", "value": 3600}]}

    reply = server.predict(own_endpoint, hanging)

    check_refusal(server, reply, 504, "DEADLINE_EXCEEDED", "within 2 s", "stuck")
    server.wait_ready()
    assert server.ask(own_endpoint, {"value": 1}) == [1]


def test_a_handler_that_exceeds_its_own_response_timeout_is_replaced(
    start_server: Callable[..., Server], tmp_path: pathlib.Path
) -> None:
    # Its request deadline is 60 s.
    server = start_server("--no-access-log")
    config = tmp_path / "limits.yaml"
    config.write_text("responseTimeout: 0.5\n")
    handler = pathlib.Path(__file__).parents[1] / "archives/misbehaving/handler.py"
    spec = pack.PackSpec(model_name="slow", handler=str(handler), config_file=config)
    endpoint = deployed(server, pack.pack(spec, tmp_path).path)

    reply = server.predict(endpoint, {"instances": [{"do": "sleep", "value": 3600}]})

    words = ["within 0.5 s", "responseTimeout in limits.yaml"]
    check_refusal(server, reply, 504, "DEADLINE_EXCEEDED", *words)
    server.wait_ready()
    assert server.ask(endpoint, {"value": 1}) == [1]


def test_a_handler_that_exits_takes_only_its_own_requests_along(
    server: Server, endpoint: str, own_endpoint: str
) -> None:
    dying = {"instances": [{"do": "kill"}]}
    answers: list[tuple[int, Any]] = []
    others: list[int] = []
    sleeping = {"instances": [{"do": "sleep", "value": 0.5}]}

    at_once(
        [
            lambda: answers.append(server.predict(own_endpoint, dying)),
            lambda: others.append(server.predict(endpoint, sleeping)[0]),
        ]
    )

    check_refusal(server, answers[0], 503, "UNAVAILABLE", "SIGKILL")
    assert others == [200]
    server.wait_ready()
    assert server.ask(own_endpoint, {"value": 1}) == [1]


def test_without_a_replica_the_answer_is_to_retry(
    server: Server, own_endpoint: str
) -> None:
    # What comes after the first death waits for the next replica.
    for _ in range(2):
        server.predict(own_endpoint, {"instances": [{"do": "exit", "value": 4}]})

    reply = server.predict(own_endpoint, {"instances": [{"value": 1}]})

    check_refusal(server, reply, 503, "UNAVAILABLE", "retry in a moment")
    server.wait_ready()


# Clients that leave


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("", id="in the body"),
        pytest.param('{"instances": [{"do": "sleep", "value": 0.3}]}', id="waiting"),
    ],
)
def test_a_client_that_leaves_is_missed_by_nobody(
    server: Server, endpoint: str, said: str
) -> None:
    length = len(said) or 1000
    head = request_head(f"/v1/{endpoint}:predict", f"Content-Length: {length}")
    for _ in range(5):
        with connect(server) as connection:
            connection.sendall(head + said.encode())

    assert server.ask(endpoint, {"value": 1}) == [1]
    wait_until(lambda: "homeport_predictions_queued{" in metrics(server))
    assert "a prediction failed" not in server.log()


def metrics(server: Server) -> str:
    return str(server.call("GET", "/metrics")[1])


def test_a_body_cut_off_by_a_half_close_is_no_request(
    server: Server, endpoint: str
) -> None:
    head = request_head(f"/v1/{endpoint}:predict", "Content-Length: 1000")
    with connect(server) as connection:
        connection.sendall(head + b'{"instances"')
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)

    assert not answer.startswith(b"HTTP/1.1 200")
    assert server.ask(endpoint, {"value": 1}) == [1]


def test_what_is_no_http_is_refused_without_a_trace(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 400")
    assert server.call("GET", "/healthz") == (200, {"status": "ok"})


def test_a_handler_that_leaks_is_replaced_and_its_log_says_why(
    server: Server, own_endpoint: str
) -> None:
    leak = {"do": "leak", "value": 150 << 20}
    leaked = [server.ask(own_endpoint, leak)[0] for _ in range(2)]

    # A third is more than it may take: its answer may come before the next look.
    server.predict(own_endpoint, {"instances": [leak]})

    wait_until(lambda: "--worker-memory-bytes allows 400 MiB" in server.log())
    assert leaked == [150 << 20, 300 << 20]
    # The one that is told of may answer once more before it is gone.
    nothing = {"instances": [{"do": "leak", "value": 0}]}
    wait_until(
        lambda: server.predict(own_endpoint, nothing)[1].get("predictions") == [0]
    )


TAKES_MUCH = """
class Handler:
    def initialize(self, context):
        self.weights = b"x" * (450 << 20)

    def handle(self, data, context):
        return data
"""


def test_a_model_that_takes_too_much_when_it_is_loaded_is_not_deployed(
    server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    _, operation = server.deploy(archived(TAKES_MUCH))

    words = ("MiB of memory, and --worker-memory-bytes allows 400 MiB", "larger")
    check_failure(server, operation, 8, *words)


def test_what_a_handler_started_ends_when_it_is_undeployed(
    server: Server, own_endpoint: str
) -> None:
    (child,) = server.ask(own_endpoint, {"do": "grandchild"})
    assert is_running(child)
    (deployed,) = server.call("GET", f"/v1/{own_endpoint}")[1]["deployedModels"]
    path, body = (
        f"/v1/{own_endpoint}:undeployModel",
        {"deployedModelId": deployed["id"]},
    )

    server.wait(server.call("POST", path, body)[1])

    wait_until(lambda: not is_running(child))


FORKS = """
import os


def handle(data, context):
    if data and data[0] == "fork":
        os.fork()
    return data and [os.getpid()] * len(data)
"""


def test_of_a_handler_that_forks_one_process_answers(
    server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    endpoint = deployed(server, archived(FORKS))
    (pid,) = server.ask(endpoint, "tell")

    for _ in range(5):
        server.ask(endpoint, "fork")
    answers = [server.ask(endpoint, "tell") for _ in range(20)]

    assert answers == [[pid]] * 20
