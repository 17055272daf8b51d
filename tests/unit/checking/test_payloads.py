"""What a handler receives for one request is shown for each way it may come.

That TorchServe really does so is asked of itself, in tests/conformance.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.checking import openinference, payloads
from homeport.checking.payloads import Shape
from homeport.errors import InvalidArgumentError

NUMBERS = b'{"instances": [[1, 2.5], [3, 4]]}'
PICTURE = b"\xff\xd8\x00"
TENSORS = (
    b'{"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", '
    b'"data": [1, 2, 3, 4]}]}'
)


def shown(content: bytes) -> dict[str, str]:
    """Return each way in short, with the handler's data as Python writes it."""
    return {in_short(shape): said(shape) for shape in explained(content)}


def explained(content: bytes) -> tuple[Shape, ...]:
    return payloads.explain(payloads.read(content))


def in_short(shape: Shape) -> str:
    kind = shape.content_type.rpartition("/")[2]
    return f"{shape.surface} {shape.path} {shape.envelope or '-'} {kind}"


def said(shape: Shape) -> str:
    return shape.refusal.partition(":")[0] if shape.data is None else repr(shape.data)


def test_rows_of_numbers_are_shown_in_every_shape() -> None:
    body = "{'instances': [[1, 2.5], [3, 4]]}"
    rows = "[[1, 2.5], [3, 4]]"
    tensor = (
        "[{'name': 'input-0', 'shape': [2, 2], 'datatype': 'FP64', "
        "'data': [[1.0, 2.5], [3.0, 4.0]]}]"
    )

    found = shown(NUMBERS)

    text = NUMBERS.decode()
    assert found == {
        "Homeport ENDPOINT:predict json json": rows,
        "Homeport ENDPOINT:predict body json": f"[{body}]",
        "Vertex AI ENDPOINT:predict json json": rows,
        "Vertex AI ENDPOINT:rawPredict json json": rows,
        "TorchServe /predictions/MODEL - json": f"[{{'body': {body}}}]",
        "TorchServe /predictions/MODEL - octet-stream": (
            f"[{{'body': bytearray(b'{text}')}}]"
        ),
        "TorchServe /predictions/MODEL - form-data": (
            f"[{{'data': bytearray(b'{text}')}}]"
        ),
        "TorchServe /predictions/MODEL json json": rows,
        "TorchServe /predictions/MODEL body json": f"[{body}]",
        "TorchServe /predictions/MODEL kserve json": rows,
        "TorchServe /predictions/MODEL kservev2 json": tensor,
        "KServe /v1/models/MODEL:predict kserve json": rows,
        "KServe /v2/models/MODEL/infer kservev2 json": tensor,
    }


def test_a_picture_is_bytes_or_base64_text_by_the_way_it_comes() -> None:
    found = shown(PICTURE)

    decoded = r"[{'data': b'\xff\xd8\x00'}]"
    assert found["Homeport ENDPOINT:predict json json"] == decoded
    assert found["TorchServe /predictions/MODEL json json"] == decoded
    assert found["TorchServe /predictions/MODEL - octet-stream"] == (
        r"[{'body': bytearray(b'\xff\xd8\x00')}]"
    )
    assert found["TorchServe /predictions/MODEL - form-data"] == (
        r"[{'data': bytearray(b'\xff\xd8\x00')}]"
    )
    assert found["KServe /v1/models/MODEL:predict kserve json"] == (
        "[{'data': {'b64': '/9gA'}}]"
    )
    assert found["KServe /v2/models/MODEL/infer kservev2 json"] == (
        "[{'name': 'data', 'shape': [1], 'datatype': 'BYTES', 'data': '/9gA'}]"
    )
    assert found["Vertex AI ENDPOINT:rawPredict json octet-stream"] == (
        "the body was not sent as application/json, so the json envelope fails"
    )


def test_text_and_other_json_are_one_instance() -> None:
    text, value = payloads.read(b"good morning"), payloads.read(b'{"text": "hi"}')

    assert (text.kind, text.instances) == (
        "12 bytes, taken as one instance",
        [{"data": {"b64": "Z29vZCBtb3JuaW5n"}}],
    )
    assert (value.kind, value.instances) == (
        "JSON, taken as one instance",
        [{"text": "hi"}],
    )
    assert shown(b"good morning")["TorchServe /predictions/MODEL - plain"] == (
        "[{'body': 'good morning'}]"
    )


