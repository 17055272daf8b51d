"""A handler is called as TorchServe calls it; each request fails alone."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch

from homeport.errors import Code, InvalidArgumentError
from homeport.worker.calls import HandlerPredictor
from homeport.worker.context import Context
from homeport.worker.handlers import PredictionException
from homeport.worker.protocol import Reply

Rows = list[Any]
Handle = Callable[[Rows, Context], object]


def predictor(handle: Handle) -> HandlerPredictor:
    context = Context("m", "/m", {"model": {}}, 1, None, "0")
    return HandlerPredictor(handle, context)


def body(*rows: object) -> bytes:
    return json.dumps({"instances": rows}).encode()


def raising(error: BaseException) -> Handle:
    def handle(_data: Rows, _context: Context) -> object:
        raise error

    return handle


def test_one_request_is_one_call_with_all_its_rows() -> None:
    calls: list[object] = []

    def handle(data: Rows, _context: Context) -> object:
        calls.append(data)
        return [len(data)] * len(data)

    replies = predictor(handle).predict([body(1, {"b64": "aGk="})])

    assert replies == [Reply(0, b"[2,2]")]
    assert calls == [[1, b"hi"]]


def test_several_requests_are_one_call_and_are_split_again() -> None:
    replies = predictor(lambda data, _: [x * 10 for x in data]).predict(
        [body(1, 2), body(3), body(4, 5)]
    )

    assert replies == [Reply(0, b"[10,20]"), Reply(0, b"[30]"), Reply(0, b"[40,50]")]


def test_a_bad_request_fails_alone() -> None:
    def handle(data: Rows, _context: Context) -> object:
        return [1 / x for x in data]

    good, bad, malformed = predictor(handle).predict([body(2), body(0), b"{"])

    assert good == Reply(0, b"[0.5]")
    assert bad == Reply(
        Code.INTERNAL, b"the handler raised ZeroDivisionError: division by zero"
    )
    assert malformed.code == Code.INVALID_ARGUMENT


def test_a_batch_with_a_wrong_count_is_tried_one_by_one() -> None:
    def handle(data: Rows, _context: Context) -> object:
        return data if len(data) == 1 else data[1:]

    replies = predictor(handle).predict([body(1), body(2)])

    assert replies == [Reply(0, b"[1]"), Reply(0, b"[2]")]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        pytest.param(
            [1, 2],
            "the handler returned 2 results for 3 instances: "
            "return one prediction for each instance; "
            "if the numbers are one instance, wrap it in a list: [[...]]",
            id="too few",
        ),
        pytest.param(
            None,
            "the handler returned None for 3 instances: "
            "return a list with one prediction for each",
            id="nothing",
        ),
        pytest.param(
            torch.zeros(3),
            "the handler returned a value of type Tensor for 3 instances: "
            "return a list with one prediction for each",
            id="no list",
        ),
        pytest.param(
            [1, 2, object()],
            "the handler returned no JSON: a value of type object cannot be sent; "
            "convert it in postprocess",
            id="no JSON",
        ),
    ],
)
def test_a_wrong_result_is_internal_and_says_what_came(
    returned: object, message: str
) -> None:
    replies = predictor(lambda _, __: returned).predict([body(1, 2, 3)])

    assert replies == [Reply(Code.INTERNAL, message.encode())]


def test_who_gave_no_bare_numbers_is_not_told_to_wrap_them() -> None:
    (reply,) = predictor(lambda _, __: [1]).predict([body([1, 2], [3, 4])])

    assert reply.payload == (
        b"the handler returned 1 result for 2 instances: "
        b"return one prediction for each instance"
    )


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        pytest.param(
            ValueError("no\nsuch"),
            Code.INTERNAL,
            "the handler raised ValueError: no such",
            id="anything",
        ),
        pytest.param(
            KeyError("body"),
            Code.INTERNAL,
            "the handler raised KeyError: 'body'",
            id="a key",
        ),
        pytest.param(
            MemoryError(),
            Code.RESOURCE_EXHAUSTED,
            "the handler raised MemoryError",
            id="memory",
        ),
        pytest.param(
            torch.OutOfMemoryError("CUDA out of memory"),
            Code.RESOURCE_EXHAUSTED,
            "the handler raised OutOfMemoryError: CUDA out of memory",
            id="device memory",
        ),
        pytest.param(
            InvalidArgumentError("not numbers"),
            Code.INVALID_ARGUMENT,
            "not numbers",
            id="our own",
        ),
        pytest.param(PredictionException("a", 400), 3, "a", id="400"),
        pytest.param(PredictionException("a", 403), 7, "a", id="403"),
        pytest.param(PredictionException("a", 404), 5, "a", id="404"),
        pytest.param(PredictionException("a", 413), 3, "a", id="413"),
        pytest.param(PredictionException("a", 429), 8, "a", id="429"),
        pytest.param(PredictionException("a"), 13, "a", id="500"),
        pytest.param(PredictionException("a", 503), 14, "a", id="503"),
        pytest.param(PredictionException("a", 507), 8, "a", id="507"),
    ],
)
def test_an_exception_becomes_a_reply(
    error: Exception, code: int, message: str
) -> None:
    assert predictor(raising(error)).predict([body(1)]) == [
        Reply(code, message.encode())
    ]


def test_the_traceback_of_an_exception_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        predictor(raising(ValueError("no"))).predict([body(1)])

    assert "test_handler_calls.py" in caplog.text
    assert "ValueError: no" in caplog.text
    assert "homeport/worker/calls.py" not in caplog.text


def test_a_handler_that_exits_ends_the_process() -> None:
    with pytest.raises(SystemExit):
        predictor(raising(SystemExit(3))).predict([body(1)])


def test_a_response_status_that_the_handler_set_fails_its_request() -> None:
    def handle(data: Rows, context: Context) -> object:
        context.set_response_status(404, "no such user", idx=1)
        return data

    replies = predictor(handle).predict([body(1), body(2)])

    assert replies == [Reply(0, b"[1]"), Reply(Code.NOT_FOUND, b"no such user")]


def test_the_context_knows_the_requests_of_the_call() -> None:
    def handle(_data: Rows, context: Context) -> object:
        ids = context.request_ids or {}
        return [
            [context.get_request_id(i), context.get_request_header(i, "a")] for i in ids
        ]

    (reply,) = predictor(handle).predict([body(1)])

    assert reply == Reply(0, b'[["1-0",null]]')


def test_a_reply_that_refuses_does_not_tell_the_servers_paths() -> None:
    handle = raising(ValueError(f"/m/weights.bin and {torch.__file__}"))

    (reply,) = predictor(handle).predict([body(1)])

    assert reply.payload == (
        b"the handler raised ValueError: weights.bin and "
        b"site-packages/torch/__init__.py"
    )
