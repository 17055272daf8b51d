"""`homeport pack` and `homeport inspect`: what a person types and reads."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import wheels
from homeport.cli.inspect import inspect
from homeport.cli.pack import pack
from homeport.errors import HomeportError, InvalidArgumentError, NotFoundError


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with a TorchScript model, a checkpoint and a handler."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    for name, inside in (("digits.pt", "constants.pkl"), ("state.pth", "data.pkl")):
        with zipfile.ZipFile(name, "w") as archive:
            archive.writestr(f"m/{inside}", b"x")
    Path("handler.py").write_text("class H: ...\n")
    Path("labels.json").write_text("{}")
    Path("vocab.txt").write_text("a\n")
    return tmp_path


def _pack(*arguments: str) -> Result:
    return CliRunner().invoke(pack, arguments)


def _error(result: Result) -> HomeportError:
    """Return what the command raised; the group above prints it in one line."""
    assert isinstance(result.exception, HomeportError)
    return result.exception


def test_a_torchscript_model_is_enough() -> None:
    result = _pack("-s", "digits.pt")

    archive = Path("digits.mar")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "archive  digits.mar\n"
        f"size     {archive.stat().st_size} bytes\n"
        f"sha256   {digest}\n"
        "\n"
        "Next:    homeport deploy digits.mar\n"
    )


@pytest.mark.parametrize(
    ("given", "name"),
    [
        pytest.param("digits.pt", "digits.mar", id="file"),
        pytest.param("bert-base-v1.5", "bert-base-v1.5.mar", id="directory"),
        pytest.param("bert-base-v1.5/.", "bert-base-v1.5.mar", id="this directory"),
    ],
)
def test_an_archive_is_called_after_its_model(given: str, name: str) -> None:
    Path("bert-base-v1.5").mkdir()
    Path("bert-base-v1.5/config.json").write_text("{}")
    Path("bert-base-v1.5/model.safetensors").write_bytes(b"\2" + b"\0" * 7 + b"{}")

    result = _pack("-s", given, "--handler", "handler.py")

    assert result.exit_code == 0, result.output
    assert Path(name).is_file()


def test_requirements_may_be_none() -> None:
    Path("requirements.txt").touch()

    result = _pack("-s", "digits.pt", "-r", "requirements.txt", "--no-lock")

    assert result.exit_code == 0, result.output
    assert "requirements.txt" in zipfile.ZipFile("digits.mar").namelist()


def test_every_option_reaches_the_archive() -> None:
    Path("requirements.txt").write_text("numpy\n")
    Path("net.py").write_text("class Net: ...\n")
    Path("config.yaml").write_text("batchSize: 2\n")

    result = _pack(
        *("--model-name", "reader", "--version", "3.1", "--runtime", "python3"),
        *("--serialized-file", "state.pth", "--model-file", "net.py"),
        *("--handler", "handler.py", "--extra-files", "labels.json, vocab.txt"),
        *("--requirements-file", "requirements.txt", "--config-file", "config.yaml"),
        *("--no-lock",),
        *("--export-path", "store/new", "--description", "reads digits"),
    )

    assert result.exit_code == 0, result.output
    assert "warning: requirements.txt line 1: numpy is not pinned" in result.stderr
    shown = CliRunner().invoke(inspect, ["store/new/reader.mar", "--output", "json"])
    document = json.loads(shown.stdout)
    assert document["manifest"] == {
        "model_name": "reader",
        "handler": "handler.py",
        "version": "3.1",
        "serialized_file": "state.pth",
        "model_file": "net.py",
        "extensions": [],
        "requirements_file": "requirements.txt",
        "config_file": "config.yaml",
        "runtime": "python3",
        "archiver_version": document["manifest"]["archiver_version"],
        "created_on": "01/01/1980 00:00:00",
        "description": "reads digits",
        "envelope": "",
        "source_vocab": "",
        "trust_pickle": False,
        "kept": {},
        "kept_in_model": {},
    }
    assert [member["path"] for member in document["members"]] == [
        "MAR-INF/MANIFEST.json",
        "config.yaml",
        "handler.py",
        "labels.json",
        "net.py",
        "requirements.txt",
        "state.pth",
        "vocab.txt",
    ]


def test_extra_files_may_be_given_again_and_again() -> None:
    _pack(
        "-s", "digits.pt", "--extra-files", "labels.json", "--extra-files", "vocab.txt"
    )

    with zipfile.ZipFile("digits.mar") as archive:
        assert {"labels.json", "vocab.txt"} <= set(archive.namelist())


def test_force_replaces() -> None:
    _pack("-s", "digits.pt")

    assert "--force" in _error(_pack("-s", "digits.pt")).message
    assert _pack("-s", "digits.pt", "-f").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param([], "--serialized-file or --model-name", id="nothing given"),
        pytest.param(["-s", "state.pth"], "--model-file", id="state dict alone"),
        pytest.param(["-s", "labels.json"], "give --handler", id="no model at all"),
    ],
)
def test_what_is_missing_is_named(arguments: list[str], problem: str) -> None:
    error = _error(_pack(*arguments))

    assert isinstance(error, InvalidArgumentError)
    assert problem in error.message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "minWorkers: two\n",
            "minWorkers is 'two' in the model's config file: give a whole number",
            id="no number",
        ),
        pytest.param("batchSize: [\n", "c.yaml is not valid YAML", id="no YAML"),
    ],
)
def test_a_configuration_that_no_worker_starts_with_is_not_packed(
    text: str, problem: str
) -> None:
    Path("c.yaml").write_text(text)

    error = _error(_pack("-s", "digits.pt", "--config-file", "c.yaml"))

    assert isinstance(error, InvalidArgumentError)
    assert problem in error.message
    assert not Path("digits.mar").exists()


def test_a_model_that_is_not_there_is_named() -> None:
    error = _error(_pack("-s", "none.pt"))

    assert isinstance(error, NotFoundError)
    assert error.message == "serialized file 'none.pt' does not exist: check the path"


def test_several_files_that_are_missing_are_told_at_once() -> None:
    result = _pack("-s", "none.pt", "--handler", "none.py:run", "--sample", "none.json")

    assert _error(result).message == (
        "--serialized-file 'none.pt' and --handler 'none.py' and --sample 'none.json' "
        "do not exist: check the paths"
    )


def test_inspect_shows_tables() -> None:
    _pack("-s", "digits.pt", "--version", "2.0", "--description", "a\x1b[2Jb")

    result = CliRunner().invoke(inspect, ["digits.mar"])

    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["model", "name", "digits"] in lines
    assert ["version", "2.0"] in lines
    size = str(Path("digits.pt").stat().st_size)
    assert any(line[:4] == ["digits.pt", size, size, "stored"] for line in lines)
    assert lines[-1][:2] == ["2", "files,"]
    assert "\x1b" not in result.stdout


def test_inspect_refuses_what_is_no_archive() -> None:
    error = _error(CliRunner().invoke(inspect, ["labels.json"]))

    assert "is not a zip file" in error.message


@pytest.mark.parametrize("command", [pack, inspect], ids=["pack", "inspect"])
def test_help_has_an_example(command: object) -> None:
    result = CliRunner().invoke(command, ["--help"])  # type: ignore[arg-type]  # a click command

    assert "Examples:\n    homeport " in result.stdout


def _golden(archive: str) -> dict[str, object]:
    with zipfile.ZipFile(archive) as file:
        document = json.loads(file.read("MAR-INF/golden.json"))
    assert isinstance(document, dict)
    return document


def test_a_sample_and_its_answer_travel_in_the_archive() -> None:
    Path("sample.json").write_text('{"instances": [[1, 2]]}')
    Path("expected.json").write_text('{"predictions": [3], "deployedModelId": "1"}')

    result = _pack(
        *("-s", "digits.pt", "--sample", "sample.json", "--expected", "expected.json")
    )

    assert result.exit_code == 0, result.output
    assert _golden("digits.mar") == {
        "request": {"instances": [[1, 2]]},
        "predictions": [3],
        "relativeTolerance": 1e-5,
        "absoluteTolerance": 1e-6,
    }


def test_a_picture_is_a_sample_too() -> None:
    Path("cat.jpg").write_bytes(b"\xff\xd8\xff")

    _pack("-s", "digits.pt", "--sample", "cat.jpg")

    golden = _golden("digits.mar")
    assert golden["request"] == {"instances": [{"data": {"b64": "/9j/"}}]}
    assert golden["predictions"] is None


def test_an_expected_output_without_a_sample_is_refused() -> None:
    Path("expected.json").write_text("[3]")

    result = _pack("-s", "digits.pt", "--expected", "expected.json")

    assert "give --sample too" in _error(result).message
    assert not Path("digits.mar").exists()


def test_local_modules_that_the_code_imports_are_added_and_named() -> None:
    Path("handler.py").write_text("from prep.crop import Crop\nclass H: ...\n")
    Path("prep").mkdir()
    Path("prep/__init__.py").touch()
    Path("prep/crop.py").write_text("import scale\nclass Crop: ...\n")
    Path("scale.py").touch()

    result = _pack("-s", "digits.pt", "--handler", "handler.py")

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[:2] == [
        "added    prep/, which the code imports",
        "added    scale.py, which the code imports",
    ]
    with zipfile.ZipFile("digits.mar") as archive:
        assert {"prep/__init__.py", "prep/crop.py", "scale.py"} <= set(
            archive.namelist()
        )


def test_an_import_that_is_nowhere_is_named_with_its_line() -> None:
    Path("handler.py").write_text("import json\nimport cropping_of_mine\nclass H: ...")

    error = _error(_pack("-s", "digits.pt", "--handler", "handler.py"))

    assert isinstance(error, InvalidArgumentError)
    assert error.message.startswith(
        "handler.py line 2 imports cropping_of_mine, which is not found: "
    )
    assert not Path("digits.mar").exists()


@pytest.mark.usefixtures("index")
def test_a_lock_is_made_and_shown(packages: Path) -> None:
    wheels.make(packages, "alpha", "1.0")
    Path("requirements.txt").write_text("alpha==1.0\n")

    result = _pack(
        *("-s", "digits.pt", "--handler", "handler.py", "-r", "requirements.txt")
    )

    assert result.exit_code == 0, result.output
    assert result.stderr == "Resolving 1 requirement ...\n"
    assert result.stdout.splitlines()[0] == "lock     1 package"
    with zipfile.ZipFile("digits.mar") as archive:
        assert b"alpha==1.0" in archive.read("MAR-INF/requirements.lock")


def test_lineage_travels_in_the_archive() -> None:
    result = _pack(
        "-s", "digits.pt", "--lineage", "run=r1", "--lineage", "dataset=gs://a/b=c"
    )

    assert result.exit_code == 0, result.output
    with zipfile.ZipFile("digits.mar") as archive:
        said = json.loads(archive.read("MAR-INF/lineage.json"))
    assert said == {"run": "r1", "dataset": "gs://a/b=c"}


@pytest.mark.parametrize("said", ["Run=1", "uploaded_by=ada", "run=", "lock=1"])
def test_lineage_that_no_archive_can_say_is_refused_first(said: str) -> None:
    result = _pack("-s", "digits.pt", "--lineage", said)

    assert isinstance(_error(result), InvalidArgumentError)
    assert not Path("digits.mar").exists()
