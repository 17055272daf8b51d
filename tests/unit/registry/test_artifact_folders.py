"""An artifact that is no archive is laid out as the files that were uploaded."""

import pytest

from homeport.errors import FailedPreconditionError
from homeport.resources.model import Artifact
from rooms import Rooms


@pytest.fixture
def uploaded(rooms: Rooms) -> Artifact:
    return upload(rooms, {"model/weights.bin": b"weights", "serve.py": b"print()"})


def upload(rooms: Rooms, files: dict[str, bytes]) -> Artifact:
    for name, content in files.items():
        rooms.put(f"own/{name}", content)
    return rooms.artifacts.stage("gs://models/own")


def test_files_lie_under_their_names_and_cannot_be_written(
    rooms: Rooms, uploaded: Artifact
) -> None:
    folder = rooms.artifacts.lay_out_files(uploaded)

    assert (folder / "model/weights.bin").read_bytes() == b"weights"
    assert (folder / "serve.py").read_bytes() == b"print()"
    assert (folder / "serve.py").stat().st_mode & 0o777 == 0o444
    assert folder.stat().st_mode & 0o777 == 0o555
    assert rooms.artifacts.lay_out_files(uploaded) == folder


def test_a_file_that_was_changed_is_laid_out_anew(
    rooms: Rooms, uploaded: Artifact
) -> None:
    folder = rooms.artifacts.lay_out_files(uploaded)
    changed = folder / "serve.py"
    changed.chmod(0o644)
    changed.write_bytes(b"evil()")

    again = rooms.artifacts.lay_out_files(uploaded)

    assert (again / "serve.py").read_bytes() == b"print()"


@pytest.mark.parametrize("name", ["a/../../evil", "a//b", "."])
def test_names_that_are_no_paths_are_refused(rooms: Rooms, name: str) -> None:
    artifact = upload(rooms, {"good": b"1", name: b"2"})

    with pytest.raises(FailedPreconditionError, match="which is no path of a file"):
        rooms.artifacts.lay_out_files(artifact)


def test_a_file_named_as_the_folder_of_another_is_refused(rooms: Rooms) -> None:
    artifact = upload(rooms, {"a": b"1", "a/b": b"2"})

    with pytest.raises(FailedPreconditionError, match="make no folder"):
        rooms.artifacts.lay_out_files(artifact)

    assert not list((rooms.directory / "artifacts").glob(".staging.*"))
