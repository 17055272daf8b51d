"""An artifact is what lay at an address once; its archive is laid out verified."""

import concurrent.futures
import hashlib
import io
import os
import pathlib
import resource
import threading
import zipfile
from collections.abc import Callable

import pytest

from homeport.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    ResourceExhaustedError,
)
from homeport.registry.artifacts import Artifacts
from homeport.resources.model import Artifact, ArtifactFile
from rooms import DEADLINE_S, Rooms, archive


def _paths(artifact: Artifact) -> list[str]:
    return [file.path for file in artifact.files]


def _blob(rooms: Rooms, content: bytes) -> pathlib.Path:
    digest = hashlib.sha256(content).hexdigest()
    return rooms.directory / "blobs" / "sha256" / digest[:2] / digest


def _laid_out(rooms: Rooms) -> list[str]:
    directory = rooms.directory / "artifacts"
    return [path.name for path in directory.iterdir()] if directory.exists() else []


@pytest.mark.parametrize(
    ("uri", "paths"),
    [
        pytest.param("gs://models/first", ["config/a.txt", "model.mar"], id="a folder"),
        pytest.param(
            "gs://models/first/", ["config/a.txt", "model.mar"], id="a closing slash"
        ),
        pytest.param("gs://models/first/model.mar", ["model.mar"], id="one object"),
        pytest.param(
            "gs://models",
            ["first/config/a.txt", "first/model.mar", "firstborn.mar"],
            id="a whole bucket",
        ),
    ],
)
def test_what_lies_at_an_address_is_taken_in(
    rooms: Rooms, uri: str, paths: list[str]
) -> None:
    rooms.put("first/", b"")  # placeholders that storage browsers make
    rooms.put("first/config/", b"")
    rooms.put("first/model.mar", b"archive")
    rooms.put("first/config/a.txt", b"text")
    rooms.put("firstborn.mar", b"other")

    assert _paths(rooms.artifacts.stage(uri)) == paths


@pytest.mark.parametrize(
    ("uri", "error", "cause"),
    [
        pytest.param("gs://models/sec", NotFoundError, "nothing is stored", id="none"),
        pytest.param(
            "gs://models/empty", NotFoundError, "nothing is stored", id="placeholder"
        ),
        pytest.param("gs://models/m.mar/x", NotFoundError, "nothing", id="too deep"),
        pytest.param("gs://other/m.mar", NotFoundError, "'other'", id="no bucket"),
        pytest.param("gs://", InvalidArgumentError, "expected gs://", id="no name"),
        pytest.param("/home/m.mar", InvalidArgumentError, "expected gs://", id="path"),
        pytest.param("s3://models/m", PermissionDeniedError, "outside-prefix", id="s3"),
    ],
)
def test_an_address_without_anything_is_refused(
    rooms: Rooms, uri: str, error: type[Exception], cause: str
) -> None:
    rooms.put("second/model.mar", b"archive")
    rooms.put("m.mar", b"archive")
    rooms.put("empty/", b"")

    with pytest.raises(error, match=cause):
        rooms.artifacts.stage(uri)


def test_the_digest_is_that_of_the_manifest(rooms: Rooms) -> None:
    rooms.put("a/b.txt", b"text")
    rooms.put("a/ä.txt", b"")

    staged = rooms.artifacts.stage("gs://models/a")

    text, empty = hashlib.sha256(b"text").hexdigest(), hashlib.sha256().hexdigest()
    assert staged == Artifact(
        hashlib.sha256(f"{text} 4 b.txt\n{empty} 0 ä.txt\n".encode()).hexdigest(),
        (ArtifactFile("b.txt", text, 4), ArtifactFile("ä.txt", empty, 0)),
    )


