"""Every verb of a model over REST, answered by a handler in a real worker."""

import base64
import http.client
import json
import pathlib
import urllib.parse
from typing import Any

import pytest
import torch

from homeport.packing import pack
from servers import Server

pytestmark = pytest.mark.service

SOURCE = pathlib.Path(__file__).parents[1] / "archives/many_sided"
FLOATS = {"dtype": "FLOAT", "shape": [3], "floatVal": [2.0, 3.0, 5.0]}


@pytest.fixture(scope="module")
def endpoint(
    shared_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Server, str]:
    folder = tmp_path_factory.mktemp("many_sided")
    weights = folder / "weights.pt"
    torch.save({"weight": torch.ones(())}, weights)
    spec = pack.PackSpec(
        model_name="many_sided",
        handler=str(SOURCE / "handler.py"),
        model_file=SOURCE / "model.py",
        serialized_file=weights,
    )
    made = pack.pack(spec, folder)
    name, operation = shared_server.deploy(made.path)
    assert "response" in operation, operation
    return shared_server, name


def post(
    server: Server, path: str, body: bytes, content_type: str = "", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    """Return the response to one request, and its whole body."""
    connection = http.client.HTTPConnection(
        urllib.parse.urlsplit(server.url).netloc, timeout=60
    )
    typed = {"content-type": content_type} if content_type else {}
    try:
        connection.request("POST", path, body, typed | headers)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def ask(endpoint: tuple[Server, str], verb: str, body: object) -> Any:
    server, name = endpoint
    status, answer = server.call("POST", f"/v1/{name}:{verb}", body)
    assert status == 200, answer
    return answer


def test_raw_bytes_reach_the_handler_and_its_own_come_back(
    endpoint: tuple[Server, str],
) -> None:
    server, name = endpoint

    response, body = post(
        server, f"/v1/{name}:rawPredict", b"\x01\x02\x03", "image/png"
    )

    assert (response.status, body) == (200, b"\x03\x02\x01")
    assert response.headers["content-type"] == "image/x-reversed"
    assert response.headers["x-length"] == "3"
    named = server.call("GET", f"/v1/{name}")[1]["deployedModels"][0]
    assert response.headers["X-Vertex-AI-Endpoint-Id"] == name.rpartition("/")[2]
    assert response.headers["X-Vertex-AI-Deployed-Model-Id"] == named["id"]
    assert response.headers["X-Vertex-AI-Model"] == named["model"]
    assert response.headers["X-Vertex-AI-Model-Version-Id"] == "1"


def test_a_raw_predict_body_is_answered_as_predict_is(
    endpoint: tuple[Server, str],
) -> None:
    body = {"instances": [[2.0, 3.0, 5.0]]}

    assert ask(endpoint, "rawPredict", body) == {"predictions": [16.0]}


@pytest.mark.parametrize("within", ["", "/deployedModels/{deployed}"])
def test_any_route_reaches_the_handler_with_headers_but_no_credentials(
    endpoint: tuple[Server, str], within: str
) -> None:
    server, name = endpoint
    named = server.call("GET", f"/v1/{name}")[1]["deployedModels"][0]
    path = f"/v1/{name}{within.format(deployed=named['id'])}/invoke/any/where"

    response, body = post(
        server,
        path,
        b'{"a": 1}',
        "application/json",
        **{"X-Mine": "7", "Cookie": "secret"},
    )

    answer = json.loads(body)
    assert (response.status, answer["given"]) == (202, {"a": 1})
    assert answer["headers"]["url_path"] == "any/where"
    assert answer["headers"]["x-mine"] == "7"
    assert "secret" not in body.decode()


def test_the_generated_clients_own_json_around_a_body_is_opened_and_answered(
    endpoint: tuple[Server, str],
) -> None:
    data = base64.b64encode(b"abc").decode()
    body = {"httpBody": {"contentType": "image/png", "data": data}}

    answer = ask(endpoint, "rawPredict", body)

    assert answer == {
        "contentType": "image/x-reversed",
        "data": base64.b64encode(b"cba").decode(),
    }


def test_a_stream_comes_in_the_handlers_pieces(endpoint: tuple[Server, str]) -> None:
    server, name = endpoint

    response, body = post(
        server, f"/v1/{name}:streamRawPredict", b"one two three", "text/plain"
    )

    assert response.headers["transfer-encoding"] == "chunked"
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["X-Vertex-AI-Model-Version-Id"] == "1"
    assert body == b"one\ntwo\nthree"


def test_tensors_are_predicted_directly(endpoint: tuple[Server, str]) -> None:
    answer = ask(endpoint, "directPredict", {"inputs": [FLOATS, FLOATS]})

    sixteen = {"dtype": "DOUBLE", "doubleVal": [16.0]}
    assert answer == {"outputs": [sixteen, sixteen]}


def test_tensors_are_predicted_in_a_stream(endpoint: tuple[Server, str]) -> None:
    answer = ask(endpoint, "serverStreamingPredict", {"inputs": [FLOATS]})

    assert answer == [{"outputs": [{"dtype": "DOUBLE", "doubleVal": [16.0]}]}]


def test_direct_raw_bytes_come_back_as_the_handlers(
    endpoint: tuple[Server, str],
) -> None:
    data = base64.b64encode(b"abc").decode()

    answer = ask(endpoint, "directRawPredict", {"methodName": "/m", "input": data})

    assert answer == {"output": base64.b64encode(b"cba").decode()}


def test_an_explanation_is_the_integrated_gradients_of_the_model(
    endpoint: tuple[Server, str],
) -> None:
    server, name = endpoint
    named = server.call("GET", f"/v1/{name}")[1]["deployedModels"][0]
    body = {
        "instances": [[2.0, 3.0, 5.0], [1.0, 0.0, -1.0]],
        "deployedModelId": named["id"],
    }

    answer = ask(endpoint, "explain", body)

    first, second = (one["attributions"][0] for one in answer["explanations"])
    assert first["featureAttributions"] == pytest.approx({"a": 3, "b": 3, "c": 10})
    assert second["featureAttributions"] == pytest.approx({"a": 0, "b": 0, "c": -2})
    assert first["instanceOutputValue"] == 16.0
    assert answer["predictions"] == [16.0, -2.0]
    assert answer["deployedModelId"] == named["id"]
    assert (answer["modelVersionId"], answer["modelDisplayName"]) == (
        "1",
        "many_sided",
    )


@pytest.mark.parametrize(
    ("verb", "body", "http", "words"),
    [
        pytest.param("explain", b"[]", 400, "no JSON object", id="explain nothing"),
        pytest.param(
            "explain",
            b'{"instances": [1], "deployedModelId": "99"}',
            404,
            "no deployed model '99'",
            id="an unknown deployed model",
        ),
        pytest.param(
            "directPredict",
            b'{"inputs": [{"shape": [2], "floatVal": [1]}]}',
            400,
            "holds 1 elements",
            id="a tensor that lacks elements",
        ),
        pytest.param("directPredict", b"{}", 400, '"inputs" is empty', id="no tensors"),
        pytest.param(
            "serverStreamingPredict",
            b"{}",
            400,
            '"inputs" is empty',
            id="no tensors to stream for",
        ),
        pytest.param(
            "predict",
            b'{"instances": [[1]], "paramters": {}}',
            400,
            "paramters is not a known field: did you mean parameters?",
            id="a misspelt field",
        ),
        pytest.param("rawPredict", b"{", 400, "not valid JSON", id="broken JSON"),
        pytest.param(
            "streamRawPredict", b"{", 400, "not valid JSON", id="before a stream"
        ),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    endpoint: tuple[Server, str], verb: str, body: bytes, http: int, words: str
) -> None:
    server, name = endpoint

    status, answer = server.call("POST", f"/v1/{name}:{verb}", body)

    assert status == http
    assert words in answer["error"]["message"]


def test_an_endpoint_that_is_not_there_is_not_found(
    endpoint: tuple[Server, str],
) -> None:
    server, name = endpoint

    status, _ = server.call("POST", f"/v1/{name}0:rawPredict", b"x")

    assert status == 404


def test_a_model_of_base_handler_says_what_it_understands(
    shared_server: Server, mlp_archive: pathlib.Path
) -> None:
    name, operation = shared_server.deploy(mlp_archive)
    assert "response" in operation, operation

    status, answer = shared_server.call("POST", f"/v1/{name}:rawPredict", b"[1]")
    understood = shared_server.call(
        "POST", f"/v1/{name}:rawPredict", {"instances": [[1, 2, 3, 4]]}
    )
    explained = shared_server.call("POST", f"/v1/{name}:explain", {"instances": [1]})

    assert (status, understood[0]) == (400, 200)
    assert "list of instances" in answer["error"]["message"]
    assert "base_handler cannot explain" in explained[1]["error"]["message"]
