"""What `--explain-payload` tells of TorchServe and KServe, TorchServe does."""

import pathlib
import shutil
from collections.abc import Callable
from typing import Any, Final

import pytest
from torchserve import TorchServe

import comparisons
from comparisons import Record
from homeport.checking import payloads
from homeport.checking.payloads import Shape, Surface
from homeport.packing import pack as packing
from homeport.packing.pack import PackSpec
from servers import Server

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]
ECHO = """
class Echo:
    def initialize(self, context):
        pass

    def handle(self, data, context):
        return [repr(data) for _ in data]
"""
REQUESTS: Final = {
    "numbers": b'{"instances": [[1, 2.5], [3, 4]]}',
    "objects": b'{"instances": [{"x": 1, "words": "a"}, {"x": 2, "words": "b"}]}',
    "binary rows": b'{"instances": [{"b64": "aGk="}, {"x": {"b64": "aGk="}}]}',
    "binary behind plain": b'{"instances": [1, {"b64": "aGk="}]}',
    "plain behind object": b'{"instances": [{"x": 1}, 2]}',
    "texts": b'{"instances": ["a", "b"]}',
    "with parameters": b'{"instances": [[true]], "parameters": {"top": 3}}',
    "tensors": b'{"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", '
    b'"data": [1, 2.5, 3, 4]}, {"name": "t", "shape": [2], "datatype": "BYTES", '
    b'"data": ["a", "b"]}]}',
    "one object": b'{"text": "hi"}',
    "one list": b"[1, 2]",
    "text": b"good morning",
    "picture": b"\xff\xd8\x00\x01",
}
ENVELOPES: Final = ("", "body", "json", "kserve", "kservev2")


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An archive that answers with what its handler received, as Python writes it."""
    folder = tmp_path_factory.mktemp("echo")
    handler = folder / "echo.py"
    handler.write_text(ECHO)
    return packing.pack(PackSpec(model_name="echo", handler=str(handler)), folder).path


@pytest.fixture(scope="module")
def echoing(
    echo: pathlib.Path, start_torchserve: Callable[[str], TorchServe]
) -> Callable[[str], str]:
    """Return a function that gives the address of an echoing TorchServe."""
    addresses: dict[str, str] = {}

    def address(envelope: str) -> str:
        if envelope not in addresses:
            server = start_torchserve(envelope)
            shutil.copy(echo, server.store)
            server.register(echo.name)
            addresses[envelope] = server.inference
        return addresses[envelope]

    return address


@pytest.fixture(scope="module")
def echoing_endpoint(echo: pathlib.Path, homeport: Server) -> str:
    """An endpoint of Homeport that echoes."""
    endpoint, operation = homeport.deploy(echo)
    assert "response" in operation, operation
    return endpoint


def through_torchserve(request: str, envelope: str) -> list[Shape]:
    return [
        shape
        for shape in payloads.explain(payloads.read(REQUESTS[request]))
        if shape.surface is not Surface.HOMEPORT
        and shape.envelope == envelope
        and shape.body
    ]


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_handler_in_torchserve_receives_what_is_told(
    request_name: str,
    envelope: str,
    echoing: Callable[[str], str],
    record: Record,
) -> None:
    address = echoing(envelope)

    for shape in through_torchserve(request_name, envelope):
        answer = send(address, shape)

        told = f"503 {shape.refusal}" if shape.data is None else repr(shape.data)
        record.same_data(
            request_name, way_of(shape), told, received(answer, shape.refusal)
        )


@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_handler_in_homeport_receives_what_is_told(
    request_name: str, echoing_endpoint: str, homeport: Server, record: Record
) -> None:
    shape = payloads.explain(payloads.read(REQUESTS[request_name]))[0]

    status, answer = homeport.call(
        "POST", f"/v1/{echoing_endpoint}:predict", shape.body
    )

    assert status == 200, answer
    record.same_data(
        request_name, way_of(shape), repr(shape.data), answer["predictions"][0]
    )


def way_of(shape: Shape) -> str:
    envelope = f", envelope {shape.envelope}" if shape.envelope else ""
    return f"{shape.surface} `{shape.path}` {shape.content_type}{envelope}"


def send(address: str, shape: Shape) -> comparisons.Answer:
    path = shape.path.replace("MODEL", "echo")
    if shape.surface is Surface.VERTEX:
        # What Vertex AI's PyTorch image is: a TorchServe behind this route.
        path = "/predictions/echo"
    if shape.content_type != payloads.FORM:
        return comparisons.ask(address + path, shape.body, shape.content_type)
    boundary = "a-line-that-is-in-no-content"
    form = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="data"; filename="f"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode() + shape.body
    return comparisons.ask(
        address + path,
        form + f"\r\n--{boundary}--\r\n".encode(),
        f"{payloads.FORM}; boundary={boundary}",
    )


def received(answer: comparisons.Answer, refusal: str) -> str:
    """Return what the handler echoed; of a failure, that it is the one expected."""
    document: Any = answer.document
    if answer.status == 503 and document["message"] == "Prediction failed":
        return f"503 {refusal or document['message']}"
    assert answer.status == 200, answer
    match document:
        case {"predictions": [str(echoed), *_]}:
            return echoed
        case {"outputs": [{"data": [str(echoed)]}, *_]}:
            return echoed
        case str(echoed):
            return echoed
        case _:
            return repr(document)
