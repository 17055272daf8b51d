"""An examination tells the step that failed, and never splits a call that did."""

import json
import pathlib
from typing import Any

import pytest
import torch

from homeport.errors import FailedPreconditionError
from homeport.worker import examination
from homeport.worker.calls import HandlerPredictor
from homeport.worker.context import Context
from homeport.worker.examination import Examination, Step
from homeport.worker.handler import EntryPoint
from homeport.worker.protocol import ProtocolError
from homeport.worker.tensorcalls import TensorPredictor


def predictor(handle: EntryPoint) -> HandlerPredictor:
    return HandlerPredictor(handle, Context("m", "/m", {"model": {}}, 1, None, "0"))


def body(*rows: object) -> bytes:
    return json.dumps({"instances": rows}).encode()


def examine(handle: EntryPoint, *bodies: bytes) -> Examination:
    return predictor(handle).examine(bodies)


def test_several_requests_are_one_call_with_an_answer_for_each() -> None:
    examined = examine(lambda data, _: [len(data)] * len(data), body(1), body(2, 3))

    assert examined.failed_in is None
    assert examined.predictions == ("[3]", "[3,3]")
    assert examined.handler_s >= 0
    assert examined.result_s >= 0


def test_a_call_that_fails_is_not_tried_one_by_one() -> None:
    calls: list[int] = []

    def handle(data: Any, _context: Context) -> object:
        calls.append(len(data))
        raise ValueError("one at a time")

    examined = examine(handle, body(1), body(2))

    assert calls == [2]
    assert examined.failed_in is Step.HANDLER


def answering(value: object) -> EntryPoint:
    return lambda _data, _context: value


def refusing(_data: Any, context: Context) -> object:
    context.set_response_status(404, "no such user")
    return [None]


def precondition(_data: Any, _context: Context) -> object:
    raise FailedPreconditionError("the index is not built: build it")


@pytest.mark.parametrize(
    ("handle", "sent", "step", "words"),
    [
        pytest.param(
            answering([1]), b"{}", Step.REQUEST, 'has no "instances"', id="request"
        ),
        pytest.param(
            answering(None), body(1), Step.HANDLER, "returned None", id="no list"
        ),
        pytest.param(
            answering([1, 2]), body(1), Step.HANDLER, "returned 2 results", id="count"
        ),
        pytest.param(refusing, body(1), Step.HANDLER, "no such user", id="status"),
        pytest.param(
            precondition, body(1), Step.HANDLER, "not built: build it", id="refusal"
        ),
        pytest.param(
            answering([object()]), body(1), Step.RESULT, "type object", id="no JSON"
        ),
        pytest.param(
            answering([float("nan")]), body(1), Step.RESULT, "is NaN", id="NaN"
        ),
    ],
)
def test_the_step_that_failed_is_told(
    handle: EntryPoint, sent: bytes, step: Step, words: str
) -> None:
    examined = examine(handle, sent)

    assert examined.failed_in is step
    assert words in examined.cause
    assert examined.predictions == ()


def test_tensors_of_two_shapes_are_no_fault_of_the_model() -> None:
    model = TensorPredictor(
        torch.nn.Identity(), torch.device("cpu"), pathlib.Path("/m")
    )

    examined = model.examine([body([1.0]), body([1.0, 2.0])])

    assert examined.failed_in is Step.REQUEST
    assert "shape (1,) and (2,)" in examined.cause


@pytest.mark.parametrize(
    "one",
    [
        Examination(predictions=("[1]", "[2]"), handler_s=0.5, result_s=0.25),
        Examination(Step.HANDLER, "it raised", "Correct it.", "Traceback"),
    ],
)
def test_an_examination_survives_its_frame(one: Examination) -> None:
    assert examination.decode(examination.encode(one)[16:]) == one


@pytest.mark.parametrize("payload", [b"{}", b'{"failed_in": "elsewhere"}', b"[]"])
def test_another_frame_is_a_protocol_error(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        examination.decode(payload)
