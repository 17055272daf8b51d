"""A backup is whole or is not there, and what is restored from it is what was."""

import dataclasses
import datetime as dt
import hashlib
import pathlib
from collections.abc import Callable

import pytest

from databases import KINDS, SQLITE, Databases
from homeport.errors import (
    DataLossError,
    FailedPreconditionError,
    HomeportError,
    InvalidArgumentError,
)
from homeport.metadata import portable
from homeport.metadata.database import Database
from homeport.objects.blobs import FileBlobs
from homeport.registry import backup
from homeport.registry.backup_folder import BackupFolder
from homeport.registry.pieces import PiecedBlobs
from homeport.registry.splitting import Splitting
from homeport.resources.bucket import ObjectRef
from homeport.resources.model import VersionSpec
from rooms import T0, URI, Rooms, archive
from watched_blobs import WatchedBlobs

HELLO = hashlib.sha256(b"hello").hexdigest()


def _source(rooms: Rooms) -> backup.Source:
    return backup.Source(rooms.database, rooms.blobs, rooms.directory)


def _restore(
    folder: pathlib.Path, url: str, directory: pathlib.Path
) -> tuple[Database, FileBlobs]:
    database = Database(url)
    blobs = FileBlobs(directory / "blobs")
    blobs.start()
    with database.transaction() as transaction:
        into = backup.Source(database, blobs, directory)
        backup.restore(folder, into, transaction)
    return database, blobs