def test_tensors_become_rows_where_rows_are_wanted() -> None:
    found = shown(TENSORS)

    assert found["Homeport ENDPOINT:predict json json"] == "[[1, 2], [3, 4]]"
    assert found["KServe /v2/models/MODEL/infer kservev2 json"] == (
        "[{'name': 'x', 'shape': [2, 2], 'datatype': 'FP32', 'data': [[1, 2], [3, 4]]}]"
    )


def test_columns_become_tensors_and_rows_again() -> None:
    rows = [{"id": 7, "words": "a"}, {"id": 8, "words": "b"}]

    inputs = openinference.to_inputs(rows)

    assert inputs == [
        {"name": "id", "shape": [2], "datatype": "INT64", "data": [7, 8]},
        {"name": "words", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]},
    ]
    assert openinference.to_instances(inputs) == rows


@given(
    st.integers(1, 3).flatmap(
        lambda width: st.lists(
            st.lists(st.integers(), min_size=width, max_size=width), min_size=1
        )
    )
)
def test_rows_of_numbers_survive_the_way_through_tensors(rows: list[list[int]]) -> None:
    assert openinference.to_instances(openinference.to_inputs(rows)) == rows


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        pytest.param([[1], [1, 2]], "the rows are not all of one shape", id="ragged"),
        pytest.param(
            [{"a": 1}, {"b": 1}],
            "the rows have not all the same columns",
            id="other columns",
        ),
        pytest.param([1, "a"], "the rows hold other than numbers", id="mixed kinds"),
        pytest.param([None], "the rows hold other than numbers", id="nothing"),
    ],
)
def test_rows_without_a_tensor_say_so_in_the_shapes_that_need_one(
    rows: list[object], reason: str
) -> None:
    found = explained(json.dumps({"instances": rows}).encode())

    tensors = [shape for shape in found if shape.envelope == "kservev2"]
    assert [shape.data for shape in tensors] == [None, None]
    assert all(shape.refusal.startswith(reason) for shape in tensors)
    assert sum(shape.data is not None for shape in found) == 11


def test_a_request_that_is_nested_without_end_is_told() -> None:
    content = b'{"instances": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}"

    with pytest.raises(InvalidArgumentError) as raised:
        explained(content)

    assert str(raised.value).startswith("the request is nested too deeply")


def test_only_homeport_decodes_a_binary_row_behind_a_plain_one() -> None:
    found = shown(b'{"instances": [1, {"b64": "aGk="}]}')

    assert found["Homeport ENDPOINT:predict json json"] == "[1, b'hi']"
    assert found["TorchServe /predictions/MODEL json json"] == "[1, {'b64': 'aGk='}]"


@pytest.mark.parametrize(
    ("content", "path", "refusal"),
    [
        pytest.param(
            b'{"instances": [{"b64": "a"}]}',
            "ENDPOINT:predict",
            'instance 0 has under "b64" what is not base64',
            id="no base64",
        ),
        pytest.param(
            b'{"instances": [{"a": 1}, 2]}',
            "/predictions/MODEL",
            "the first row is an object and another is none, so the json envelope",
            id="rows of two kinds",
        ),
        pytest.param(
            b'{"text": 1}',
            "ENDPOINT:rawPredict",
            'there is no list of "instances", so the json envelope fails: TorchServe '
            'answers 503 "Prediction failed", and the handler is not called',
            id="no instances",
        ),
        pytest.param(
            b'{"inputs": [{"name": "w", "shape": [0], "datatype": "BYTES", '
            b'"data": []}]}',
            "/v2/models/MODEL/infer",
            "w has no data, so the kservev2 envelope fails",
            id="no data",
        ),
    ],
)
def test_a_request_that_fails_before_the_handler_says_why(
    content: bytes, path: str, refusal: str
) -> None:
    found = [shape for shape in explained(content) if shape.path == path]

    assert any(shape.refusal.startswith(refusal) for shape in found)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "the request is empty", id="empty"),
        pytest.param(
            b'{"inputs": [1]}', 'an element of "inputs" lacks', id="no tensor"
        ),
        pytest.param(
            b'{"inputs": [{"name": "x", "shape": [3], "datatype": "FP32", '
            b'"data": [1]}]}',
            "1 values have not the shape [3]",
            id="another shape",
        ),
        pytest.param(
            b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]},'
            b'{"name": "y", "shape": [2], "datatype": "FP32", "data": [1, 2]}]}',
            "the inputs x, y have 1 and 2 rows",
            id="rows that do not match",
        ),
    ],
)
def test_a_file_that_is_no_request_is_told(content: bytes, said: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        payloads.read(content)

    assert str(raised.value).startswith(said)
