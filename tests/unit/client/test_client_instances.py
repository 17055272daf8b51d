"""Arrays and tensors become the JSON of their numbers, or are refused by name."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from homeport.client import instances
from homeport.errors import InvalidArgumentError


def sent(value: object) -> Any:
    return json.loads(instances.request(value))["instances"]


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        pytest.param([1, 2.5, "a", None, True], [1, 2.5, "a", None, True], id="list"),
        pytest.param((1, 2), [1, 2], id="tuple"),
        pytest.param(range(2), [0, 1], id="range"),
        pytest.param(np.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]], id="rows"),
        pytest.param(np.arange(4).reshape(2, 2).T, [[0, 2], [1, 3]], id="turned"),
        pytest.param(np.ones((1, 2), ">f4"), [[1.0, 1.0]], id="other byte order"),
        pytest.param(np.array([1.5], "f2"), [1.5], id="half"),
        pytest.param(np.array(["a"]), ["a"], id="texts"),
        pytest.param(np.array([b"ab"]), [{"b64": "YWI="}], id="array of bytes"),
        pytest.param(np.array([True]), [True], id="truths"),
        pytest.param([np.float32(1), np.int64(2)], [1.0, 2], id="numbers of numpy"),
        pytest.param([{"x": np.ones(2), "y": b"ab"}],
                     [{"x": [1.0, 1.0], "y": {"b64": "YWI="}}], id="within"),
        pytest.param(torch.ones(2, requires_grad=True), [1.0, 1.0], id="tensor"),
        pytest.param(torch.ones(1, dtype=torch.bfloat16), [1.0], id="bfloat16"),
        pytest.param([torch.tensor(3)], [3], id="tensor without axes"),
    ],
)  # fmt: skip
def test_values_become_their_numbers(value: object, rows: object) -> None:
    assert sent(value) == rows


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param([float("nan")], "nan at instances[0]", id="nan"),
        pytest.param([{"a": [1.0, float("inf")]}], "inf at instances[0]['a'][1]",
                     id="infinity within"),
        pytest.param(np.array([[1, np.nan]]), "nan at [0][1]", id="array"),
        pytest.param([np.array([-np.inf])], "-inf at instances[0][0]",
                     id="array within"),
        pytest.param([np.float32("nan")], "nan at instances[0]", id="number of numpy"),
        pytest.param(torch.tensor([[0.0], [float("nan")]]), "nan at [1][0]",
                     id="tensor"),
        pytest.param(np.array([1j]), "complex128", id="complex"),
        pytest.param(np.array(["2020"], "M8[Y]"), "datetime64[Y]", id="dates"),
        pytest.param(np.array([object()]), "dtype object", id="objects"),
        pytest.param(np.array([1], np.longdouble), "float128", id="too wide"),
        pytest.param(torch.eye(2).to_sparse(), "torch.sparse_coo", id="sparse"),
        pytest.param([object()], "type object", id="a value"),
        pytest.param([10**30], "64-bit", id="too large"),
        pytest.param([], "no instances", id="none"),
        pytest.param("abc", "type str", id="text"),
        pytest.param({"a": 1}, "type dict", id="dict"),
        pytest.param(5, "type int", id="number"),
        pytest.param(np.array(5), "one number", id="array without axes"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
def test_what_has_no_json_is_refused_with_its_place(value: object, said: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        sent(value)

    assert said in raised.value.message


@given(
    arrays.arrays(
        dtype=st.sampled_from(["f4", "f8", ">f8", "i1", "u2", "i8", "?"]),
        shape=arrays.array_shapes(max_dims=4, max_side=4),
        elements={"allow_nan": False, "allow_infinity": False},
    )
)
def test_no_number_changes_on_its_way(array: np.ndarray[Any, Any]) -> None:
    assert np.array_equal(np.asarray(sent(array), array.dtype), array)


def test_parameters_and_fields_stand_beside_the_instances() -> None:
    body = instances.request([1], {"top": 3}, {"deployedModelId": "5"})

    assert json.loads(body) == {
        "instances": [1],
        "parameters": {"top": 3},
        "deployedModelId": "5",
    }


def test_a_line_without_json_is_refused_with_its_number() -> None:
    with pytest.raises(InvalidArgumentError, match=r"inf at instances\[1\]\[0\]"):
        list(instances.lines([[1.0], np.array([np.inf])]))


def test_each_line_is_an_instance() -> None:
    written = list(instances.lines(iter([np.ones(2), {"a": b"ab"}])))

    assert written == [b"[1.0,1.0]\n", b'{"a":{"b64":"YWI="}}\n']
