"""gcloud storage works, told of the server by variables alone, also in parallel."""

import filecmp
import os
import pathlib
import shutil
import subprocess

import pytest

from servers import Server

pytestmark = [pytest.mark.service, pytest.mark.clients]

GCLOUD = shutil.which("gcloud")
BUCKET = "gs://gcloud-bucket"
# From 150 MiB on it sends pieces.
BIG_BYTES = 160 << 20


def gcloud(server: Server, folder: pathlib.Path, *words: str) -> str:
    assert GCLOUD is not None
    ended = subprocess.run(  # noqa: S603
        [GCLOUD, "storage", *words],
        env={
            **os.environ,
            "CLOUDSDK_CONFIG": str(folder / "configuration"),
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{server.url}/storage/v1/",
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_CORE_PROJECT": "p",
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_STORAGE_PARALLEL_COMPOSITE_UPLOAD_ENABLED": "true",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.skipif(GCLOUD is None, reason="gcloud is not on PATH")
def test_files_go_up_in_pieces_come_down_and_are_removed(
    server: Server, tmp_path: pathlib.Path
) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(BIG_BYTES)
        file.write(b"hello")

    gcloud(server, tmp_path, "buckets", "create", BUCKET)
    gcloud(server, tmp_path, "cp", "large", f"{BUCKET}/a b/größe@1:2")
    gcloud(server, tmp_path, "cp", f"{BUCKET}/a b/größe@1:2", "back")

    assert filecmp.cmp(tmp_path / "back", tmp_path / "large", shallow=False)
    _, found = server.call("GET", "/storage/v1/b/gcloud-bucket/o")
    assert [one["componentCount"] > 1 for one in found["items"]] == [True]
    gcloud(server, tmp_path, "rm", "-r", BUCKET)
    assert server.call("GET", "/storage/v1/b/gcloud-bucket")[0] == 404
