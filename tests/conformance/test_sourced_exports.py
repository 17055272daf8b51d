"""Programs that have sourced what `homeport env` prints find the server."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import command_line
from servers import Server

pytestmark = pytest.mark.service

LISTED = (
    "from google.auth.credentials import AnonymousCredentials\n"
    "from google.cloud import storage\n"
    "client = storage.Client(project='homeport', credentials=AnonymousCredentials())\n"
    "print([one.name for one in client.list_buckets()])\n"
)


def after(server: Server, folder: pathlib.Path, program: str, command: str) -> str:
    """Return what a command says in a shell that has sourced the exports."""
    exports = command_line.run("env", program, url=server.url).out
    ended = subprocess.run(  # noqa: S603  # a shell and our own text
        ["/bin/sh", "-euc", f'eval "$EXPORTS"; {command}'],
        env={**os.environ, "EXPORTS": exports, "XDG_CACHE_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_google_cloud_storage_lists_the_buckets(
    shared_server: Server, tmp_path: pathlib.Path
) -> None:
    command_line.run("storage", "mb", "gs://seen-by-all", url=shared_server.url)
    script = tmp_path / "listed.py"
    script.write_text(LISTED)

    said = after(shared_server, tmp_path, "storage", f"{sys.executable} {script}")

    assert said == "['seen-by-all']\n"


@pytest.mark.clients
@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not on PATH")
def test_gcloud_lists_the_endpoints(
    shared_server: Server, tmp_path: pathlib.Path
) -> None:
    create = ("endpoints", "create", "--display-name", "seen", "--endpoint-id", "seen")
    command_line.run(*create, url=shared_server.url)

    said = after(
        shared_server,
        tmp_path,
        "gcloud",
        "gcloud ai endpoints list --format='value(displayName)'",
    )

    assert said == "seen\n"
