"""The bytes of a stopped server: what nothing needs goes, what is damaged is named."""

import hashlib
import pathlib
import subprocess
import sys

import pytest

from servers import Server

pytestmark = pytest.mark.service

HELLO = hashlib.sha256(b"hello").hexdigest()


def homeport(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "homeport", words[0]]
    return subprocess.run(  # noqa: S603
        [*command, "--data-dir", str(server.data_dir), *words[1:]],
        capture_output=True,
        text=True,
        check=False,
    )


def blob(server: Server, sha256: str) -> pathlib.Path:
    return server.data_dir / "blobs" / "sha256" / sha256[:2] / sha256


def test_the_bytes_of_a_deleted_object_go_and_those_of_a_version_stay(
    server: Server, mlp_archive: pathlib.Path
) -> None:
    server.register(mlp_archive)
    server.upload("greeting", b"hello")
    server.call("DELETE", "/storage/v1/b/models/o/greeting")
    server.stop()
    half_sent = server.data_dir / "blobs" / "resumable" / "of-no-session"
    half_sent.write_bytes(b"hel")

    shown = homeport(server, "gc", "--dry-run")
    assert shown.stdout == f"{HELLO}  5\n"
    assert "1 uploads that are over would go" in shown.stderr
    assert blob(server, HELLO).exists()
    assert half_sent.exists()
    gone = homeport(server, "gc")

    assert gone.stdout == f"{HELLO}  5\n"
    assert not blob(server, HELLO).exists()
    assert not half_sent.exists()
    assert homeport(server, "gc", "--dry-run").stdout == ""
    assert homeport(server, "verify").returncode == 0


def test_a_changed_and_a_lost_byte_are_named_with_whoever_needs_them(
    server: Server, mlp_archive: pathlib.Path
) -> None:
    server.call("POST", "/storage/v1/b?project=p", {"name": "models"})
    server.upload("greeting", b"hello")
    registered = server.register(mlp_archive)
    model = registered["response"]["model"].rpartition("/")[2]
    server.stop()
    archive = hashlib.sha256(mlp_archive.read_bytes()).hexdigest()
    blob(server, HELLO).unlink()
    blob(server, archive).chmod(0o644)
    with blob(server, archive).open("r+b") as file:
        file.seek(100)
        flipped = bytes([file.read(1)[0] ^ 1])
        file.seek(100)
        file.write(flipped)

    told = homeport(server, "verify")

    assert told.returncode == 1
    assert "needed by gs://models/greeting\n" in told.stdout
    assert f"model.mar of {model}@1" in told.stdout
    assert "2 of 2 blobs are lost or changed" in told.stderr


@pytest.mark.parametrize("command", ["gc", "verify"])
def test_a_server_that_runs_is_left_alone(server: Server, command: str) -> None:
    refused = homeport(server, command)

    assert refused.returncode == 1
    assert "another homeport server uses this data directory" in refused.stderr
