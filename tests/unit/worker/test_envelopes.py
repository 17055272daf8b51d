"""With the body envelope a request is one row, and its answer is taken out of one."""

import json
from typing import Any

import pytest

from homeport.errors import Code
from homeport.worker import calls, envelopes
from homeport.worker.context import Context
from homeport.worker.protocol import Reply
from homeport.worker.serverconfig import Envelope

CONTEXT = Context("m", "/m", {}, 1, None, "0.12.0")


def predictor(returned: Any = None) -> calls.HandlerPredictor:
    def handle(data: Any, _context: Context) -> Any:
        return data if returned is None else returned

    return calls.HandlerPredictor(handle, CONTEXT, envelopes.make(Envelope.BODY))


def body(*instances: object, **more: object) -> bytes:
    return json.dumps({"instances": instances, **more}).encode()


def test_each_request_of_a_batch_is_one_row() -> None:
    def handle(data: Any, _context: Context) -> Any:
        return [{"predictions": [len(data), row]} for row in data]

    envelope = envelopes.make(Envelope.BODY)
    first, second = calls.HandlerPredictor(handle, CONTEXT, envelope).predict(
        [body(1, 2, parameters={"k": 3}), body({"b64": "AA=="})]
    )

    assert json.loads(first.payload) == [
        2,
        {"instances": [1, 2], "parameters": {"k": 3}},
    ]
    assert json.loads(second.payload) == [2, {"instances": [{"b64": "AA=="}]}]


@pytest.mark.parametrize(
    "returned",
    [
        pytest.param({"predictions": [1, 2]}, id="object"),
        pytest.param('{"predictions": [1, 2]}', id="JSON text"),
        pytest.param(b"[1, 2]", id="JSON bytes"),
        pytest.param([1, 2], id="list"),
    ],
)
def test_the_predictions_are_taken_out_of_the_answer(returned: Any) -> None:
    assert predictor([returned]).predict([body(1)]) == [Reply(0, b"[1,2]")]


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        pytest.param([{"scores": [1]}], "returned a dict for a request", id="object"),
        pytest.param(["ham"], "text that is no JSON", id="text"),
        pytest.param([[1], [2]], "2 results for 1 request", id="too many"),
        pytest.param(7, "type int for 1 request", id="no list"),
    ],
)
def test_another_answer_is_the_handlers_fault(returned: Any, problem: str) -> None:
    (reply,) = predictor(returned).predict([body(1)])

    assert reply.code == Code.INTERNAL
    assert problem in reply.payload.decode()


def test_a_body_without_instances_is_the_callers() -> None:
    (reply,) = predictor().predict([b'{"inputs": [1]}'])

    assert reply.code == Code.INVALID_ARGUMENT
