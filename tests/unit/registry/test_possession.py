"""Rows in a database of their own and the bytes they name stay together."""

import pathlib

import pytest

from homeport.errors import FailedPreconditionError
from homeport.metadata.database import Database
from homeport.registry import possession
from rooms import Rooms


def _directory(tmp_path: pathlib.Path, name: str) -> pathlib.Path:
    made = tmp_path / name
    (made / "blobs" / "sha256" / "aa").mkdir(parents=True)
    return made


def _write_bytes(directory: pathlib.Path) -> None:
    (directory / "blobs" / "sha256" / "aa" / "aabb").write_bytes(b"weights")


def test_rows_and_bytes_that_belong_together_are_taken_again(
    rooms: Rooms, tmp_path: pathlib.Path
) -> None:
    own = _directory(tmp_path, "own")
    possession.claim(rooms.database, own)
    _write_bytes(own)

    possession.claim(rooms.database, own)


def test_rows_of_another_data_directory_are_refused(
    rooms: Rooms, tmp_path: pathlib.Path
) -> None:
    possession.claim(rooms.database, _directory(tmp_path, "first"))

    with pytest.raises(FailedPreconditionError, match="another data directory"):
        possession.claim(rooms.database, _directory(tmp_path, "second"))


def test_bytes_of_other_rows_are_not_given_to_an_empty_database(
    rooms: Rooms, tmp_path: pathlib.Path
) -> None:
    used = _directory(tmp_path, "used")
    _write_bytes(used)

    with pytest.raises(FailedPreconditionError, match="knows nothing"):
        possession.claim(rooms.database, used)


def test_bytes_of_a_lost_database_are_not_given_to_another(
    rooms: Rooms, tmp_path: pathlib.Path
) -> None:
    used = _directory(tmp_path, "used")
    lost = Database(f"sqlite:///{tmp_path / 'lost.sqlite'}")
    lost.upgrade()
    possession.claim(lost, used)
    lost.close()
    _write_bytes(used)

    with pytest.raises(FailedPreconditionError, match="knows nothing"):
        possession.claim(rooms.database, used)


def test_a_claim_that_was_interrupted_is_made_again(
    rooms: Rooms, tmp_path: pathlib.Path
) -> None:
    own = _directory(tmp_path, "own")
    (own / "database").write_text("0123")

    possession.claim(rooms.database, own)
    possession.claim(rooms.database, own)


def test_a_data_directory_whose_rows_are_elsewhere_is_refused_without_them(
    rooms: Rooms, tmp_path: pathlib.Path
) -> None:
    own = _directory(tmp_path, "own")
    possession.refuse_foreign_rows(own)
    possession.claim(rooms.database, own)

    with pytest.raises(FailedPreconditionError, match="--database-url"):
        possession.refuse_foreign_rows(own)
