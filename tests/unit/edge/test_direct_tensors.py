"""A Tensor of the service and the JSON value it stands for."""

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.edge import codec, tensors
from homeport.edge.tensors import Tensor
from homeport.errors import InvalidArgumentError

PACKED = struct.pack("<2f", 1.5, -2.0)

numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False).filter(
    math.isfinite
)
values = st.recursive(
    st.booleans() | st.text() | numbers,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4)
        | st.dictionaries(st.text(), inner, min_size=1, max_size=4)
    ),
    max_leaves=12,
)


@given(values)
def test_a_value_comes_back_through_the_wire(value: Any) -> None:
    written = codec.encode(tensors.from_json(value))

    read = codec.decode_object(Tensor, written)

    assert tensors.to_json(read) == value


@pytest.mark.parametrize(
    ("document", "value"),
    [
        pytest.param({"dtype": "FLOAT", "floatVal": [1]}, 1.0, id="a scalar"),
        pytest.param({"dtype": 8, "int64Val": ["1", 2]}, [1, 2], id="no shape"),
        pytest.param(
            {"shape": ["2", 2], "double_val": [1, 2, 3, 4]},
            [[1.0, 2.0], [3.0, 4.0]],
            id="a matrix",
        ),
        pytest.param({"shape": [1], "boolVal": [True]}, [True], id="one in a list"),
        pytest.param({"bytesVal": ["QQ=="]}, {"b64": "QQ=="}, id="bytes"),
        pytest.param(
            {"structVal": {"a": {"stringVal": ["x"]}}}, {"a": "x"}, id="a struct"
        ),
        pytest.param({"listVal": [{"intVal": [1]}]}, [1], id="a list"),
        pytest.param({}, [], id="nothing"),
    ],
)
def test_a_tensor_stands_for_its_elements(document: Any, value: Any) -> None:
    assert tensors.to_json(codec.decode_object(Tensor, document)) == value


def test_packed_elements_are_little_endian() -> None:
    tensor = Tensor(dtype="FLOAT", shape=(2, 1), tensor_val=PACKED)

    assert tensors.to_json(tensor) == [[1.5], [-2.0]]


def test_numbers_of_one_shape_are_one_tensor() -> None:
    assert codec.encode(tensors.from_json([[1, 2.5], [3, 4]])) == {
        "dtype": "DOUBLE",
        "shape": ["2", "2"],
        "doubleVal": [1.0, 2.5, 3.0, 4.0],
    }


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        pytest.param(Tensor(shape=(3,), int_val=(1,)), "holds 1 elements", id="few"),
        pytest.param(Tensor(shape=(-1, -1), int_val=(1,)), "shape", id="negative"),
        pytest.param(
            Tensor(int_val=(1,), float_val=(1.0,)), "float_val and int_val", id="two"
        ),
        pytest.param(Tensor(tensor_val=b"1"), "not given", id="packed without dtype"),
        pytest.param(
            Tensor(dtype="FLOAT", tensor_val=b"123"), "3 bytes", id="half an element"
        ),
        pytest.param(Tensor(double_val=(math.nan,)), "NaN", id="not a number"),
    ],
)
def test_a_tensor_that_does_not_hold_what_it_says_is_refused(
    tensor: Tensor, words: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        tensors.to_json(tensor)
