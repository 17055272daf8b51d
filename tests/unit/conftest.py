"""The rooms of one server, without its surfaces and processes; a package index."""

import pathlib
from collections.abc import Iterator

import pytest

import wheels
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


@pytest.fixture
def packages(tmp_path: pathlib.Path) -> pathlib.Path:
    """The folder whose wheels the index has."""
    folder = tmp_path / "packages"
    folder.mkdir()
    return folder


@pytest.fixture
def index(
    packages: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """An index with the packages of this test alone, and a cache of uv's own."""
    with wheels.served(packages) as url:
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        monkeypatch.delenv("UV_FIND_LINKS", raising=False)
        monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        yield url
