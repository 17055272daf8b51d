"""The rooms of one server, without its surfaces and its processes."""

import pathlib
import shutil
from collections.abc import Iterator

import pytest

from homeport.metadata.database import Database
from rooms import Rooms


@pytest.fixture(scope="session")
def empty_rows(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An empty database, made once: migrations take longer than tests."""
    path = tmp_path_factory.mktemp("empty") / "rows.sqlite"
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    database.close()
    return path


@pytest.fixture
def rooms(empty_rows: pathlib.Path, tmp_path: pathlib.Path) -> Iterator[Rooms]:
    shutil.copy(empty_rows, tmp_path / "rows.sqlite")
    opened = Rooms(tmp_path)
    yield opened
    opened.close()
