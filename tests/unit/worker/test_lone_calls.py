"""Raw, stream and explain requests: what the handler is given, and what comes back."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from homeport.worker import handlers
from homeport.worker.basehandler import BaseHandler
from homeport.worker.calls import HandlerPredictor
from homeport.worker.context import Context
from homeport.worker.envelopes import BodyEnvelope, Envelope
from homeport.worker.protocol import Head, Reply
from homeport.worker.requests import Request, RequestKind

JSON = {"content-type": "application/json"}
Handle = Callable[[Any, Context], Any]


def predictor(handle: Handle, envelope: Envelope | None = None) -> HandlerPredictor:
    context = Context("m", "/nonexistent/m", {}, 1, None, "0.12.0")
    return HandlerPredictor(handle, context, envelope)


def ask(
    handle: Handle, request: Request, envelope: Envelope | None = None
) -> tuple[Reply, list[Reply]]:
    pieces: list[Reply] = []
    return predictor(handle, envelope).call(request, pieces.append), pieces


def given(request: Request, envelope: Envelope | None = None) -> Any:
    """Return the rows that a handler is given for a raw request."""
    seen: list[Any] = []

    def handle(rows: Any, _context: Context) -> list[str]:
        seen.extend(rows)
        return ["" for _ in rows]

    reply, _ = ask(handle, request, envelope)
    assert reply.code == 0, reply.payload
    return seen


def raw(body: bytes, content_type: str = "", **headers: str) -> Request:
    named = {"content-type": content_type} if content_type else {}
    return Request(RequestKind.RAW, body, named | headers)


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="data"; filename="a.png"\r\n'
    b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x00\r\n"
    b'--b\r\nContent-Disposition: form-data; name="label"\r\n'
    b"Content-Type: text/plain\r\n\r\ncat\r\n--b--\r\n"
)


@pytest.mark.parametrize(
    ("request_", "rows"),
    [
        pytest.param(
            raw(b"\xff\x00"), [{"body": bytearray(b"\xff\x00")}], id="bytes untyped"
        ),
        pytest.param(
            raw(b"\xff", "image/jpeg"), [{"body": bytearray(b"\xff")}], id="a picture"
        ),
        pytest.param(raw(b"[1]", "application/json"), [{"body": [1]}], id="JSON"),
        pytest.param(
            raw("é".encode(), "text/plain; charset=utf-8"), [{"body": "é"}], id="text"
        ),
        pytest.param(
            raw(b"a=1&b=", "application/x-www-form-urlencoded"),
            [{"a": "1", "b": ""}],
            id="a form in the body",
        ),
        pytest.param(
            raw(FORM, "multipart/form-data; boundary=b"),
            [{"data": bytearray(b"\x89PNG\r\n\x00"), "label": "cat"}],
            id="a form with a file",
        ),
        pytest.param(
            raw(b'{"instances": [1, {"b64": "QQ=="}]}', "application/json"),
            [1, b"A"],
            id="a :predict body is its instances",
        ),
        pytest.param(
            raw(b'{"instances": [1], "id": "7"}', "application/json"),
            [1],
            id="a raw body may have any field",
        ),
    ],
)
def test_a_raw_body_reaches_the_handler_as_torchserve_gives_it(
    request_: Request, rows: list[Any]
) -> None:
    assert given(request_) == rows


@pytest.mark.parametrize(
    ("request_", "rows"),
    [
        pytest.param(raw(b"hi", "text/plain"), ["hi"], id="text"),
        pytest.param(
            raw(b'{"instances": [1], "parameters": {"k": 2}}', "application/json"),
            [{"instances": [1], "parameters": {"k": 2}}],
            id="parameters come along",
        ),
        pytest.param(
            raw(b'{"instances": [1], "id": "7"}', "application/json"),
            [{"instances": [1], "id": "7"}],
            id="any field comes along",
        ),
    ],
)
def test_the_body_envelope_gives_the_body_alone(
    request_: Request, rows: list[Any]
) -> None:
    def handle(found: Any, _context: Context) -> list[Any]:
        assert found == rows
        return [{"predictions": []}]

    reply, _ = ask(handle, request_, BodyEnvelope())

    assert reply.code == 0


@pytest.mark.parametrize(
    ("result", "content_type", "body"),
    [
        pytest.param(b"\x00", "application/octet-stream", b"\x00", id="bytes"),
        pytest.param("é", "text/plain; charset=utf-8", "é".encode(), id="text"),
        pytest.param({"a": [1]}, "application/json", b'{"a":[1]}', id="JSON"),
    ],
)
def test_a_result_is_the_body_of_the_answer(
    result: object, content_type: str, body: bytes
) -> None:
    reply, _ = ask(lambda _rows, _context: [result], raw(b"x"))

    assert reply == Reply(0, body, Head(200, {"content-type": content_type}))


def test_a_raw_predict_body_is_answered_as_predict_is() -> None:
    reply, _ = ask(
        lambda rows, _context: [row + 1 for row in rows],
        raw(b'{"instances": [1, 2]}', "application/json"),
    )

    assert reply.payload == b'{"predictions":[2,3]}'


def test_a_handler_reads_headers_and_sets_status_and_headers_of_a_raw_answer() -> None:
    def handle(_rows: Any, context: Context) -> list[str]:
        context.set_response_content_type(0, "text/csv")
        context.set_response_header(
            0, "X-Seen", str(context.get_request_header(0, "X-In"))
        )
        context.set_response_status(418, "teapot", 0)
        path = context.get_request_header(0, "url_path")
        return [f"{path},{context.explain}"]

    request = Request(
        RequestKind.RAW, b"x", {"x-in": "7", "explain": "True"}, "any/route"
    )
    reply, _ = ask(handle, request)

    assert reply.payload == b"any/route,False"
    assert reply.head == Head(418, {"content-type": "text/csv", "x-seen": "7"})


def streaming(rows: Any, context: Context) -> list[str]:
    for word in ("a ", "b "):
        handlers.send_intermediate_response([word], {}, "", 200, context)
    return ["end" for _ in rows]


def test_a_stream_gives_its_pieces_as_they_come() -> None:
    reply, pieces = ask(streaming, Request(RequestKind.STREAM, b"x"))

    assert [piece.payload for piece in pieces] == [b"a ", b"b "]
    assert reply.payload == b"end"


def test_a_raw_request_to_a_handler_that_streams_gets_it_in_one() -> None:
    reply, pieces = ask(streaming, raw(b"x"))

    assert (reply.payload, pieces) == (b"a b end", [])


def test_a_predict_request_to_a_handler_that_streams_says_how_to_ask() -> None:
    (reply,) = predictor(streaming).predict([b'{"instances": [1]}'])

    assert reply.code == 13
    assert b"ask with streamRawPredict" in reply.payload


class Explaining(BaseHandler):
    def preprocess(self, data: Any) -> Any:
        return data

    def inference(self, data: Any, *_args: object, **_kwargs: object) -> Any:
        return data

    def postprocess(self, data: Any) -> Any:
        return [row * 2 for row in data]


class Insightful(Explaining):
    def get_insights(self, tensor: Any, raw_row: Any, target: Any) -> Any:
        return {"x": tensor[0] + raw_row, "target": target}


EXPLAIN = Request(RequestKind.EXPLAIN, b'{"instances": [1, 5]}', JSON)


def test_an_explanation_comes_with_its_predictions() -> None:
    reply, _ = ask(Insightful().handle, EXPLAIN)

    assert json.loads(reply.payload) == {
        "explanations": [
            {"attributions": [{"featureAttributions": {"x": 2, "target": 0}}]},
            {"attributions": [{"featureAttributions": {"x": 10, "target": 0}}]},
        ],
        "predictions": [2, 10],
    }


class Listing(Explaining):
    """As TorchServe's own: one entry for each row it is asked of."""

    def get_insights(self, tensor: Any, raw_row: Any, target: Any) -> Any:
        del raw_row, target
        return [{"x": one} for one in tensor]


