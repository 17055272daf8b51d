"""A server whose rows are in PostgreSQL: what was promised is there, for it alone."""

import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from databases import Databases
from servers import PARENT, Server, running

pytestmark = pytest.mark.service


@pytest.fixture
def url(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database without tables, named in the variable, with a password."""
    made = databases.create().replace("postgres@", "postgres:hunter2@")
    monkeypatch.setenv("HOMEPORT_SERVE_DATABASE_URL", made)
    return made


@pytest.fixture
def server(tmp_path: pathlib.Path, url: str) -> Iterator[Server]:
    assert url
    with running(Server(tmp_path / "data")) as started:
        yield started


def _serve(directory: pathlib.Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a server that is expected to refuse."""
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "homeport", "serve", "--port", "0", *options],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_was_registered_is_there_after_a_restart(
    server: Server, mlp_archive: pathlib.Path
) -> None:
    registered = server.register(mlp_archive, versionAliases=["golden"])
    server.stop()
    server.start()

    name = registered["response"]["model"]
    status, model = server.call("GET", f"/v1/{name.partition('@')[0]}@golden")
    found = server.call("GET", f"/v1/{PARENT}/models?filter=display_name=mlp")[1]

    assert status == 200
    assert model["versionId"] == "1"
    assert [one["displayName"] for one in found["models"]] == ["mlp"]
    assert not (server.data_dir / "homeport.db").exists()
    assert "hunter2" not in server.log()


def test_a_second_server_on_the_database_is_refused(
    server: Server, tmp_path: pathlib.Path
) -> None:
    refused = _serve(tmp_path, "--data-dir", "other")

    assert refused.returncode != 0
    assert "another homeport server uses this database" in refused.stderr
    assert "hunter2" not in refused.stderr
    assert server.call("GET", "/healthz")[0] == 200


def test_a_database_that_is_not_there_is_told_without_its_password(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "HOMEPORT_SERVE_DATABASE_URL", "postgresql://me:hunter2@127.0.0.1:1/rows"
    )

    refused = _serve(tmp_path)

    assert refused.returncode != 0
    assert "the database cannot be used right now" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "hunter2" not in refused.stderr + refused.stdout
