"""What `homeport deploy` is given becomes an archive, or a sentence."""

import pathlib
import zipfile
from typing import Any

import pytest

from homeport.cli import deploysources
from homeport.cli.deploysources import Source
from homeport.errors import InvalidArgumentError

HANDLER = "def handle(data, context):\n    return data\n"


def source(path: pathlib.Path, **said: Any) -> Source:
    nothing: dict[str, Any] = {
        "name": None,
        "handler": None,
        "model_file": None,
        "extra_files": (),
        "requirements_file": None,
        "sample": None,
    }
    return Source(path=path, **{**nothing, **said})


@pytest.fixture
def folder(tmp_path: pathlib.Path, mlp_torchscript: pathlib.Path) -> pathlib.Path:
    """A folder with a model and what belongs to it."""
    made = tmp_path / "my digits"
    (made / "words").mkdir(parents=True)
    (made / "model.pt").write_bytes(mlp_torchscript.read_bytes())
    (made / "handler.py").write_text(HANDLER)
    (made / "words/list.txt").write_text("a")
    (made / "index.json").write_text("{}")
    (made / ".hidden").write_text("x")
    return made


def test_a_folder_becomes_an_archive_with_all_that_is_shown(
    folder: pathlib.Path,
) -> None:
    with deploysources.archive(source(folder)) as made, zipfile.ZipFile(made) as packed:
        members = set(packed.namelist())

    assert made.name == "my-digits.mar"
    assert {"model.pt", "handler.py", "index.json", "words/list.txt"} <= members
    assert ".hidden" not in members
    assert not made.exists()


def test_source_alone_is_told_where_it_goes(folder: pathlib.Path) -> None:
    with (
        pytest.raises(InvalidArgumentError) as caught,
        deploysources.archive(source(folder / "handler.py")),
    ):
        pass

    quoted = f"'{folder}/handler.py'"
    assert "is Python source and no model" in caught.value.message
    assert f"`--handler {quoted}` if that is its handler" in caught.value.message
    assert f"`--model-file {quoted}` if that is its class" in caught.value.message
    assert f"pack --model-name NAME --handler {quoted}`" in caught.value.message


@pytest.mark.parametrize(
    ("mistyped", "asked"),
    [
        pytest.param("model.tp", "model.pt?", id="a letter"),
        pytest.param("../my digts", "", id="a folder elsewhere"),
        pytest.param("digits.mar", "", id="nothing like it"),
        pytest.param("mode.mar", "", id="not alike enough"),
        pytest.param("handler.mar", "", id="source alone"),
        pytest.param("word", "", id="a folder without a model"),
        pytest.param("gone/model.pt", "", id="no folder"),
    ],
)
def test_the_file_that_a_mistyped_path_may_mean_is_told(
    folder: pathlib.Path, mistyped: str, asked: str
) -> None:
    question = deploysources.nearest(folder / mistyped)

    assert question.rpartition("/")[2] == asked


def test_the_folder_that_a_mistyped_path_may_mean_is_told(
    folder: pathlib.Path,
) -> None:
    question = deploysources.nearest(folder.with_name("my digts"))

    assert question == f": did you mean {folder}?"


def test_a_name_is_asked_after_without_what_it_does_to_a_terminal(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "model\x1b[2J.pt").write_bytes(b"any")

    question = deploysources.nearest(tmp_path / "model[2J.pt")

    assert question.endswith("/model\\x1b[2J.pt?")


def test_a_model_file_is_packed_with_what_is_said(folder: pathlib.Path) -> None:
    said = source(
        folder / "model.pt",
        name="digits",
        handler=str(folder / "handler.py"),
        extra_files=(str(folder / "index.json"),),
    )

    with deploysources.archive(said) as made, zipfile.ZipFile(made) as packed:
        members = set(packed.namelist())

    assert made.name == "digits.mar"
    assert {"model.pt", "handler.py", "index.json"} <= members
    assert "words/list.txt" not in members


def test_a_folder_with_one_archive_is_that_archive(tmp_path: pathlib.Path) -> None:
    (tmp_path / "digits.mar").write_bytes(b"any")

    with deploysources.archive(source(tmp_path)) as found:
        assert found == tmp_path / "digits.mar"

    assert found.exists()


@pytest.mark.parametrize(
    ("names", "said", "words"),
    [
        pytest.param([], {}, "holds none", id="an empty folder"),
        pytest.param(["a.pt", "b.pth"], {}, "holds a.pt, b.pth", id="two models"),
        pytest.param(
            ["a.mar", "b.mar"],
            {},
            "holds a.mar, b.mar: give the one",
            id="two archives",
        ),
        pytest.param(
            ["a.mar", "a.pt"], {}, "holds a.mar, a.pt: give the one", id="old and new"
        ),
        pytest.param(["MAR-INF/MANIFEST.json"], {}, "unpacked", id="unpacked"),
    ],
)
def test_a_folder_that_is_not_clear_is_refused(
    tmp_path: pathlib.Path, names: list[str], said: dict[str, Any], words: str
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")

    with (
        pytest.raises(InvalidArgumentError, match=words),
        deploysources.archive(source(tmp_path, **said)),
    ):
        pass


def test_an_archive_is_not_packed_again(tmp_path: pathlib.Path) -> None:
    archive = tmp_path / "digits.mar"
    archive.write_bytes(b"any")

    with (
        pytest.raises(InvalidArgumentError, match="was said when it was packed"),
        deploysources.archive(source(archive, handler="handler.py")),
    ):
        pass
