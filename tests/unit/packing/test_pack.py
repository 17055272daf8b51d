"""Packing gives one archive, the same for ever, that every reader can stream."""

import datetime as dt
import hashlib
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from homeport.archive import mar
from homeport.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    HomeportError,
    InvalidArgumentError,
    NotFoundError,
)
from homeport.packing import pack as packing
from homeport.packing.pack import PackSpec, pack

HANDLER = "def handle(data, context):\n    return data\n"
EXAMPLE = Path(__file__).parents[3] / "examples" / "image_classifier"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    path.write_bytes(b"weights" * 1000)
    return path


@pytest.fixture
def handler(tmp_path: Path) -> Path:
    path = tmp_path / "handler.py"
    path.write_text(HANDLER)
    return path


def _torch_zip(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(f"model/{name}", b"x")
    return path


def _paths(archive: Path) -> list[str]:
    return [member.path for member in mar.check(archive).members]


def test_an_archive_holds_its_files_flat(
    tmp_path: Path, model: Path, handler: Path
) -> None:
    (tmp_path / "net.py").write_text("class Net: ...\n")
    (tmp_path / "requirements.txt").write_text("numpy==2.1.0\n")
    (tmp_path / "config.yaml").write_text("batchSize: 4\n")
    spec = PackSpec(
        model_name="digits",
        version="2.0",
        handler=f"{handler}:handle",
        serialized_file=model,
        model_file=tmp_path / "net.py",
        requirements_file=tmp_path / "requirements.txt",
        lock=False,
        config_file=tmp_path / "config.yaml",
        description="reads digits",
    )

    packed = pack(spec, tmp_path / "new" / "store")

    inventory = mar.check(packed.path)
    assert packed.path == tmp_path / "new" / "store" / "digits.mar"
    assert packed.size_bytes == packed.path.stat().st_size
    assert packed.warnings == ()
    assert inventory.stored
    assert _paths(packed.path) == [
        "MAR-INF/MANIFEST.json",
        "config.yaml",
        "handler.py",
        "model.pt",
        "net.py",
        "requirements.txt",
    ]
    declared = inventory.manifest
    assert (declared.model_name, declared.version) == ("digits", "2.0")
    assert declared.handler == "handler.py:handle"
    assert declared.serialized_file == "model.pt"
    assert declared.model_file == "net.py"
    assert declared.requirements_file == "requirements.txt"
    assert declared.config_file == "config.yaml"
    assert declared.description == "reads digits"
    assert declared.archiver_version.startswith("homeport ")
    assert declared.created_on == "01/01/1980 00:00:00"


def test_the_same_files_give_the_same_bytes(
    tmp_path: Path, model: Path, handler: Path
) -> None:
    spec = PackSpec(model_name="m", handler=str(handler), serialized_file=model)

    first = pack(spec, tmp_path / "a").path.read_bytes()
    model.chmod(0o600)
    os.utime(handler, (1, 1))
    second = pack(spec, tmp_path / "b").path.read_bytes()

    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()


def test_a_reader_can_stream_it_from_the_front(
    tmp_path: Path, model: Path, handler: Path
) -> None:
    spec = PackSpec(model_name="m", handler=str(handler), serialized_file=model)

    stream = pack(spec, tmp_path).path.read_bytes()

    names = []
    while stream.startswith(b"PK\x03\x04"):
        flags, method, *_, size_bytes, _, name_bytes, extra_bytes = struct.unpack_from(
            "<2H2HL2L2H", stream, 6
        )
        assert (flags, method) == (0, 0)  # no data descriptor, stored
        names.append(stream[30 : 30 + name_bytes].decode())
        stream = stream[30 + name_bytes + extra_bytes + size_bytes :]
    assert names == ["MAR-INF/MANIFEST.json", "handler.py", "model.pt"]
    assert stream.startswith(b"PK\x01\x02")


@pytest.mark.parametrize(
    ("environment", "created_on"),
    [
        pytest.param({}, "01/01/1980 00:00:00", id="fixed without it"),
        pytest.param(
            {"SOURCE_DATE_EPOCH": "1700000000"}, "14/11/2023 22:13:20", id="set"
        ),
        pytest.param(
            {"SOURCE_DATE_EPOCH": "5"}, "01/01/1980 00:00:00", id="too old for a zip"
        ),
    ],
)
def test_the_date_comes_from_source_date_epoch(
    environment: dict[str, str], created_on: str, tmp_path: Path, handler: Path
) -> None:
    spec = PackSpec(
        model_name="m",
        handler=str(handler),
        created_on=packing.source_date(environment),
    )

    packed = pack(spec, tmp_path)

    assert mar.check(packed.path).manifest.created_on == created_on
    with zipfile.ZipFile(packed.path) as archive:
        dates = {entry.date_time[:3] for entry in archive.infolist()}
    day = dt.datetime.strptime(created_on, "%d/%m/%Y %H:%M:%S").replace(tzinfo=dt.UTC)
    assert dates == {(day.year, day.month, day.day)}


def test_a_wrong_source_date_epoch_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="seconds since 1970"):
        packing.source_date({"SOURCE_DATE_EPOCH": "yesterday"})