def test_the_same_files_are_the_same_artifact_wherever_they_lie(rooms: Rooms) -> None:
    for folder in ("one", "two/deep"):
        rooms.put(f"{folder}/model.mar", b"archive")

    staged = [rooms.artifacts.stage(f"gs://models/{f}") for f in ("one", "two/deep")]

    assert staged[0] == staged[1]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(["model.mar"], "model.mar", id="the archive"),
        pytest.param(["deep/m.mar", "notes.txt"], "deep/m.mar", id="among others"),
        pytest.param(["model"], "model", id="a lone file, by its content"),
    ],
)
def test_the_archive_is_found(rooms: Rooms, names: list[str], expected: str) -> None:
    for name in names:
        rooms.put(f"a/{name}", archive())

    staged = rooms.artifacts.stage("gs://models/a")

    assert rooms.artifacts.archive_of(staged).path == expected


def _zip(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("files", "error", "cause"),
    [
        pytest.param(
            {"a.bin": b"x", "b.bin": b"y"},
            FailedPreconditionError,
            "no .mar archive among a.bin, b.bin",
            id="none",
        ),
        pytest.param(
            {f"{n}.bin": b"x" for n in range(7)},
            FailedPreconditionError,
            "and 2 more",
            id="none among many",
        ),
        pytest.param(
            {"model": b"not a zip"},
            FailedPreconditionError,
            "no .mar archive among model",
            id="a lone file that is none",
        ),
        pytest.param(
            {"a.mar": archive(), "b.mar": archive()},
            FailedPreconditionError,
            "more than one .mar archive: a.mar, b.mar",
            id="several",
        ),
        pytest.param(
            {"model.mar": b"not a zip"}, InvalidArgumentError, "zip", id="not a zip"
        ),
        pytest.param(
            {"model.mar": _zip(model="x")},
            InvalidArgumentError,
            "MANIFEST.json",
            id="no manifest",
        ),
        pytest.param({"model.mar": b""}, InvalidArgumentError, "", id="empty"),
    ],
)
def test_files_without_one_good_archive_are_refused(
    rooms: Rooms, files: dict[str, bytes], error: type[Exception], cause: str
) -> None:
    for name, content in files.items():
        rooms.put(f"a/{name}", content)
    staged = rooms.artifacts.stage("gs://models/a")

    with pytest.raises(error) as raised:
        rooms.artifacts.archive_of(staged)
    assert cause in str(raised.value)
    with pytest.raises(error):
        rooms.artifacts.lay_out(staged)
    assert _laid_out(rooms) == []


def _staged(rooms: Rooms) -> Artifact:
    rooms.put("a/model.mar", archive())
    return rooms.artifacts.stage("gs://models/a")


def test_an_archive_is_laid_out_once_and_read_only(rooms: Rooms) -> None:
    staged = _staged(rooms)

    directory = rooms.artifacts.lay_out(staged)

    assert (
        directory / "handler.py"
    ).read_bytes() == b"def handle(data, context): ...\n"
    assert (directory / "handler.py").stat().st_mode & 0o222 == 0
    assert directory.stat().st_mode & 0o222 == 0
    assert rooms.artifacts.lay_out(staged) == directory
    assert _laid_out(rooms) == [hashlib.sha256(archive()).hexdigest()]


@pytest.mark.parametrize("at", [0, 40, -60, -1])
def test_a_flipped_byte_is_data_loss_and_nothing_is_laid_out(
    rooms: Rooms, at: int
) -> None:
    staged = _staged(rooms)
    blob = _blob(rooms, archive())
    content = bytearray(blob.read_bytes())
    content[at] ^= 1
    blob.chmod(0o600)
    blob.write_bytes(content)

    with pytest.raises(DataLossError, match="upload the version again"):
        rooms.artifacts.lay_out(staged)

    assert _laid_out(rooms) == []


def test_lost_bytes_are_data_loss(rooms: Rooms) -> None:
    staged = _staged(rooms)
    _blob(rooms, archive()).unlink()

    with pytest.raises(DataLossError, match="gone"):
        rooms.artifacts.lay_out(staged)

    assert _laid_out(rooms) == []


def _restarted(rooms: Rooms) -> Artifacts:
    directory = rooms.directory / "artifacts"
    artifacts = rooms.artifacts_at(directory)
    artifacts.start()
    return artifacts


def _truncate(path: pathlib.Path) -> None:
    path.chmod(0o600)
    os.truncate(path, 3)


