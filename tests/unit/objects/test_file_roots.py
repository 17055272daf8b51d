import os
import pathlib

import pytest

from homeport.errors import (
    AbortedError,
    FailedPreconditionError,
    HomeportError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from homeport.objects.file_roots import FileRoots


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    """A listed directory, beside one whose name begins with the same letters."""
    root = tmp_path / "models"
    (root / "m" / "deep").mkdir(parents=True)
    (root / "m" / "model.mar").write_bytes(b"archive")
    (root / "m" / "deep" / "größe 1.txt").write_bytes(b"text")
    (tmp_path / "models-of-others").mkdir()
    (tmp_path / "models-of-others" / "model.mar").write_bytes(b"secret")
    return root


@pytest.fixture
def roots(root: pathlib.Path) -> FileRoots:
    return FileRoots([root], root.parent / "data")


def read(roots: FileRoots, uri: str) -> dict[str, bytes]:
    return {one.path: b"".join(one.blocks()) for one in roots.offers(uri)}


def test_a_folder_or_a_file_is_read(roots: FileRoots, root: pathlib.Path) -> None:
    folder = (root / "m").as_uri()
    file = (root / "m" / "deep" / "größe 1.txt").as_uri()

    assert read(roots, folder) == {
        "model.mar": b"archive",
        "deep/größe 1.txt": b"text",
    }
    assert read(roots, file) == {"größe 1.txt": b"text"}


def test_links_lead_to_files_below_a_root_alone(
    roots: FileRoots, root: pathlib.Path
) -> None:
    (root / "in.mar").symlink_to(root / "m" / "model.mar")
    (root / "out.mar").symlink_to(root.parent / "models-of-others" / "model.mar")
    (root / "away").symlink_to(root.parent / "models-of-others")

    assert read(roots, (root / "in.mar").as_uri()) == {"in.mar": b"archive"}
    for path in (root / "out.mar", root / "away", root / "away" / "model.mar"):
        with pytest.raises(PermissionDeniedError, match="--file-root"):
            roots.offers(path.as_uri())


@pytest.mark.parametrize(
    "target", ["deep", "../../models-of-others", "nothing", "self"]
)
def test_a_link_in_a_folder_to_what_is_no_file_of_it_is_refused(
    roots: FileRoots, root: pathlib.Path, target: str
) -> None:
    (root / "m" / "self").symlink_to(target)

    with pytest.raises(HomeportError):
        roots.offers((root / "m").as_uri())


@pytest.mark.parametrize(
    "path",
    ["models-of-others/model.mar", "nowhere", "models/../models-of-others", ""],
)
def test_what_is_in_no_root_is_refused_whether_it_is_there_or_not(
    roots: FileRoots, root: pathlib.Path, path: str
) -> None:
    uri = f"file://{root.parent}/{path}"

    with pytest.raises((PermissionDeniedError, InvalidArgumentError)):
        roots.offers(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "file://{root}/%2e%2e/models-of-others/model.mar",
        "file://host{root}/m",
        "file:m",
        "file://{root}/m?x",
        "file://{root}/m%00",
        "file://{root}/%ff",
    ],
)
def test_what_is_no_uri_of_a_file_is_refused(
    roots: FileRoots, root: pathlib.Path, uri: str
) -> None:
    with pytest.raises(InvalidArgumentError, match="file:///path"):
        roots.offers(uri.format(root=root))


def test_a_pipe_is_refused_and_not_waited_for(
    roots: FileRoots, root: pathlib.Path
) -> None:
    os.mkfifo(root / "pipe")

    with pytest.raises(InvalidArgumentError, match="pipe"):
        roots.offers((root / "pipe").as_uri())
    with pytest.raises(InvalidArgumentError, match="pipe"):
        roots.offers(root.as_uri())


def test_nothing_and_empty_folders_are_not_found(
    roots: FileRoots, root: pathlib.Path
) -> None:
    (root / "empty").mkdir()

    for name in ("empty", "nothing", "m/model.mar/x"):
        with pytest.raises(NotFoundError):
            roots.offers((root / name).as_uri())


def test_a_file_that_changes_is_aborted(roots: FileRoots, root: pathlib.Path) -> None:
    file = root / "m" / "model.mar"
    (before,) = roots.offers(file.as_uri())
    file.write_bytes(b"another one")
    (during,) = roots.offers(file.as_uri())
    blocks = during.blocks()
    first = next(blocks)
    with file.open("ab") as grown:
        grown.write(b"x")

    assert first == b"another one"
    with pytest.raises(AbortedError, match="changed"):
        b"".join(before.blocks())
    with pytest.raises(AbortedError, match="changed"):
        b"".join(blocks)


def test_a_folder_that_is_swapped_for_a_link_leads_nowhere(
    roots: FileRoots, root: pathlib.Path
) -> None:
    (offer,) = roots.offers((root / "m" / "model.mar").as_uri())
    (root / "m").rename(root / "was")
    (root / "m").symlink_to(root.parent / "models-of-others")

    with pytest.raises(NotFoundError):
        b"".join(offer.blocks())


def test_a_root_does_not_hold_the_data_directory(tmp_path: pathlib.Path) -> None:
    data = tmp_path / "data"
    (data / "keys").mkdir(parents=True)
    (tmp_path / "link").symlink_to(data)

    for wrong in (tmp_path, data, data / "keys", tmp_path / "link"):
        with pytest.raises(FailedPreconditionError, match="data directory"):
            FileRoots([wrong], data)
    with pytest.raises(FailedPreconditionError, match="no directory"):
        FileRoots([tmp_path / "nothing"], data)


def test_without_roots_nothing_is_read(root: pathlib.Path) -> None:
    roots = FileRoots([], root.parent / "data")

    with pytest.raises(PermissionDeniedError, match="reads no files"):
        roots.offers(root.as_uri())