def test_a_directory_keeps_its_layout_and_a_pattern_lies_flat(
    tmp_path: Path, handler: Path
) -> None:
    package = tmp_path / "package"
    for path in ("__init__.py", "deep/x.py", "__pycache__/x.pyc", ".git/config"):
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text("x = 1\n")
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "vocab.json").write_text("{}")
    spec = PackSpec(
        model_name="m",
        handler=str(handler),
        extra_files=(str(package), str(flat / "*"), str(handler)),
        keep_directories=True,
    )

    assert _paths(pack(spec, tmp_path).path) == [
        "MAR-INF/MANIFEST.json",
        "handler.py",
        "package/__init__.py",
        "package/deep/x.py",
        "vocab.json",
    ]


def test_the_archive_itself_is_never_packed(tmp_path: Path, handler: Path) -> None:
    spec = PackSpec(
        model_name="m", handler=str(handler), extra_files=(str(tmp_path / "*"),)
    )
    first = pack(spec, tmp_path)

    second = pack(spec, tmp_path, force=True)

    assert first.size_bytes == second.size_bytes
    assert _paths(second.path) == ["MAR-INF/MANIFEST.json", "handler.py"]


def test_progress_ends_at_the_total(tmp_path: Path, model: Path, handler: Path) -> None:
    steps: list[tuple[int, int]] = []
    spec = PackSpec(model_name="m", handler=str(handler), serialized_file=model)

    pack(spec, tmp_path, on_progress=lambda *step: steps.append(step))

    total_bytes = 7000 + len(HANDLER)
    assert steps[-1] == (total_bytes, total_bytes)


def test_an_archive_is_replaced_by_force_alone(tmp_path: Path, handler: Path) -> None:
    target = tmp_path / "m.mar"
    target.write_bytes(b"older")
    spec = PackSpec(model_name="m", handler=str(handler))

    with pytest.raises(AlreadyExistsError, match="--force"):
        pack(spec, tmp_path)
    assert target.read_bytes() == b"older"

    pack(spec, tmp_path, force=True)
    assert mar.check(target).manifest.model_name == "m"


