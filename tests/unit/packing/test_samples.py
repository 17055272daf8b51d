"""A sample is read from the files users have: a request as JSON, or a picture."""

import pathlib

import pytest

from homeport.errors import InvalidArgumentError, NotFoundError
from homeport.packing import samples


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "file.json"


def test_json_with_instances_is_the_request_itself(file: pathlib.Path) -> None:
    file.write_text('{"instances": [[1.5], [2]], "parameters": {"top": 1}}')

    found = samples.read(file)

    assert found.request == {"instances": [[1.5], [2]], "parameters": {"top": 1}}
    assert found.predictions is None


def test_any_other_file_is_one_instance(tmp_path: pathlib.Path) -> None:
    picture = tmp_path / "cat.jpg"
    picture.write_bytes(b"\xff\xd8\xff")

    found = samples.read(picture)

    assert found.request == {"instances": [{"data": {"b64": "/9j/"}}]}


@pytest.mark.parametrize("text", ["[1, 2]", '{"predictions": [1, 2], "model": "m"}'])
def test_the_expected_output_is_a_list_or_an_endpoints_answer(
    tmp_path: pathlib.Path, file: pathlib.Path, text: str
) -> None:
    file.write_text('{"instances": [3, 4]}')
    expected = tmp_path / "expected.json"
    expected.write_text(text)

    found = samples.read(file, expected)

    assert found.predictions == (1, 2)
    assert (found.relative_tolerance, found.absolute_tolerance) == (1e-5, 1e-6)


def test_the_expected_output_may_bring_its_tolerances(
    tmp_path: pathlib.Path, file: pathlib.Path
) -> None:
    file.write_text('{"instances": [3]}')
    expected = tmp_path / "expected.json"
    expected.write_text('{"predictions": [1], "relativeTolerance": 0.01}')

    found = samples.read(file, expected)

    assert (found.relative_tolerance, found.absolute_tolerance) == (0.01, 1e-6)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(
            b'{"text": "a"}', "no JSON object with instances", id="no request"
        ),
        pytest.param(b"[1]", "no JSON object with instances", id="a list"),
        pytest.param(
            b'{"instances":\n [[1, 2], [3}',
            r"no JSON object with instances \(Expecting ',' delimiter at line 2 "
            r"column 13\): give",
            id="no JSON",
        ),
        pytest.param(b"\xff", "is no UTF-8 text", id="no text"),
        pytest.param(b'{"instances": []}', "no list of instances", id="no instances"),
        pytest.param(bytes(10485761), "the limit is 10485760", id="too large"),
    ],
)
def test_a_sample_with_a_mistake_is_refused(
    file: pathlib.Path, content: bytes, words: str
) -> None:
    file.write_bytes(content)

    with pytest.raises(InvalidArgumentError, match=words):
        samples.read(file)


@pytest.mark.parametrize("content", [b"{}", b'{"predictions": 1}', b"7", b"no JSON"])
def test_an_expected_output_with_a_mistake_is_refused(
    tmp_path: pathlib.Path, file: pathlib.Path, content: bytes
) -> None:
    file.write_text('{"instances": [3]}')
    expected = tmp_path / "expected.json"
    expected.write_bytes(content)

    with pytest.raises(InvalidArgumentError, match="holds no predictions"):
        samples.read(file, expected)


def test_a_file_that_is_not_there_is_named(file: pathlib.Path) -> None:
    with pytest.raises(NotFoundError, match=r"file\.json' does not exist"):
        samples.read(file)
