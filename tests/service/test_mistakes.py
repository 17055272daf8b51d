"""Every mistake of a newcomer is answered with its code, its cause and a remedy."""

import io
import json
import pathlib
import socket
import threading
import urllib.parse
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from servers import PARENT, Server, wait_until

pytestmark = pytest.mark.service
SOURCES = pathlib.Path(__file__).parents[1] / "archives"
LIMIT_BYTES = 100_000
MANIFEST = json.dumps(
    {
        "runtime": "python",
        "model": {"modelName": "m", "modelVersion": "1", "handler": "handler.py"},
    }
).encode()
HANDLER = b"def handle(data, context):\n    return data\n"
NOWHERE = f"{PARENT}/endpoints/1234567890"


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Server:
    return start_server(
        "--no-access-log",
        "--request-deadline=2",
        f"--max-request-bytes={LIMIT_BYTES}",
    )


@pytest.fixture(scope="module")
def acting(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An archive whose handler does what each row tells it to."""
    from homeport.packing import pack  # noqa: PLC0415

    handler = str(SOURCES / "misbehaving/handler.py")
    spec = pack.PackSpec(model_name="acting", handler=handler)
    return pack.pack(spec, tmp_path_factory.mktemp("acting")).path


@pytest.fixture(scope="module")
def endpoint(server: Server, acting: pathlib.Path) -> str:
    """Where tests meet that end no process."""
    return deployed(server, acting)


@pytest.fixture
def own_endpoint(server: Server, acting: pathlib.Path) -> str:
    """Where a test may end processes."""
    return deployed(server, acting)


def deployed(server: Server, archive: pathlib.Path, **model: Any) -> str:
    name, operation = server.deploy(archive, **model)
    assert "response" in operation, operation
    return name


def check_refusal(
    server: Server, reply: tuple[int, Any], http: int, code: str, *words: str
) -> None:
    """Assert that a reply is a google.rpc.Status saying these words, and no path."""
    status, document = reply
    assert status == http, document
    error = document["error"]
    assert set(error) >= {"code", "message", "status"}
    assert (error["code"], error["status"]) == (http, code)
    check_sentence(server, error["message"], *words)


def check_failure(server: Server, operation: Any, code: int, *words: str) -> str:
    """Assert that an operation failed with a google.rpc.Code; return its message."""
    assert "response" not in operation, operation
    error = operation["error"]
    assert error["code"] == code, error
    check_sentence(server, error["message"], *words)
    return str(error["message"])


def check_sentence(server: Server, message: str, *words: str) -> None:
    assert [word for word in words if word not in message] == [], message
    assert str(server.data_dir) not in message


def exchange(server: Server, *parts: bytes) -> tuple[int, Any]:
    """Send bytes as they are on a connection of their own; return status and JSON."""
    with connect(server) as connection:
        for part in parts:
            connection.sendall(part)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def connect(server: Server) -> socket.socket:
    address = urllib.parse.urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout=30)


def request_head(path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


# Bodies of :predict


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b'{"instances": [1', ["not valid JSON"], id="cut off"),
        pytest.param(b"", ["not valid JSON"], id="empty"),
        pytest.param(b'{"instances": [NaN]}', ["not valid JSON"], id="NaN"),
        pytest.param(b"\xff\xfe", ["not valid JSON"], id="not UTF-8"),
        pytest.param(b"[1]", ["list", '{"instances": [...]}'], id="a bare list"),
        pytest.param(b"{}", ['no "instances"', '{"instances"'], id="no instances"),
        pytest.param(b'{"instances": []}', ["empty", "at least one"], id="none"),
        pytest.param(b'{"instances": {}}', ["object", "send a list"], id="object"),
        pytest.param(b'{"instances": "a"}', ["string", "send a list"], id="string"),
        pytest.param(b'{"instances": null}', ["null", "send a list"], id="null"),
        pytest.param(
            b'{"instances": [{"b64": "?"}]}', ["instance 0", "base64"], id="base64"
        ),
    ],
)
def test_a_body_that_is_no_request_is_refused(
    server: Server, endpoint: str, body: bytes, words: list[str]
) -> None:
    reply = server.predict(endpoint, body)

    check_refusal(server, reply, 400, "INVALID_ARGUMENT", *words)


def test_deep_nesting_is_refused(server: Server, endpoint: str) -> None:
    body = b'{"instances": ' + b"[" * 40_000 + b"]" * 40_000 + b"}"

    check_refusal(
        server, server.predict(endpoint, body), 400, "INVALID_ARGUMENT", "JSON"
    )


@pytest.mark.parametrize("path", [f"/v1/{PARENT}/endpoints", f"/v1/{NOWHERE}:predict"])
def test_a_body_over_the_limit_is_refused_by_its_declared_length(
    server: Server, path: str
) -> None:
    body = b'{"displayName": "' + b"x" * LIMIT_BYTES + b'"}'

    check_refusal(
        server,
        server.call("POST", path, body),
        400,
        "FAILED_PRECONDITION",
        f"{len(body)} bytes",
        f"exceeds the limit of {LIMIT_BYTES} bytes",
        "send less",
    )


@pytest.mark.parametrize("path", [f"/v1/{PARENT}/endpoints", f"/v1/{NOWHERE}:predict"])
def test_a_chunked_body_over_the_limit_is_refused(server: Server, path: str) -> None:
    head = request_head(path, "Transfer-Encoding: chunked")
    chunk = b"%x\r\n%s\r\n" % (LIMIT_BYTES // 2, b" " * (LIMIT_BYTES // 2))

    reply = exchange(server, head, chunk, chunk, chunk, b"0\r\n\r\n")

    words = (f"exceeds the limit of {LIMIT_BYTES} bytes", "send less")
    check_refusal(server, reply, 400, "FAILED_PRECONDITION", *words)


def test_an_upload_to_a_bucket_has_no_such_limit(
    server: Server, tmp_path: pathlib.Path
) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(3 * LIMIT_BYTES))

    assert server.upload_archive(large, "large") == "gs://models/large"


# Names that nothing has


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        pytest.param("POST", f"{NOWHERE}:predict", {}, ["1234567890"], id="predict"),
        pytest.param("GET", NOWHERE, None, ["1234567890"], id="endpoint"),
        pytest.param("DELETE", NOWHERE, None, ["1234567890"], id="delete endpoint"),
        pytest.param("GET", f"{PARENT}/models/77", None, ["models/77"], id="model"),
        pytest.param(
            "DELETE", f"{PARENT}/models/77", None, ["models/77"], id="delete model"
        ),
        pytest.param(
            "GET", f"{PARENT}/operations/5", None, ["operations/5"], id="operation"
        ),
        pytest.param(
            "POST", f"{NOWHERE}:explain", {}, ["not a method", "docs/"], id="method"
        ),
    ],
)
def test_an_unknown_name_is_not_found(
    server: Server, method: str, path: str, body: object, words: list[str]
) -> None:
    reply = server.call(method, f"/v1/{path}", body)

    check_refusal(server, reply, 404, "NOT_FOUND", *words)


@pytest.mark.parametrize("version", ["7", "candidate"])
def test_an_unknown_version_or_alias_is_not_found(
    server: Server, acting: pathlib.Path, version: str
) -> None:
    model = server.register(acting)["response"]["model"]
    wanted = f"{model}@{version}"
    endpoint = server.create_endpoint()
    request = {"deployedModel": {"model": wanted}, "trafficSplit": {"0": 100}}

    for reply in (
        server.call("GET", f"/v1/{wanted}"),
        server.call("POST", f"/v1/{endpoint}:deployModel", request),
    ):
        check_refusal(server, reply, 404, "NOT_FOUND", version)


def test_an_endpoint_without_traffic_says_how_to_give_it_some(server: Server) -> None:
    empty = server.create_endpoint()

    reply = server.predict(empty, {"instances": [1]})

    words = ("doesn't have traffic_split", '{"0": 100}')
    check_refusal(server, reply, 400, "FAILED_PRECONDITION", *words)


# Control bodies


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        pytest.param("models:upload", b"{", ["JSON"], id="malformed JSON"),
        pytest.param("models:upload", {}, ["model is missing"], id="no model"),
        pytest.param(
            "models:upload",
            {"model": {"displayName": "m", "artefactUri": "gs://a/b"}},
            ["artefactUri"],
            id="unknown field",
        ),
        pytest.param("endpoints", {"displayNam": "e"}, ["displayNam"], id="misspelt"),
        pytest.param("endpoints", {"displayName": 7}, ["displayName"], id="wrong type"),
        pytest.param("endpoints", {"displayName": ""}, ["display_name"], id="unnamed"),
        pytest.param(
            "models:upload",
            {"model": {"displayName": "m", "artifactUri": "/srv/model"}},
            ["'/srv/model'", "gs://bucket/path"],
            id="not a gs:// address",
        ),
        pytest.param(
            "models:upload",
            {
                "model": {
                    "displayName": "m",
                    "artifactUri": "gs://b/m",
                    "versionAliases": ["1st"],
                }
            },
            ["alias '1st'", "letters, digits"],
            id="bad alias",
        ),
        pytest.param(
            "models:upload",
            {
                "modelId": "My Model",
                "model": {"displayName": "m", "artifactUri": "gs://b/m"},
            },
            ["'My Model'", "a-z"],
            id="bad model id",
        ),
        pytest.param(
            "endpoints?endpointId=0abc",
            {"displayName": "e"},
            ["'0abc'", "digits"],
            id="bad endpoint id",
        ),
        pytest.param(
            "models:upload",
            {
                "model": {
                    "displayName": "m",
                    "artifactUri": "gs://b/m",
                    "containerSpec": {"env": [{"name": "AIP_PORT", "value": "1"}]},
                }
            },
            ["'AIP_PORT'", "AIP_"],
            id="reserved variable",
        ),
    ],
)
def test_a_bad_value_is_refused_by_its_name(
    server: Server, path: str, body: object, words: list[str]
) -> None:
    reply = server.call("POST", f"/v1/{PARENT}/{path}", body)
    if reply[0] == 200:  # checked in the background: the operation says it
        operation = server.wait(reply[1])
        check_failure(server, operation, 3, *words)
    else:
        check_refusal(server, reply, 400, "INVALID_ARGUMENT", *words)


@pytest.mark.parametrize(
    ("split", "words"),
    [
        pytest.param({"0": 50}, ["50", "100"], id="not 100"),
        pytest.param({"0": -20}, ["-20"], id="negative"),
        pytest.param({"9": 100}, ["9"], id="unknown deployed model"),
    ],
)
def test_a_traffic_split_that_does_not_add_up_is_refused(
    server: Server, acting: pathlib.Path, split: dict[str, int], words: list[str]
) -> None:
    model = server.register(acting)["response"]["model"]
    endpoint = server.create_endpoint()
    request = {"deployedModel": {"model": model}, "trafficSplit": split}

    reply = server.call("POST", f"/v1/{endpoint}:deployModel", request)

    check_refusal(server, reply, 400, "INVALID_ARGUMENT", *words)
    assert server.call("GET", f"/v1/{endpoint}")[1].get("deployedModels", []) == []


def test_a_custom_image_is_not_deployed_here(
    server: Server, acting: pathlib.Path
) -> None:
    image = "example.com/mine:1"
    registered = server.register(acting, containerSpec={"imageUri": image})
    endpoint = server.create_endpoint()
    request = {
        "deployedModel": {"model": registered["response"]["model"]},
        "trafficSplit": {"0": 100},
    }

    reply = server.call("POST", f"/v1/{endpoint}:deployModel", request)

    check_refusal(server, reply, 501, "UNIMPLEMENTED", image, ".mar")


# Archives


def zipped(*members: tuple[str, bytes], deflated: bool = False) -> bytes:
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def mar(*members: tuple[str, bytes], deflated: bool = False) -> bytes:
    own = (("MAR-INF/MANIFEST.json", MANIFEST), ("handler.py", HANDLER))
    return zipped(*own, *members, deflated=deflated)


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        pytest.param(
            {"model.mar": b"not a zip at all"}, 3, ["zip", "pack"], id="not a zip"
        ),
        pytest.param({"model.mar": b""}, 3, ["is empty", "again"], id="empty"),
        pytest.param({"model.mar": mar()[:-30]}, 3, ["archive"], id="cut off"),
        pytest.param(
            {"model.mar": zipped(("handler.py", HANDLER))},
            3,
            ["MANIFEST.json", "homeport pack"],
            id="no manifest",
        ),
        pytest.param(
            {"model.mar": zipped(("MAR-INF/MANIFEST.json", MANIFEST))},
            3,
            ["handler.py", "not in the archive"],
            id="no handler file",
        ),
        pytest.param(
            {"model.mar": mar(("../escaped.py", b""))},
            3,
            ["'../escaped.py'", "outside the archive"],
            id="escapes",
        ),
        pytest.param(
            {"model.mar": mar(("zeros.bin", bytes(2 << 20)), deflated=True)},
            3,
            ["zeros.bin", "2097152 bytes", "uncompressed"],
            id="bomb",
        ),
        pytest.param(
            {"readme.txt": b"hello", "weights.pt": b"PK"},
            9,
            ["no .mar archive", "readme.txt", "homeport pack"],
            id="no archive",
        ),
        pytest.param(
            {"a.mar": mar(), "b.mar": mar()},
            9,
            ["more than one", "a.mar", "b.mar", "folder"],
            id="two archives",
        ),
        pytest.param({}, 5, ["nothing is stored at gs://"], id="nothing"),
    ],
)
def test_what_is_no_archive_becomes_no_version(
    server: Server,
    request: pytest.FixtureRequest,
    files: dict[str, bytes],
    code: int,
    words: list[str],
) -> None:
    name = urllib.parse.quote(request.node.callspec.id, safe="").replace("%20", "-")
    server.call("POST", "/storage/v1/b?project=p", {"name": "bad-models"})
    for path, content in files.items():
        upload = "/upload/storage/v1/b/bad-models/o?uploadType=media"
        server.call("POST", f"{upload}&name={name}/{path}", content)
    model = {"displayName": name, "artifactUri": f"gs://bad-models/{name}"}

    reply = server.call("POST", f"/v1/{PARENT}/models:upload", {"model": model})

    assert reply[0] == 200, reply
    check_failure(server, server.wait(reply[1]), code, *words)
    wanted = urllib.parse.quote(f'display_name="{name}"')
    assert server.call("GET", f"/v1/{PARENT}/models?filter={wanted}") == (200, {})


# Handlers that do not load


@pytest.fixture
def hand_made(tmp_path: pathlib.Path) -> Callable[[str], pathlib.Path]:
    """Return a function that makes an archive nobody looked at before."""

    def make(source: str) -> pathlib.Path:
        path = tmp_path / "model.mar"
        manifest = ("MAR-INF/MANIFEST.json", MANIFEST)
        path.write_bytes(zipped(manifest, ("handler.py", source.encode())))
        return path

    return make


@pytest.mark.parametrize(
    ("source", "words"),
    [
        pytest.param(
            "def handle(data, context)\n    return data\n",
            ["handler.py", "SyntaxError", "Correct the code"],
            id="syntax error",
        ),
        pytest.param(
            "import no_such_package\n\ndef handle(data, context): return data\n",
            [
                "handler.py line 1",
                "No module named 'no_such_package'",
                "install it where the server runs",
                "Traceback",
            ],
            id="missing package",
        ),
        pytest.param(
            "def predict(data): return data\n",
            ["neither a function handle", "subclass of BaseHandler"],
            id="no entry point",
        ),
        pytest.param(
            "import os\n\nclass Handler:\n    def initialize(self, context):\n"
            "        print('giving up', flush=True)\n        os._exit(3)\n\n"
            "    def handle(self, data, context): return data\n",
            ["exited with code 3", "giving up"],
            id="exits",
        ),
        pytest.param(
            "class Handler:\n    def initialize(self, context):\n"
            "        open('missing.txt')\n\n"
            "    def handle(self, data, context): return data\n",
            ["handler.py line 3", "missing.txt", "--extra-files"],
            id="missing file",
        ),
    ],
)
def test_a_handler_that_does_not_load_is_explained(
    server: Server,
    hand_made: Callable[[str], pathlib.Path],
    source: str,
    words: list[str],
) -> None:
    endpoint, operation = server.deploy(hand_made(source))

    assert operation["error"]["code"] in {9, 14}
    check_failure(server, operation, operation["error"]["code"], *words)
    left = server.call("GET", f"/v1/{endpoint}")[1]
    assert left.get("deployedModels", []) == []
    assert server.call("GET", "/readyz")[0] == 200


def test_no_error_repeats_an_environment_secret(
    server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    source = (
        "import os\n\nclass Handler:\n    def initialize(self, context):\n"
        "        token = os.environ['API_TOKEN']\n"
        "        print('connecting with', token)\n"
        "        raise ValueError(f'{token} was refused')\n\n"
        "    def handle(self, data, context): return data\n"
    )
    secret = "hunter2-hunter2"  # noqa: S105  # that of the test
    multiline = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----"
    variables = [
        {"name": "API_TOKEN", "value": f"{secret}\n{multiline}"},
    ]

    _, operation = server.deploy(archived(source), containerSpec={"env": variables})

    words = ("handler.py line 7 raised ValueError", "connecting with [API_TOKEN]")
    message = check_failure(server, operation, 9, *words, "Traceback")
    for line in (secret, *multiline.splitlines()):
        assert line not in message
        assert line not in server.log()


# Handlers that fail while they serve


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
    with warnings.catch_warnings(), connect(server) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 400")
    assert server.call("GET", "/healthz") == (200, {"status": "ok"})