def test_an_interruption_leaves_nothing(
    tmp_path: Path, model: Path, handler: Path
) -> None:
    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    spec = PackSpec(model_name="m", handler=str(handler), serialized_file=model)

    with pytest.raises(KeyboardInterrupt):
        pack(spec, tmp_path / "store", on_progress=interrupt)

    assert list((tmp_path / "store").iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_told(
    handler: Path,
) -> None:
    with pytest.raises(FailedPreconditionError, match="--export-path"):
        pack(PackSpec(model_name="m", handler=str(handler)), handler)


def test_two_files_of_one_name_are_refused_by_name(
    tmp_path: Path, handler: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "handler.py").write_text("y = 2\n")
    spec = PackSpec(
        model_name="m",
        handler=str(handler),
        extra_files=(str(other / "handler.py"),),
    )

    with pytest.raises(InvalidArgumentError, match="would both be") as caught:
        pack(spec, tmp_path)

    assert str(handler) in caught.value.message
    assert str(other / "handler.py") in caught.value.message


def test_names_that_differ_only_by_case_are_refused(
    tmp_path: Path, handler: Path
) -> None:
    (tmp_path / "Handler.py").write_text("y = 2\n")
    spec = PackSpec(
        model_name="m",
        handler=str(handler),
        extra_files=(str(tmp_path / "Handler.py"),),
    )

    with pytest.raises(InvalidArgumentError, match="would both be"):
        pack(spec, tmp_path)


@pytest.mark.parametrize(
    ("change", "error", "problem"),
    [
        pytest.param(
            {"model_name": "a/b"},
            InvalidArgumentError,
            "the model name is 'a/b': use letters",
            id="name",
        ),
        pytest.param(
            {"serialized_file": Path("none.pt")}, NotFoundError, "none.pt", id="missing"
        ),
        pytest.param(
            {"serialized_file": Path()}, InvalidArgumentError, "is no file", id="folder"
        ),
        pytest.param(
            {"serialized_file": Path("empty.pt")},
            InvalidArgumentError,
            "is empty",
            id="empty",
        ),
        pytest.param(
            {"config_file": Path("broken.yaml")},
            InvalidArgumentError,
            "broken.yaml is not valid YAML (while parsing",
            id="config",
        ),
        pytest.param(
            {"config_file": Path("batch.yaml")},
            InvalidArgumentError,
            "batchSize is ",
            id="batch size",
        ),
        pytest.param(
            {"extra_files": ("none.txt",)}, NotFoundError, "none.txt", id="extra"
        ),
        pytest.param(
            {"extra_files": ("*.none",)}, NotFoundError, "match no file", id="pattern"
        ),
        pytest.param(
            {"extra_files": ("MAR-INF",), "keep_directories": True},
            InvalidArgumentError,
            "MAR-INF",
            id="reserved",
        ),
        pytest.param(
            {"extra_files": ("linked",)}, InvalidArgumentError, "is a link", id="link"
        ),
        pytest.param(
            {"extra_files": ("pipe",)}, InvalidArgumentError, "no regular", id="pipe"
        ),
        pytest.param(
            {"model_file": Path("handler.py")},
            InvalidArgumentError,
            "defines no class",
            id="model file without a class",
        ),
        pytest.param(
            {"handler": "base_handler"},
            InvalidArgumentError,
            "--serialized-file",
            id="base_handler without a model",
        ),
        pytest.param(
            {"handler": "base_handler", "serialized_file": Path("state.pth")},
            InvalidArgumentError,
            "--model-file",
            id="base_handler with a state dict alone",
        ),
        pytest.param(
            {"runtime": "LSP"}, InvalidArgumentError, "runtime", id="C++ runtime"
        ),
    ],
)
def test_what_cannot_be_packed_is_told(
    change: dict[str, str],
    error: type[HomeportError],
    problem: str,
    tmp_path: Path,
    handler: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.pt").touch()
    Path("broken.yaml").write_text("a: ]\n")
    Path("batch.yaml").write_text("batchSize: none\n")
    _torch_zip(Path("state.pth"), "data.pkl", "data/0")
    Path("MAR-INF").mkdir()
    Path("MAR-INF/x").write_text("x")
    Path("linked").mkdir()
    Path("linked/to").symlink_to("/tmp")  # noqa: S108  # never followed
    os.mkfifo("pipe")
    arguments: dict[str, str] = {"model_name": "m", "handler": handler.name} | change

    with pytest.raises(error) as caught:
        pack(PackSpec(**arguments), tmp_path / "store")  # type: ignore[arg-type]  # one table for all fields

    assert problem in caught.value.message
    assert not list((tmp_path).glob("store/*"))


@pytest.mark.parametrize("named", ["base_handler", "image_classifier"])
def test_the_default_handler_that_was_named_is_told(named: str, tmp_path: Path) -> None:
    state = _torch_zip(tmp_path / "state.pth", "data.pkl")
    nothing = PackSpec(model_name="m", handler=named)
    no_class = PackSpec(model_name="m", handler=named, serialized_file=state)

    for spec in (nothing, no_class):
        with pytest.raises(InvalidArgumentError, match=rf"\b{named} (needs|loads)"):
            pack(spec, tmp_path / "store")


def test_base_handler_serves_a_checkpoint_with_its_class(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("class Net: ...\n\n\nclass Block: ...\n")
    spec = PackSpec(
        model_name="m",
        serialized_file=_torch_zip(tmp_path / "state.pth", "data.pkl"),
        model_file=tmp_path / "net.py",
    )

    packed = pack(spec, tmp_path)

    assert mar.check(packed.path).manifest.handler == "base_handler"
    assert "2 classes (Net, Block)" in packed.warnings[0]


def test_the_example_packs(tmp_path: Path) -> None:
    spec = PackSpec(
        model_name="image-classifier",
        handler=str(EXAMPLE / "handler.py"),
        serialized_file=_torch_zip(tmp_path / "model.pt", "constants.pkl"),
        model_file=EXAMPLE / "model.py",
        requirements_file=EXAMPLE / "requirements.txt",
        lock=False,
    )

    assert pack(spec, tmp_path).warnings == ()


def test_packing_imports_no_framework() -> None:
    code = "import sys, homeport.packing.pack as p; print('torch' in sys.modules)"

    result = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert result.stdout == "False\n"
