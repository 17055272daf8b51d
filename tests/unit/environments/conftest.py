"""An index with tiny packages, and a cache of uv's that nothing else uses."""

import pathlib
from collections.abc import Iterator

import pytest

import wheels


@pytest.fixture
def packages(tmp_path: pathlib.Path) -> pathlib.Path:
    """The folder whose wheels the index has."""
    folder = tmp_path / "packages"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def index(
    packages: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The only index, with the packages of this test alone."""
    with wheels.served(packages) as url:
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        monkeypatch.delenv("UV_FIND_LINKS", raising=False)
        monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        yield url
