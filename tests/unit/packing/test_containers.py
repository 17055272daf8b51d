"""An archive is a zip, a tar or a folder: whole or not there, the same for ever."""

import datetime as dt
import gzip
import hashlib
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import time
import zipfile

import pytest

from homeport.archive import folder, mar, reading, tgz
from homeport.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
)
from homeport.packing.containers import ArchiveFormat
from homeport.packing.pack import PackSpec, pack
from homeport.packing.publishing import appearing_at

HANDLER = "def handle(data, context):\n    return data\n"
ALL = pytest.mark.parametrize("archive_format", list(ArchiveFormat))
DEADLINE_S = 60.0


@pytest.fixture(autouse=True)
def workplace(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Stand among a handler, weights of some blocks, and a package."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path("handler.py").write_text(HANDLER)
    pathlib.Path("weights.bin").write_bytes(bytes(range(256)) * 1000)
    for path in ("pkg/__init__.py", "pkg/deep/x.py", "pkg/__pycache__/x.pyc"):
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(path).write_text("x = 1\n")
    return tmp_path


def spec(**changes: object) -> PackSpec:
    given = {
        "model_name": "m",
        "handler": "handler.py",
        "serialized_file": pathlib.Path("weights.bin"),
        "extra_files": ("pkg",),
    } | changes
    return PackSpec(**given)  # type: ignore[arg-type]  # one table for all fields


def tree_digest(path: pathlib.Path) -> str:
    files = (
        sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    )
    lines = [f"{p.name} {hashlib.sha256(p.read_bytes()).hexdigest()}" for p in files]
    return "\n".join(lines)


@ALL
def test_every_format_holds_the_same_files(archive_format: ArchiveFormat) -> None:
    packed = pack(spec(), pathlib.Path("store"), archive_format=archive_format)

    inventory = reading.check(packed.path)

    assert (
        packed.path.name
        == {
            ArchiveFormat.DEFAULT: "m.mar",
            ArchiveFormat.ZIP_STORE: "m.mar",
            ArchiveFormat.TGZ: "m.tar.gz",
            ArchiveFormat.NO_ARCHIVE: "m",
        }[archive_format]
    )
    assert {member.path: member.size_bytes for member in inventory.members} == {
        "MAR-INF/MANIFEST.json": inventory.members[0].size_bytes,
        "__init__.py": 6,
        "deep/x.py": 6,
        "handler.py": len(HANDLER),
        "weights.bin": 256_000,
    }
    assert inventory.manifest.serialized_file == "weights.bin"
    assert packed.size_bytes == inventory.archive_bytes


@ALL
def test_every_format_is_the_same_for_ever(archive_format: ArchiveFormat) -> None:
    first = pack(spec(), pathlib.Path("a"), archive_format=archive_format)
    os.utime("weights.bin", (1, 1))
    pathlib.Path("handler.py").chmod(0o600)
    second = pack(spec(), pathlib.Path("b"), archive_format=archive_format)

    assert tree_digest(first.path) == tree_digest(second.path)


def test_a_tar_is_an_ordinary_one() -> None:
    date = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    long_name = "d" * 90 + "/" + "n" * 90 + ".txt"
    pathlib.Path(long_name).parent.mkdir()
    pathlib.Path(long_name).write_text("far")
    packed = pack(
        spec(created_on=date, extra_files=("d" * 90,), keep_directories=True),
        pathlib.Path(),
        archive_format=ArchiveFormat.TGZ,
    )

    with tarfile.open(packed.path, "r:gz") as archive:
        names = archive.getnames()
        weights = archive.extractfile("m/weights.bin")
        assert weights is not None
        assert weights.read() == pathlib.Path("weights.bin").read_bytes()
        assert {one.mtime for one in archive.getmembers()} == {date.timestamp()}
    assert names == [
        "m/MAR-INF/MANIFEST.json",
        f"m/{long_name}",
        "m/handler.py",
        "m/weights.bin",
    ]
    assert {member.path for member in tgz.check(packed.path).members} == {
        name.removeprefix("m/") for name in names
    }


@pytest.mark.parametrize(
    ("archive_format", "name"),
    [("default", "m.mar"), ("zip-store", "m.mar"), ("tgz", "m.tar.gz")],
)
def test_the_same_words_give_the_same_files_as_the_archiver(
    archive_format: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for made in ("theirs", "staging", "pkg/.hidden"):
        pathlib.Path(made).mkdir()
    pathlib.Path("pkg/.hidden/x").write_text("x")
    pathlib.Path("labels.txt").write_text("x")
    monkeypatch.setenv("TMPDIR", str(pathlib.Path("staging").resolve()))
    words = (
        "--model-name m --version 1.0 --handler handler.py --serialized-file "
        "weights.bin --extra-files pkg,*.txt --runtime python3 --force "
        f"--archive-format {archive_format} --export-path"
    ).split()
    archiver = "from model_archiver import model_packaging as m;"
    archiver += "m.generate_model_archive()"

    for command in (
        [sys.executable, "-c", archiver, *words, "theirs"],
        [sys.executable, "-m", "homeport", "pack", *words, "ours"],
    ):
        subprocess.run(command, check=True)  # noqa: S603  # our own interpreter

    theirs = reading.check(pathlib.Path("theirs") / name)
    found = reading.check(pathlib.Path("ours") / name)
    assert [one.path for one in found.members] == [one.path for one in theirs.members]
    assert found.manifest.files == theirs.manifest.files
    assert found.manifest.handler == theirs.manifest.handler


def test_a_package_that_lies_flat_is_a_warning() -> None:
    flat = pack(spec(), pathlib.Path("a"))
    kept = pack(spec(keep_directories=True), pathlib.Path("b"))

    (warning,) = flat.warnings
    assert warning.startswith("pkg is a package, and its files lie in the archive's")
    assert kept.warnings == ()
    paths = {member.path for member in mar.check(kept.path).members}
    assert paths >= {"pkg/__init__.py", "pkg/deep/x.py"}


@ALL
def test_an_error_leaves_nothing(archive_format: ArchiveFormat) -> None:
    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(
            spec(),
            pathlib.Path("store"),
            archive_format=archive_format,
            on_progress=interrupt,
        )

    assert list(pathlib.Path("store").iterdir()) == []


def _begun(archive_format: ArchiveFormat) -> "subprocess.Popen[bytes]":
    """Return a process that writes an archive of 40 GiB into `store`."""
    with pathlib.Path("large.bin").open("wb") as file:
        file.truncate(40 << 30)
    words = "-s large.bin --handler handler.py --model-name m --export-path store"
    process = subprocess.Popen(  # noqa: S603  # our own interpreter
        [
            *(sys.executable, "-m", "homeport", "pack", *words.split()),
            *("--archive-format", archive_format.value),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + DEADLINE_S
    while not list(pathlib.Path().glob("store/.*.partial/m*")):
        assert process.poll() is None
        assert time.monotonic() < deadline, "packing never began"
        time.sleep(0.005)
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@ALL
def test_a_signal_leaves_nothing(
    archive_format: ArchiveFormat, number: signal.Signals
) -> None:
    process = _begun(archive_format)

    process.send_signal(number)

    assert process.wait(DEADLINE_S) != 0
    assert list(pathlib.Path("store").iterdir()) == []


@ALL
def test_what_a_killed_process_left_is_removed_by_the_next(
    archive_format: ArchiveFormat,
) -> None:
    store = pathlib.Path("store")
    process = _begun(archive_format)

    process.kill()
    process.wait(DEADLINE_S)
    assert [path.name[0] for path in store.iterdir()] == ["."]
    pack(spec(), store, archive_format=archive_format)

    assert [path.name for path in store.iterdir()] == [archive_format.file_name("m")]


def test_what_another_process_writes_is_left_alone() -> None:
    store = pathlib.Path("store")
    process = _begun(ArchiveFormat.DEFAULT)

    pack(spec(), store)

    assert list(store.glob(".*.partial/m.mar"))
    process.terminate()
    process.wait(DEADLINE_S)
    assert [path.name for path in store.iterdir()] == ["m.mar"]


def test_a_folder_that_had_stepped_aside_comes_back() -> None:
    # As after a kill between the two renames of --force.
    left = pathlib.Path("store/.m.0123abcd.partial")
    (left / "replaced").mkdir(parents=True)
    (left / "replaced/old.txt").write_text("x")

    target = pathlib.Path("store/m")

    with (
        pytest.raises(FailedPreconditionError, match="as in this test"),
        appearing_at(target),
    ):
        raise OSError(5, "as in this test")

    assert (target / "old.txt").read_text() == "x"
    assert [path.name for path in target.parent.iterdir()] == ["m"]


def test_a_folder_is_replaced_by_force_alone_and_only_if_it_is_an_archive() -> None:
    here = pathlib.Path()
    pack(spec(), here, archive_format=ArchiveFormat.NO_ARCHIVE)
    (here / "m/stale.txt").write_text("x")

    with pytest.raises(AlreadyExistsError, match="--force"):
        pack(spec(), here, archive_format=ArchiveFormat.NO_ARCHIVE)
    pack(spec(), here, archive_format=ArchiveFormat.NO_ARCHIVE, force=True)
    assert not (here / "m/stale.txt").exists()

    with pytest.raises(AlreadyExistsError, match="is a folder and no archive"):
        pack(
            spec(model_name="pkg"),
            here,
            archive_format=ArchiveFormat.NO_ARCHIVE,
            force=True,
        )


def test_a_folder_is_never_packed_into_itself() -> None:
    pathlib.Path("all").mkdir()
    everything = spec(extra_files=("all",), serialized_file=None)
    target = pathlib.Path("all")
    pack(everything, target, archive_format=ArchiveFormat.NO_ARCHIVE)

    pack(everything, target, archive_format=ArchiveFormat.NO_ARCHIVE, force=True)

    paths = [member.path for member in folder.check(target / "m").members]
    assert paths == ["MAR-INF/MANIFEST.json", "handler.py"]


def test_a_file_that_grows_meanwhile_is_refused() -> None:
    def grow(*_: int) -> None:
        with pathlib.Path("weights.bin").open("ab") as file:
            file.write(b"more")

    with pytest.raises(InvalidArgumentError, match="changed while it was being packed"):
        pack(spec(), pathlib.Path("store"), on_progress=grow)


def test_a_tar_is_stored_in_blocks_of_one_length() -> None:
    packed = pack(spec(), pathlib.Path(), archive_format=ArchiveFormat.TGZ)

    text = packed.path.read_bytes()

    assert text[:4] == b"\x1f\x8b\x08\x00"
    assert text[10:15] == b"\x00\xff\xff\x00\x00"
    assert len(text) < len(gzip.decompress(text)) * 1.001
    assert zipfile.is_zipfile(packed.path) is False


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(b"a\xff.txt", id="no UTF-8"),
        pytest.param(b"a\nb.txt", id="a line end"),
        pytest.param("a\u202etxt.py".encode(), id="turned round"),
        pytest.param(b"a\\b.txt", id="a backslash"),
    ],
)
@ALL
def test_a_name_that_no_archive_may_have_is_told_before_anything_is_written(
    archive_format: ArchiveFormat, name: bytes
) -> None:
    pathlib.Path("odd").mkdir()
    pathlib.Path(os.fsdecode(b"odd/" + name)).write_text("x")

    with pytest.raises(InvalidArgumentError, match="a name that no archive may have"):
        pack(
            spec(extra_files=("odd",)),
            pathlib.Path("store"),
            archive_format=archive_format,
        )

    assert not pathlib.Path("store").exists()
