"""base_handler without an author's code: numbers in, numbers out, each alone."""

import json
import pathlib

import pytest
import torch

from homeport.errors import Code
from homeport.worker.protocol import Reply
from homeport.worker.requests import Request, RequestKind
from homeport.worker.tensorcalls import TensorPredictor

CPU = torch.device("cpu")
ARCHIVE = pathlib.Path("/m")


class Doubler(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append(tuple(x.shape))
        return x * 2


def body(*rows: object) -> bytes:
    return json.dumps({"instances": rows}).encode()


def linear() -> torch.nn.Module:
    layer = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.ones_(layer.weight)
    return layer.eval()


def test_predictions_are_the_models_rows() -> None:
    replies = TensorPredictor(linear(), CPU, ARCHIVE).predict(
        [body([1.5, 2.0], [3.0, 4.5])]
    )

    assert replies == [Reply(0, b"[[3.5],[7.5]]")]


def test_whole_numbers_serve_a_model_of_floats_and_one_of_integers() -> None:
    embedding = torch.nn.Embedding(2, 1, _weight=torch.tensor([[0.5], [1.5]]))

    assert TensorPredictor(linear(), CPU, ARCHIVE).predict([body([1, 2])] * 2) == [
        Reply(0, b"[[3.0]]"),
        Reply(0, b"[[3.0]]"),
    ]
    assert TensorPredictor(embedding, CPU, ARCHIVE).predict([body(1, 0)]) == [
        Reply(0, b"[[1.5],[0.5]]")
    ]


def test_requests_of_one_shape_are_one_forward() -> None:
    model = Doubler()

    replies = TensorPredictor(model, CPU, ARCHIVE).predict(
        [body([1.5]), body([2.5], [3.5])]
    )

    assert replies == [Reply(0, b"[[3.0]]"), Reply(0, b"[[5.0],[7.0]]")]
    assert model.calls == [(3, 1)]


def test_a_bad_request_fails_alone() -> None:
    replies = TensorPredictor(linear(), CPU, ARCHIVE).predict(
        [body([1.5, 2.5]), body([1.5]), b"{", body([1.5, None]), body([2, 2])]
    )

    assert [reply.code for reply in replies] == [0, 3, 3, 3, 0]
    assert replies[1].payload.startswith(
        b"the model refused an input of shape (1, 1) and type float32: "
    )
    assert replies[4] == Reply(0, b"[[4.0]]")


def test_nan_is_an_error_and_no_null() -> None:
    (reply,) = TensorPredictor(torch.log, CPU, ARCHIVE).predict([body(-1.5)])

    assert reply.code == Code.INTERNAL
    assert b"NaN or infinite" in reply.payload


@pytest.mark.parametrize(
    ("model", "words"),
    [
        pytest.param(lambda x: (x, x), b"a value of type tuple", id="two tensors"),
        pytest.param(
            lambda x: x[:1], b"returned 1 result for 2 instances", id="too few"
        ),
        pytest.param(
            lambda x: x.sum(), b"returned 1 result for 2 instances", id="one number"
        ),
    ],
)
def test_an_output_that_is_no_batch_is_internal(model: object, words: bytes) -> None:
    (reply,) = TensorPredictor(model, CPU, ARCHIVE).predict([body(1.5, 2.5)])

    assert reply.code == Code.INTERNAL
    assert words in reply.payload


@pytest.mark.parametrize(
    ("row", "words"),
    [
        pytest.param([1.5, 2.5], "returned 1 result for 2 instances", id="taken"),
        pytest.param([1, 2], "returned 1 result for 2 instances", id="whole numbers"),
        pytest.param([1.5, 2.5, 3.5], "refused an input of shape (3,)", id="refused"),
    ],
)
def test_a_row_that_was_not_wrapped_is_told_to_be(row: list[float], words: str) -> None:
    (bare, wrapped) = TensorPredictor(linear(), CPU, ARCHIVE).predict(
        [body(*row), body(row)]
    )

    assert words in bare.payload.decode()
    assert bare.payload.endswith(
        b"; if the numbers are one instance, wrap it in a list: [[...]]"
    )
    assert b"wrap it" not in wrapped.payload


def test_a_raw_request_may_have_fields_that_a_predict_request_has_not() -> None:
    text = b'{"instances": [[1.5, 2.0]], "id": "7"}'
    request = Request(RequestKind.RAW, text, {"content-type": "application/json"})
    predictor = TensorPredictor(linear(), CPU, ARCHIVE)

    predicted = predictor.predict([text])
    answered = predictor.call(request, list[Reply]().append)

    assert predicted[0].payload == b"id is not a known field: leave it out"
    assert answered.payload == b'{"predictions":[[3.5]]}'


def test_half_precision_outputs_are_served() -> None:
    (reply,) = TensorPredictor(lambda x: x.bfloat16(), CPU, ARCHIVE).predict(
        [body(1.5)]
    )

    assert reply == Reply(0, b"[1.5]")


def test_a_whole_number_out_of_range_is_told_as_such() -> None:
    embedding = torch.nn.Embedding(2, 1)

    (reply,) = TensorPredictor(embedding, CPU, ARCHIVE).predict([body(7)])

    assert reply.code == Code.INVALID_ARGUMENT
    assert reply.payload == (
        b"the model refused an input of shape (1,) and type int64: "
        b"index out of range in self"
    )


def test_a_wrong_shape_of_whole_numbers_is_told_as_such() -> None:
    (reply,) = TensorPredictor(linear(), CPU, ARCHIVE).predict([body([1, 2, 3])])

    assert reply.code == Code.INVALID_ARGUMENT
    assert b"shapes cannot be multiplied" in reply.payload