def _flip(path: pathlib.Path) -> None:
    path.chmod(0o600)
    path.write_bytes(b"D" + path.read_bytes()[1:])


def _add(path: pathlib.Path) -> None:
    path.parent.chmod(0o700)
    (path.parent / "json.py").write_text("import os")


def _lose(path: pathlib.Path) -> None:
    path.parent.chmod(0o700)
    path.unlink()


@pytest.mark.parametrize("damage", [_truncate, _flip, _add, _lose])
def test_what_an_earlier_server_laid_out_wrong_is_laid_out_anew(
    rooms: Rooms, damage: Callable[[pathlib.Path], None]
) -> None:
    staged = _staged(rooms)
    damage(rooms.artifacts.lay_out(staged) / "handler.py")

    directory = _restarted(rooms).lay_out(staged)

    assert sorted(one.name for one in directory.iterdir()) == ["MAR-INF", "handler.py"]
    content = (directory / "handler.py").read_bytes()
    assert content == b"def handle(data, context): ...\n"
    assert _laid_out(rooms) == [directory.name]


def test_what_was_laid_out_is_read_through_before_each_load(rooms: Rooms) -> None:
    staged = _staged(rooms)
    _flip(rooms.artifacts.lay_out(staged) / "handler.py")

    directory = rooms.artifacts.lay_out(staged)

    content = (directory / "handler.py").read_bytes()
    assert content == b"def handle(data, context): ...\n"


def test_an_archive_damaged_after_it_was_laid_out_is_data_loss_or_served_as_it_was(
    rooms: Rooms,
) -> None:
    staged = _staged(rooms)
    directory = rooms.artifacts.lay_out(staged)
    content = archive()
    _flip_at(_blob(rooms, content), content.index(b"handle(data"))

    assert rooms.artifacts.lay_out(staged) == directory
    _flip_at(_blob(rooms, content), -1)
    with pytest.raises(DataLossError, match=r"^model\.mar: .* upload the version"):
        rooms.artifacts.lay_out(staged)


def test_damage_names_the_member(rooms: Rooms) -> None:
    staged = _staged(rooms)
    content = archive()
    _flip_at(_blob(rooms, content), content.index(b"handle(data"))

    with pytest.raises(DataLossError, match=r"^handler\.py in model\.mar: "):
        rooms.artifacts.lay_out(staged)


def _flip_at(path: pathlib.Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def test_what_an_earlier_server_laid_out_whole_is_kept(rooms: Rooms) -> None:
    staged = _staged(rooms)
    made = (rooms.artifacts.lay_out(staged) / "handler.py").stat().st_ino

    assert (_restarted(rooms).lay_out(staged) / "handler.py").stat().st_ino == made


def test_what_a_killed_server_had_begun_is_removed_at_the_start(rooms: Rooms) -> None:
    begun = rooms.directory / "artifacts" / ".staging.abc.xyz" / "deep"
    begun.mkdir(parents=True)
    (begun / "part").touch()
    begun.chmod(0o555)

    _restarted(rooms)

    assert _laid_out(rooms) == []


def test_a_disk_that_takes_only_a_part_leaves_nothing(rooms: Rooms) -> None:
    rooms.put("a/model.mar", archive(b"#" * 10_000))
    staged = rooms.artifacts.stage("gs://models/a")
    # As a disk that fills: a write takes a part, the next one fails.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(ResourceExhaustedError, match="free some"):
            rooms.artifacts.lay_out(staged)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert _laid_out(rooms) == []


def test_two_deployments_lay_the_same_archive_out_at_once(rooms: Rooms) -> None:
    staged = _staged(rooms)
    together = threading.Barrier(2)

    def lay_out() -> pathlib.Path:
        together.wait(DEADLINE_S)
        return rooms.artifacts.lay_out(staged)

    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        both = [threads.submit(lay_out) for _ in range(2)]

    expected = rooms.directory / "artifacts" / hashlib.sha256(archive()).hexdigest()
    assert [one.result() for one in both] == [expected, expected]
    assert _laid_out(rooms) == [expected.name]
