"""Requirements are names and versions: nothing that says where to fetch from."""

from pathlib import Path

import pytest

from homeport.errors import InvalidArgumentError
from homeport.packing import requirements


def _check(tmp_path: Path, text: str) -> tuple[str, ...]:
    path = tmp_path / "requirements.txt"
    path.write_text(text)
    return requirements.check(path)


def test_pinned_lines_pass(tmp_path: Path) -> None:
    text = (
        "# trained with\n"
        "numpy==2.1.0  # exact\n"
        "\n"
        "Pillow == 11.0.0 ; python_version >= '3.11'\n"
        "uvicorn[standard]==0.30.1\n"
        "torch===2.6.0 \\\n"
        "    --hash=sha256:0123abcd\n"
    )

    assert _check(tmp_path, text) == ()


@pytest.mark.parametrize(
    ("line", "warning"),
    [
        pytest.param("numpy", "line 2: numpy is not pinned", id="bare"),
        pytest.param("numpy>=2,<3", "line 2: numpy is not pinned", id="range"),
        pytest.param("numpy==2.*", "line 2: numpy is not pinned", id="wildcard"),
        pytest.param("numpy~=2.1", "line 2: numpy is not pinned", id="compatible"),
        pytest.param("torch==2.6.0+cpu", "write torch==2.6.0", id="local version"),
    ],
)
def test_a_line_that_may_drift_is_a_warning(
    line: str, warning: str, tmp_path: Path
) -> None:
    (found,) = _check(tmp_path, f"scipy==1.14.0\n{line}\n")

    assert warning in found


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        pytest.param("-i https://me:pass@host/", "line 2 is the option -i", id="-i"),
        pytest.param(
            "--index-url=https://me:pass@host/", "option --index-url", id="url"
        ),
        pytest.param("--extra-index-url https://h", "option --extra-index", id="extra"),
        pytest.param("-e ./mine", "option -e", id="editable"),
        pytest.param("-r more.txt", "option -r", id="another file"),
        pytest.param("git+https://me:pass@host/x", "line 2 is a URL", id="git"),
        pytest.param(
            "x @ https://me:pass@host/x.whl", "is a URL", id="direct reference"
        ),
        pytest.param("./mine", "line 2 is a path", id="relative path"),
        pytest.param("/opt/mine", "line 2 is a path", id="absolute path"),
        pytest.param("x-1.0-py3-none-any.whl", "line 2 is a file", id="wheel"),
        pytest.param("two words", "is no requirement", id="nonsense"),
        pytest.param("numpy=2.0", "is no requirement", id="one equals sign"),
    ],
)
def test_a_line_that_says_where_from_is_refused(
    line: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        _check(tmp_path, f"scipy==1.14.0\n{line}\n")

    assert problem in caught.value.message
    assert "pass" not in caught.value.message


def test_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("numpy==2.1.0\n", encoding="utf-16")

    with pytest.raises(InvalidArgumentError, match="not UTF-8"):
        requirements.check(path)
