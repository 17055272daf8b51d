"""Two readers of tensors, one meaning: the fast one is fuzzed against the general."""

import json

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from homeport.errors import InvalidArgumentError
from homeport.worker import tensors

FAST = tensors.make_reader()
NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**70), 2**70),
    st.floats(-10, 10),
)
CELLS = st.one_of(NUMBERS, st.none(), st.booleans(), st.text(max_size=3))


def rectangles(cell: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    def of_shape(shape: list[int]) -> st.SearchStrategy[object]:
        strategy = cell
        for size in reversed(shape):
            strategy = st.lists(strategy, min_size=size, max_size=size)
        return strategy

    shapes = st.lists(st.integers(1, 3), min_size=1, max_size=3)
    return shapes.flatmap(of_shape)


VALUES = st.one_of(
    rectangles(NUMBERS),
    rectangles(CELLS),
    rectangles(st.lists(st.floats(-10, 10), max_size=1)),
    st.recursive(CELLS, lambda inner: st.lists(inner, max_size=3), max_leaves=12),
)


def outcome(reader: tensors.Reader, body: bytes) -> object:
    try:
        tensor = reader(body)
    except InvalidArgumentError as error:
        return error.message
    return tensor.dtype, tuple(tensor.shape), tensor.flatten().tolist()


@given(value=VALUES, extra=st.booleans())
@example(value=[[1.5, 2], [3], [4, 5, 6]], extra=False)
@example(value=[[1.5, 2**64 - 1]], extra=False)
@example(value=[1.5, [2.5]], extra=False)
@example(value=[[[]], [[1.5]]], extra=False)
@example(value=[[1.0], []], extra=False)
def test_both_readers_agree(value: object, extra: bool) -> None:  # noqa: FBT001
    document = {"instances": value} | ({"parameters": {"a": [1.5]}} if extra else {})
    body = json.dumps(document).encode()

    assert outcome(FAST, body) == outcome(tensors.read, body)


@given(
    text=st.text(alphabet='[]{},:"insta ces\\.0123456789eE+-', max_size=40),
    wrap=st.booleans(),
)
def test_both_readers_agree_on_damaged_text(text: str, wrap: bool) -> None:  # noqa: FBT001
    body = (f'{{"instances": [{text}]}}' if wrap else text).encode()

    assert outcome(FAST, body) == outcome(tensors.read, body)


@pytest.mark.parametrize("reader", [FAST, tensors.read])
def test_floats_become_float32_of_their_shape(reader: tensors.Reader) -> None:
    tensor = reader(b'{"instances": [[1.5, 2], [3, 4]]}')

    assert torch.equal(tensor, torch.tensor([[1.5, 2.0], [3.0, 4.0]]))
    assert tensor.dtype is torch.float32


@pytest.mark.parametrize("reader", [FAST, tensors.read])
def test_whole_numbers_become_int64(reader: tensors.Reader) -> None:
    assert reader(b'{"instances": [[1, 2]]}').dtype is torch.int64


@pytest.mark.parametrize("reader", [FAST, tensors.read])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b'{"instances": [[1.5, null]]}', "hold None", id="null"),
        pytest.param(b'{"instances": [[1.5, true]]}', "hold True", id="boolean"),
        pytest.param(b'{"instances": [["1.5"]]}', "hold '1.5'", id="string"),
        pytest.param(b'{"instances": [{"b64": "AA=="}]}', "hold {'b64'", id="bytes"),
        pytest.param(b'{"instances": [[1.5], [1.5, 2]]}', "one shape", id="ragged"),
        pytest.param(b'{"instances": [[1.5], 2.5]}', "one shape", id="mixed depth"),
        pytest.param(b'{"instances": [1e400, 0.5]}', "not valid JSON", id="too large"),
        pytest.param(b'{"instances": [NaN, 0.5]}', "not valid JSON", id="NaN"),
        pytest.param(b'\xef\xbb\xbf{"instances": [0.5]}', "not valid JSON", id="BOM"),
        pytest.param(b'{"instances": ' + b"[" * 900 + b"0.5", "not valid", id="open"),
        pytest.param(
            b'{"instances": ' + b"[" * 900 + b"0.5" + b"]" * 900 + b"}",
            "one shape",
            id="deep",
        ),
    ],
)
def test_what_is_no_tensor_is_refused(
    reader: tensors.Reader, body: bytes, words: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        reader(body)


def test_the_parser_is_free_again_after_a_refusal() -> None:
    for body in (b'{"instances": [[1.5], [1.5, 2]]}', b'{"other": [0.5]}', b"{.", b"."):
        with pytest.raises(InvalidArgumentError):
            FAST(body)

    assert FAST(b'{"instances": [0.5]}').tolist() == [0.5]
