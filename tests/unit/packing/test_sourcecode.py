"""A handler is compiled when packed: its mistakes show there, with their line."""

from pathlib import Path

import pytest

from homeport.errors import InvalidArgumentError, NotFoundError
from homeport.packing import sourcecode


def _written(tmp_path: Path, source: str) -> Path:
    path = tmp_path / "h.py"
    path.write_text(source)
    return path


@pytest.mark.parametrize(
    ("source", "suffix"),
    [
        pytest.param("class H: ...", "", id="class"),
        pytest.param("def handle(data, context): ...", "", id="handle"),
        pytest.param("from other import handle", "", id="imported handle"),
        pytest.param("from other import *", "", id="star import"),
        pytest.param("def run(data, context): ...", ":run", id="function"),
        pytest.param("async def run(d, c): ...", ":run", id="async function"),
        pytest.param("run = make()", ":run", id="assigned function"),
        pytest.param(
            "try:\n    import x\nexcept ImportError:\n    def run(d, c): ...\n",
            ":run",
            id="defined in a branch",
        ),
        pytest.param("x = '\\d'\nclass H: ...", "", id="a mere warning"),
    ],
)
def test_a_handler_file_is_resolved(source: str, suffix: str, tmp_path: Path) -> None:
    path = _written(tmp_path, source)

    handler = sourcecode.resolve_handler(f"{path}{suffix}")

    assert (handler.name, handler.path) == (f"h.py{suffix}", path)


def test_the_suffix_may_be_left_out(tmp_path: Path) -> None:
    path = _written(tmp_path, "def run(data, context): ...")

    handler = sourcecode.resolve_handler(f"{tmp_path / 'h'}:run")

    assert (handler.name, handler.path) == ("h.py:run", path)


@pytest.mark.parametrize("name", ["base_handler", "image_classifier"])
def test_what_the_server_has_is_built_in(name: str) -> None:
    handler = sourcecode.resolve_handler(name)

    assert (handler.name, handler.path) == (name, None)


@pytest.mark.parametrize(
    ("source", "suffix", "problem"),
    [
        pytest.param(
            "x = 1\ndef f(:\n", "", "h.py line 2: invalid syntax", id="syntax"
        ),
        pytest.param("x = 1\nreturn 5\n", "", "line 2: 'return' outside", id="return"),
        pytest.param("x = 1\n", "", "neither a class nor", id="no entry point"),
        pytest.param("class H: ...\n", ":run", "no top-level 'run'", id="no function"),
    ],
)
def test_a_broken_handler_is_refused(
    source: str, suffix: str, problem: str, tmp_path: Path
) -> None:
    path = _written(tmp_path, source)

    with pytest.raises(InvalidArgumentError) as caught:
        sourcecode.resolve_handler(f"{path}{suffix}")

    assert problem in caught.value.message


@pytest.mark.parametrize(
    "name", ["image_segmenter", "text_classifier", "object_detector"]
)
def test_other_default_handlers_are_refused_with_a_way_out(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"'{name}' is not built in"):
        sourcecode.resolve_handler(name)


def test_a_missing_handler_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"h\.py' does not exist"):
        sourcecode.resolve_handler(str(tmp_path / "h"))


def test_binary_is_no_source(tmp_path: Path) -> None:
    path = tmp_path / "h.py"
    path.write_bytes(b"\x00\xff\xfe")

    with pytest.raises(InvalidArgumentError, match=r"h\.py"):
        sourcecode.resolve_handler(str(path))
