"""Predictions leave as JSON, whatever array type they came in; NaN never leaves."""

import json

import numpy as np
import pytest
import torch

from homeport.errors import HandlerError
from homeport.worker import predictions


@pytest.fixture(params=["orjson", "standard library"])
def json_library(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if request.param != "orjson":
        monkeypatch.setattr(predictions, "_orjson", None)


@pytest.mark.usefixtures("json_library")
@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param([1, "a", None, {"k": [True]}], [1, "a", None, {"k": [True]}]),
        pytest.param([torch.tensor([1.5, 2.0])], [[1.5, 2.0]], id="a tensor"),
        pytest.param([torch.tensor(1.5)], [1.5], id="a tensor without dimensions"),
        pytest.param(
            [torch.tensor([1.5], dtype=torch.bfloat16)], [[1.5]], id="bfloat16"
        ),
        pytest.param(
            [torch.ones(1, requires_grad=True)], [[1.0]], id="a tensor with gradient"
        ),
        pytest.param([np.array([[1, 2]])], [[[1, 2]]], id="an array"),
        pytest.param([{"p": np.float32(0.5)}], [{"p": 0.5}], id="a numpy number"),
        pytest.param([np.int64(3), np.bool_(1)], [3, True], id="numpy scalars"),
        pytest.param([b"hi", bytearray(b"hi")], [{"b64": "aGk="}] * 2, id="bytes"),
        pytest.param([{0: "cat"}], [{"0": "cat"}], id="keys that are numbers"),
        pytest.param([2**70], [2**70], id="a large integer"),
        pytest.param([None, 0.5], [None, 0.5], id="null beside numbers"),
        pytest.param(["null"], ["null"], id="the word null"),
        pytest.param(["\ud800"], ["\ud800"], id="half a surrogate pair"),
        pytest.param([(1, 2)], [[1, 2]], id="a tuple"),
    ],
)
def test_a_result_becomes_json(results: object, expected: object) -> None:
    assert json.loads(predictions.render(results)) == expected


def test_float32_arrays_are_written_in_their_own_digits() -> None:
    assert predictions.render(np.array([[0.1]], np.float32)) == b"[[0.1]]"


@pytest.mark.usefixtures("json_library")
@pytest.mark.parametrize(
    "results",
    [
        [float("nan")],
        [{"p": [1.0, float("inf")]}],
        [np.array([1.0, np.nan])],
        [torch.tensor([float("-inf")])],
        [None, (float("nan"),)],
        [np.float64("nan")],
    ],
)
def test_nan_and_infinity_fail_the_request(results: object) -> None:
    with pytest.raises(HandlerError, match="NaN or infinite"):
        predictions.render(results)


@pytest.mark.usefixtures("json_library")
def test_any_other_type_is_named() -> None:
    with pytest.raises(HandlerError, match="a value of type complex cannot be sent"):
        predictions.render([1 + 2j])


@pytest.mark.usefixtures("json_library")
def test_a_result_that_contains_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)

    with pytest.raises(HandlerError, match="no JSON"):
        predictions.render(loop)
