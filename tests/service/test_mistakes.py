"""Every mistake in a request is answered with its code, its cause and a remedy."""

import pathlib
from collections.abc import Callable

import pytest

from refusals import check_failure, check_refusal, exchange, request_head
from servers import PARENT, Server

pytestmark = pytest.mark.service
LIMIT_BYTES = 100_000
NOWHERE = f"{PARENT}/endpoints/1234567890"


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Server:
    return start_server(
        "--no-access-log",
        "--request-deadline=2",
        "--container-engine=none",
        f"--max-request-bytes={LIMIT_BYTES}",
    )


@pytest.fixture(scope="module")
def endpoint(server: Server, acting: pathlib.Path) -> str:
    name, operation = server.deploy(acting)
    assert "response" in operation, operation
    return name


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
    ],
)
def test_an_unknown_name_is_not_found(
    server: Server, method: str, path: str, body: object, words: list[str]
) -> None:
    reply = server.call(method, f"/v1/{path}", body)

    check_refusal(server, reply, 404, "NOT_FOUND", *words)


def test_an_unknown_method_is_not_implemented(server: Server) -> None:
    reply = server.call("POST", f"/v1/{NOWHERE}:explode", {})

    check_refusal(server, reply, 501, "UNIMPLEMENTED", ":explode", "docs/")


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


def test_a_custom_image_is_not_deployed_without_an_engine(
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

    words = [image, "--container-engine"]
    check_refusal(server, reply, 400, "FAILED_PRECONDITION", *words)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", "projects/p/locations/-l/models", id="list models"),
        pytest.param("POST", "projects/-p/locations/l/models:upload", id="upload"),
        pytest.param("GET", "projects/p/locations/-l/endpoints", id="list endpoints"),
        pytest.param("POST", "projects/-p/locations/l/endpoints", id="create"),
    ],
)
def test_a_project_or_location_that_is_none_is_refused(
    server: Server, method: str, path: str
) -> None:
    named = {"displayName": "m"}
    body = {"model": named} if path.endswith("upload") else named

    reply = server.call(method, f"/v1/{path}", body if method == "POST" else None)

    check_refusal(server, reply, 400, "INVALID_ARGUMENT", "is not a parent")


def test_a_number_of_lines_that_is_none_is_refused(
    server: Server, endpoint: str
) -> None:
    for lines in ("9" * 4400, "-1", "many"):
        reply = server.call("GET", f"/homeport/v1/{endpoint}/logs?lines={lines}")

        check_refusal(server, reply, 400, "INVALID_ARGUMENT", "lines is")
