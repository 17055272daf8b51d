"""The rooms of one server, without its surfaces and its processes."""

import pathlib
from collections.abc import Iterator

import pytest

from databases import KINDS, Databases
from rooms import Rooms


@pytest.fixture(params=KINDS)
def rows_url(
    request: pytest.FixtureRequest, databases: Databases, tmp_path: pathlib.Path
) -> Iterator[str]:
    """An empty database of the newest shape, of each kind."""
    with databases.lend(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def rooms(rows_url: str, tmp_path: pathlib.Path) -> Iterator[Rooms]:
    opened = Rooms(tmp_path, rows_url)
    yield opened
    opened.close()