def _rows(database: Database) -> dict[str, list[bytes]]:
    with database.snapshot() as transaction:
        return {
            table.name: list(portable.read(transaction, table))
            for table in portable.tables(transaction)
        }


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _change(path: pathlib.Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _truncate(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "backup"


@pytest.fixture(params=KINDS)
def fresh_url(
    request: pytest.FixtureRequest, databases: Databases, tmp_path: pathlib.Path
) -> str:
    """A database of each kind, without tables."""
    if request.param == SQLITE:
        return f"sqlite:///{tmp_path / 'fresh.sqlite'}"
    return databases.create()


@pytest.fixture
def filled(rooms: Rooms) -> Rooms:
    """A registry with a version, an object and the files of an installation."""
    rooms.register(aliases=("golden",))
    rooms.put("greeting", b"hello")
    (rooms.directory / "secret").write_bytes(b"\n\0secret\n")
    (rooms.directory / "keys").mkdir()
    (rooms.directory / "keys" / "0a.json").write_text("{}\n")
    return rooms


def test_what_is_restored_into_either_database_is_what_was_in_either(
    filled: Rooms, folder: pathlib.Path, fresh_url: str, tmp_path: pathlib.Path
) -> None:
    taken = backup.take(_source(filled), folder, T0)

    database, blobs = _restore(folder, fresh_url, tmp_path / "restored")

    assert _rows(database) == _rows(filled.database)
    assert sorted(blobs.iterate()) == sorted(filled.blobs.iterate())
    assert blobs.measure(HELLO).size_bytes == 5
    assert (tmp_path / "restored" / "secret").read_bytes() == b"\n\0secret\n"
    assert (tmp_path / "restored" / "keys" / "0a.json").read_text() == "{}\n"
    assert taken.private == ("keys/0a.json", "secret")
    assert taken.blobs == 2
    database.close()


def test_a_backup_is_for_its_owner_alone(filled: Rooms, folder: pathlib.Path) -> None:
    backup.take(_source(filled), folder, T0)

    files = [path for path in folder.rglob("*") if path.is_file()]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in files if path.name != "lock"} == {
        0o600
    }


def test_a_second_backup_copies_what_is_new_and_drops_what_is_gone(
    filled: Rooms, folder: pathlib.Path
) -> None:
    first = backup.take(_source(filled), folder, T0)
    filled.put("other", b"other bytes")
    again = backup.take(_source(filled), folder, T0)
    filled.buckets.delete_object(ObjectRef("models", "greeting"))
    filled.blobs.delete(HELLO, unused_since=T0.replace(year=2100))

    last = backup.take(_source(filled), folder, T0)

    assert again.new_bytes == len(b"other bytes")
    assert again.blob_bytes == first.blob_bytes + again.new_bytes
    assert last.new_bytes == 0
    assert last.blobs == 2
    assert len(list((folder / "states").iterdir())) == 1
    assert backup.check(folder).rows == last.rows


def test_what_a_backup_lacks_that_is_needed_is_told_and_the_old_one_stays(
    filled: Rooms, folder: pathlib.Path
) -> None:
    backup.take(_source(filled), folder, T0)
    before = (folder / "backup.json").read_bytes()
    filled.put("lost", b"lost")
    lost = hashlib.sha256(b"lost").hexdigest()
    filled.blobs.delete(lost, unused_since=T0.replace(year=2100))

    with pytest.raises(DataLossError, match=lost):
        backup.take(_source(filled), folder, T0)

    assert (folder / "backup.json").read_bytes() == before
    backup.check(folder)


def test_archives_that_are_divided_while_a_backup_is_taken_are_in_it(
    rooms: Rooms, folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    sizes = [256 << 10, 128 << 10, 64 << 10]
    contents = [archive(files={"weights.bin": b"\1" * size}) for size in sizes]
    for number, content in enumerate(contents):
        rooms.put("first/model.mar", content)
        ended = rooms.upload(VersionSpec(f"m{number}", artifact_uri=URI))
        assert ended.failure is None, ended.failure
    shortest = iter(sizes)

    def divide_one() -> None:
        """Divide the longest that is whole, after the rows were read."""
        if size := next(shortest, 0):
            Splitting(rooms.database, rooms.stored, _now, size).divide_all()

    watched = WatchedBlobs(rooms.stored, divide_one)
    backup.take(backup.Source(rooms.database, watched, rooms.directory), folder, T0)

    database, blobs = _restore(
        folder, f"sqlite:///{tmp_path / 'fresh.sqlite'}", tmp_path / "restored"
    )
    restored = PiecedBlobs(database, blobs)
    for content in contents:
        sha256 = hashlib.sha256(content).hexdigest()
        assert sha256 not in set(rooms.stored.iterate())
        with restored.open(sha256) as file:
            assert file.read() == content
    database.close()


def test_bytes_that_have_changed_are_not_backed_up(
    filled: Rooms, folder: pathlib.Path
) -> None:
    blob = filled.directory / "blobs" / "sha256" / HELLO[:2] / HELLO
    blob.chmod(0o644)
    _change(blob)

    with pytest.raises(DataLossError, match=HELLO):
        backup.take(_source(filled), folder, T0)

    assert BackupFolder(folder).contents() is None


@pytest.mark.parametrize("damage", [_change, _truncate, pathlib.Path.unlink])
@pytest.mark.parametrize(
    "named",
    [
        pytest.param("backup.json", id="contents"),
        pytest.param("states/*/rows/models", id="rows"),
        pytest.param("states/*/private/secret", id="secret"),
        pytest.param(f"blobs/*/{HELLO}", id="blob"),
    ],
)
def test_a_damaged_backup_is_refused_naming_the_file(
    filled: Rooms,
    folder: pathlib.Path,
    tmp_path: pathlib.Path,
    named: str,
    damage: Callable[[pathlib.Path], None],
) -> None:
    backup.take(_source(filled), folder, T0)
    (path,) = folder.glob(named)
    damage(path)
    fresh = f"sqlite:///{tmp_path / 'fresh.sqlite'}"

    with pytest.raises(HomeportError, match=path.name):
        _restore(folder, fresh, tmp_path / "restored")
    with pytest.raises(HomeportError, match=path.name):
        backup.check(folder)

    database = Database(fresh)
    assert _rows(database) == {}
    database.close()


def test_a_folder_with_other_files_is_left_alone(
    filled: Rooms, folder: pathlib.Path
) -> None:
    folder.mkdir()
    (folder / "thesis.tex").write_text("years")

    with pytest.raises(FailedPreconditionError, match="other files"):
        backup.take(_source(filled), folder, T0)

    assert not (folder / "backup.json").exists()


def test_the_backup_of_another_registry_is_left_alone(
    filled: Rooms, folder: pathlib.Path
) -> None:
    backup.take(_source(filled), folder, T0)
    (filled.directory / "secret").write_bytes(b"another")

    with pytest.raises(FailedPreconditionError, match="another registry"):
        backup.take(_source(filled), folder, T0)


def test_two_backups_at_once_into_one_folder_are_one_too_many(
    filled: Rooms, folder: pathlib.Path
) -> None:
    with (
        BackupFolder.written(folder),
        pytest.raises(FailedPreconditionError, match="being written"),
    ):
        backup.take(_source(filled), folder, T0)


def test_a_folder_without_a_backup_is_no_backup(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InvalidArgumentError, match="not a backup"):
        backup.check(tmp_path)


def test_a_backup_of_a_newer_homeport_is_refused(
    filled: Rooms, folder: pathlib.Path
) -> None:
    backup.take(_source(filled), folder, T0)
    with BackupFolder.written(folder) as written:
        contents = written.contents()
        assert contents is not None
        newer = dataclasses.replace(contents, revision="9999")
        written.publish(newer)

    with pytest.raises(FailedPreconditionError, match="9999"):
        backup.check(folder)
