"""`homeport storage` brings every byte, goes on where it broke off, keeps no half."""

import hashlib
import pathlib

import pytest

import command_line
from command_line import Ended
from servers import Server

pytestmark = pytest.mark.service

CONTENT = hashlib.sha256(b"seed").digest() * 100_000


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Where a person stands; the notes of uploads lie there too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def storage(server: Server, *words: str) -> Ended:
    return command_line.run("storage", *words, url=server.url)


def done(server: Server, *words: str) -> str:
    ended = storage(server, *words)
    assert ended.code == 0, ended.err
    return ended.out


@pytest.fixture
def bucket(shared_server: Server, request: pytest.FixtureRequest) -> str:
    """A bucket of this test's own."""
    name = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]
    done(shared_server, "mb", f"gs://{name}")
    return name


def test_a_folder_comes_back_as_it_went(
    shared_server: Server, bucket: str, folder: pathlib.Path
) -> None:
    (folder / "tree/below").mkdir(parents=True)
    (folder / "tree/empty").write_bytes(b"")
    (folder / "tree/below/naïve #1").write_bytes(CONTENT)

    done(shared_server, "cp", "-r", "tree", f"gs://{bucket}/x")
    done(shared_server, "cp", "-r", f"gs://{bucket}/x", "back/")

    assert (folder / "back/x/empty").read_bytes() == b""
    assert (folder / "back/x/below/naïve #1").read_bytes() == CONTENT
    assert sorted(one.name for one in (folder / "back/x").iterdir()) == [
        "below",
        "empty",
    ]


def test_a_download_goes_on_with_what_has_arrived(
    shared_server: Server, bucket: str, folder: pathlib.Path
) -> None:
    partial = begun(shared_server, bucket, folder, CONTENT[:1_000_000])

    done(shared_server, "cp", f"gs://{bucket}/it", "back")

    assert (folder / "back").read_bytes() == CONTENT
    assert not partial.exists()


def test_what_arrived_wrong_is_told_and_not_kept(
    shared_server: Server, bucket: str, folder: pathlib.Path
) -> None:
    begun(shared_server, bucket, folder, b"another beginning")

    first = storage(shared_server, "cp", f"gs://{bucket}/it", "back")
    there = (folder / "back").exists()
    second = storage(shared_server, "cp", f"gs://{bucket}/it", "back")

    assert first.code == 1
    assert "did not arrive as it is stored" in first.err
    assert (there, second.code) == (False, 0)
    assert (folder / "back").read_bytes() == CONTENT


def begun(
    server: Server, bucket: str, folder: pathlib.Path, arrived: bytes
) -> pathlib.Path:
    """Store an object, and leave a download of it as a kill would."""
    (folder / "it").write_bytes(CONTENT)
    done(server, "cp", "it", f"gs://{bucket}/it")
    found = server.call("GET", f"/storage/v1/b/{bucket}/o/it")[1]
    partial = folder / f".back.{found['generation']}.partial"
    partial.write_bytes(arrived)
    return partial


def test_a_pattern_names_objects_and_lists_show_folders(
    shared_server: Server, bucket: str, folder: pathlib.Path
) -> None:
    (folder / "f").write_bytes(b"12345")
    for name in ("a.txt", "b.txt", "d/c.txt", "d/e/f.txt"):
        done(shared_server, "cp", "f", f"gs://{bucket}/{name}")

    flat = done(shared_server, "ls", f"gs://{bucket}/*.txt")
    deep = done(shared_server, "ls", f"gs://{bucket}/**/f.txt")
    listed = done(shared_server, "ls", f"gs://{bucket}")
    below = done(shared_server, "ls", "--long", f"gs://{bucket}/d")
    removed = done(shared_server, "rm", f"gs://{bucket}/?.txt")

    at = f"gs://{bucket}"
    assert flat.split() == [f"{at}/a.txt", f"{at}/b.txt"]
    assert deep.split() == [f"{at}/d/e/f.txt"]
    assert listed.split() == [f"{at}/a.txt", f"{at}/b.txt", f"{at}/d/"]
    assert below.split()[0] == "5"
    assert below.split()[2:] == [f"{at}/d/c.txt", f"{at}/d/e/"]
    assert removed.count("removed") == 2


def test_a_name_that_is_nothing_or_a_folder_is_told_with_the_next_step(
    shared_server: Server, bucket: str, folder: pathlib.Path
) -> None:
    (folder / "f").write_bytes(b"12345")
    done(shared_server, "cp", "f", f"gs://{bucket}/d/f")

    missing = storage(shared_server, "ls", f"gs://{bucket}/typo")
    removed = storage(shared_server, "rm", f"gs://{bucket}/d")

    assert (missing.code, removed.code) == (1, 1)
    assert f"storage ls gs://{bucket}" in missing.err
    assert "is a folder and no object" in removed.err
    assert done(shared_server, "ls", f"gs://{bucket}/d") == f"gs://{bucket}/d/f\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param("cp none gs://nowhere-at-all/", "none is not there", id="no file"),
        pytest.param("cp here gs://nowhere-at-all/", "storage mb", id="no bucket"),
        pytest.param("cp here there", "gs:// address", id="no bucket at all"),
        pytest.param("cp . gs://nowhere-at-all/", "--recursive", id="a folder"),
        pytest.param("cp gs://b/ .", "--recursive", id="a bucket"),
        pytest.param("cat gs://b", "is no object", id="cat a bucket"),
        pytest.param("cat file:///etc/passwd", "gs://bucket", id="another scheme"),
        pytest.param("rm gs://nowhere-at-all/x", "nowhere-at-all", id="rm nothing"),
        pytest.param("rm gs://nowhere-at-all", "is no object", id="rm a bucket"),
        pytest.param("mb gs://b/x", "is no bucket", id="make an object"),
        pytest.param("mb gs://B", "B", id="a bad name"),
        pytest.param("rb gs://nowhere-at-all", "nowhere-at-all", id="rb nothing"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    shared_server: Server, folder: pathlib.Path, words: str, said: str
) -> None:
    (folder / "here").write_bytes(b"")

    ended = storage(shared_server, *words.split())

    assert (ended.code, ended.out) == (1, "")
    (line,) = ended.err.splitlines()
    assert said in line


def test_two_sources_of_one_name_are_refused_before_anything_is_copied(
    shared_server: Server, bucket: str, folder: pathlib.Path
) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "same").write_bytes(name.encode())

    ended = storage(shared_server, "cp", "a/same", "b/same", f"gs://{bucket}")

    assert ended.code == 1
    assert "two sources would become" in ended.err
    assert done(shared_server, "ls", f"gs://{bucket}") == ""


def test_an_object_whose_name_leads_out_is_not_written(
    shared_server: Server, bucket: str, folder: pathlib.Path
) -> None:
    (folder / "f").write_bytes(b"1")
    shared_server.call(
        "POST",
        f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name=x/../../outside",
        b"1",
    )

    ended = storage(shared_server, "cp", "-r", f"gs://{bucket}/x", "in")

    assert ended.code == 1
    assert "outside of in" in ended.err
    assert not (folder / "outside").exists()
