"""A registry that was destroyed is there again: versions, bytes, history, endpoints."""

import pathlib
import shutil
import subprocess
import sys

import pytest

from databases import POSTGRESQL, SQLITE, Databases
from servers import PARENT, Server, running

# Servers, their stores and their commands take their time on a machine under load.
pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]


def _homeport(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "homeport", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    "kind", [SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.long)]
)
def test_what_was_destroyed_is_served_again(
    server: Server,
    mlp_archive: pathlib.Path,
    tmp_path: pathlib.Path,
    databases: Databases,
    kind: str,
) -> None:
    endpoint, _ = server.deploy(mlp_archive, versionAliases=["golden"])
    row = [0.1, 0.2, 0.3, 0.4]
    predictions = server.ask(endpoint, row)
    history = server.call("GET", f"/homeport/v1/{PARENT}/history")[1]
    models = server.call("GET", f"/v1/{PARENT}/models")[1]
    taken = _homeport("backup", tmp_path / "backup", "--data-dir", server.data_dir)
    assert taken.returncode == 0, taken.stderr
    server.stop()
    subprocess.run(["chmod", "-R", "u+w", server.data_dir], check=True)  # noqa: S603, S607
    shutil.rmtree(server.data_dir)

    data_dir = tmp_path / "elsewhere" / "data"
    url = () if kind == SQLITE else ("--database-url", databases.create())
    restored = _homeport("restore", tmp_path / "backup", "--data-dir", data_dir, *url)

    assert restored.returncode == 0, restored.stderr
    with running(Server(data_dir, (*url, "--no-access-log"))) as again:
        again.wait_ready()
        assert again.ask(endpoint, row) == predictions
        assert again.call("GET", f"/homeport/v1/{PARENT}/history")[1] == history
        assert again.call("GET", f"/v1/{PARENT}/models")[1] == models
        again.stop()
        verified = _homeport("verify", "--data-dir", data_dir, *url)
        assert verified.returncode == 0, verified.stdout


def test_nothing_is_restored_over_what_is_there(
    server: Server, tmp_path: pathlib.Path
) -> None:
    data = ("--data-dir", server.data_dir)
    assert _homeport("backup", tmp_path / "backup", *data).returncode == 0

    refused = _homeport("restore", tmp_path / "backup", *data)
    used = f"sqlite:///{server.data_dir / 'homeport.db'}"
    new = ("--data-dir", tmp_path / "new")
    taken = _homeport("restore", tmp_path / "backup", *new, "--database-url", used)

    assert refused.returncode == 1
    assert "has something in it" in refused.stderr
    assert taken.returncode == 1
    assert "has tables already" in taken.stderr
    assert not (tmp_path / "new").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "backup",
        "data",
        "server.log",
        "shared",
    ]


def test_the_shape_of_a_database_is_told_and_left_to_its_server(
    server: Server,
) -> None:
    data = ("--data-dir", server.data_dir)

    told = _homeport("db", "status", *data)
    refused = _homeport("db", "upgrade", *data)
    server.stop()
    upgraded = _homeport("db", "upgrade", *data)

    assert told.returncode == 0
    assert "another homeport server" in refused.stderr
    assert "already" in upgraded.stdout