class Pairing(Listing):
    """As TorchServe's text classifier: what it preprocesses is not one per row."""

    def preprocess(self, data: Any) -> Any:
        return data, "tokens"

    def inference(self, data: Any, *_args: object, **_kwargs: object) -> Any:
        return data[0]

    def get_insights(self, tensor: Any, raw_row: Any, target: Any) -> Any:
        rows, _tokens = tensor
        return super().get_insights(rows, raw_row, target)


@pytest.mark.parametrize("explaining", [Listing(), Pairing()], ids=["rows", "a pair"])
def test_a_list_of_insights_has_one_for_each_row(explaining: Explaining) -> None:
    reply, _ = ask(explaining.handle, EXPLAIN)

    assert json.loads(reply.payload)["explanations"] == [
        {"attributions": [{"featureAttributions": {"x": 1}}]},
        {"attributions": [{"featureAttributions": {"x": 5}}]},
    ]


@pytest.mark.parametrize(
    ("field", "code"),
    [("deployedModelId", 0), ("explanation_spec_override", 0), ("foo", 3)],
)
def test_an_explain_request_has_fields_of_its_own(field: str, code: int) -> None:
    body = json.dumps({"instances": [1], field: None}).encode()

    reply, _ = ask(Insightful().handle, Request(RequestKind.EXPLAIN, body))

    assert reply.code == code


def test_what_is_an_explanation_of_vertex_is_handed_on() -> None:
    class Own(Explaining):
        def explain_handle(self, data_preprocess: Any, raw_data: Any) -> list[Any]:
            del data_preprocess
            return [{"attributions": [{"outputIndex": [row]}]} for row in raw_data]

    reply, _ = ask(Own().handle, EXPLAIN)

    first = json.loads(reply.payload)["explanations"][0]
    assert first == {"attributions": [{"outputIndex": [1]}]}


@pytest.mark.parametrize(
    "handle",
    [
        pytest.param(lambda rows, _context: rows, id="a function"),
        pytest.param(Explaining().handle, id="a BaseHandler without get_insights"),
    ],
)
def test_a_handler_that_cannot_explain_says_what_it_lacks(handle: Handle) -> None:
    reply, _ = ask(handle, EXPLAIN)

    assert reply.code == 9
    assert b"the handler cannot explain" in reply.payload
    assert b"get_insights" in reply.payload


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        pytest.param(raw(b"{", "application/json"), b"not valid JSON", id="JSON"),
        pytest.param(raw(b"\xff", "text/plain"), b"not UTF-8", id="text"),
        pytest.param(
            raw(b"x", "multipart/form-data; boundary=b"), b"boundary", id="no form"
        ),
        pytest.param(
            raw(b'{"instances": []}', "application/json"), b"is empty", id="nothing"
        ),
    ],
)
def test_a_body_that_is_not_what_its_type_says_is_refused(
    request_: Request, said: bytes
) -> None:
    reply, _ = ask(lambda rows, _context: rows, request_)

    assert reply.code == 3
    assert said in reply.payload
