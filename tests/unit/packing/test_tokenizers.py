"""A tokenizer lies in the archive under the name its handler opens."""

from pathlib import Path

import pytest
from click.testing import CliRunner

import homeport
from homeport.archive import mar
from homeport.cli.pack import pack as command
from homeport.errors import InvalidArgumentError, NotFoundError
from homeport.packing import pack as packing
from homeport.packing import tokenizers
from homeport.packing.pack import PackSpec


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder with a handler and tokenizers of both kinds."""
    monkeypatch.chdir(tmp_path)
    Path("handler.py").write_text("def handle(data, context):\n    return data\n")
    Path("trained-3.pkl").write_bytes(b"words")
    saved = Path("saved")
    (saved / ".cache").mkdir(parents=True)
    (saved / "tokenizer.json").write_text("{}")
    (saved / "vocab.txt").write_text("a\n")
    (saved / ".cache" / "lock").write_text("x")


def packed(tokenizer: str, name: str) -> dict[str, int]:
    """Pack from Python; return the size of every file in the archive but two."""
    archive = homeport.pack(
        "trained-3.pkl",
        name="m",
        handler="handler.py",
        tokenizer=tokenizer,
        tokenizer_name=name,
    ).path
    named = {member.path: member.size_bytes for member in mar.check(archive).members}
    return {
        path: size
        for path, size in named.items()
        if path not in {"MAR-INF/MANIFEST.json", "handler.py", "trained-3.pkl"}
    }


def test_a_file_lies_in_the_root_under_the_given_name() -> None:
    assert packed("trained-3.pkl", "tokenizer.pkl") == {"tokenizer.pkl": 5}


def test_a_saved_directory_keeps_its_files_below_the_given_name() -> None:
    assert packed("saved", "tokenizer") == {
        "tokenizer/tokenizer.json": 2,
        "tokenizer/vocab.txt": 2,
    }


def test_the_command_line_keeps_the_tokenizers_own_name_by_default() -> None:
    result = CliRunner().invoke(
        command,
        ["--model-name", "m", "--handler", "handler.py", "--tokenizer", "saved/"],
    )

    assert result.exit_code == 0, result.output
    paths = [member.path for member in mar.check(Path("m.mar")).members]
    assert paths == [
        "MAR-INF/MANIFEST.json",
        "handler.py",
        "saved/tokenizer.json",
        "saved/vocab.txt",
    ]


@pytest.mark.parametrize(
    ("tokenizer", "name", "error", "said"),
    [
        pytest.param(
            Path("gone.pkl"),
            "t.pkl",
            NotFoundError,
            "tokenizer 'gone.pkl' does not exist: check the path",
            id="it is missing",
        ),
        pytest.param(
            Path("empty"),
            "t.pkl",
            InvalidArgumentError,
            "tokenizer 'empty' is a directory without any of tokenizer_config.json",
            id="a directory where a file is needed",
        ),
        pytest.param(
            Path("trained-3.pkl"),
            "vocab/t.pkl",
            InvalidArgumentError,
            "tokenizer name 'vocab/t.pkl' is no file name: give one without '/'",
            id="a name with a slash",
        ),
        pytest.param(
            Path("trained-3.pkl"),
            "..",
            InvalidArgumentError,
            "tokenizer name '..' is no file name",
            id="a name that leads out",
        ),
        pytest.param(
            None,
            "t.pkl",
            InvalidArgumentError,
            "tokenizer name 't.pkl' names no tokenizer: give its file with --tokenizer",
            id="a name alone",
        ),
    ],
)
def test_a_tokenizer_that_cannot_be_packed_is_told(
    tokenizer: Path | None, name: str, error: type[Exception], said: str
) -> None:
    Path("empty").mkdir()

    with pytest.raises(error) as raised:
        tokenizers.members(tokenizer, name)

    assert said in str(raised.value)


def test_a_name_that_another_file_has_is_refused() -> None:
    spec = PackSpec(
        model_name="m",
        handler="handler.py",
        tokenizer=Path("trained-3.pkl"),
        tokenizer_name="Handler.py",
    )

    with pytest.raises(InvalidArgumentError) as raised:
        packing.pack(spec, Path())

    assert "'handler.py' and 'trained-3.pkl' would both be 'Handler.py'" in str(
        raised.value
    )
    assert not Path("m.mar").exists()
