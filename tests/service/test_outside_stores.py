"""A server with its bytes in a bucket, and with artifacts from buckets and files."""

import json
import pathlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import obstore
import pytest
from obstore.store import S3Store

import rooms
import s3_servers
from servers import Server, running

# Servers, their stores and their commands take their time on a machine under load.
pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of an S3 server with the buckets `blobs` and `models`."""
    with s3_servers.running() as url:
        s3_servers.create_bucket(url, "blobs")
        s3_servers.create_bucket(url, "models")
        yield url


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_servers.CREDENTIALS.items():
        monkeypatch.setenv(name, value)


def bucket(url: str, name: str) -> S3Store:
    return S3Store(
        name,
        config={
            "access_key_id": "key",
            "secret_access_key": "secret",
            "region": "us-east-1",
            "aws_endpoint_url_s3": url,
        },
        client_options={"allow_http": True},
    )


def names(store: S3Store, prefix: str) -> list[str]:
    return [one["path"] for page in obstore.list(store, prefix) for one in page]


def options(s3: str, *more: str) -> tuple[str, ...]:
    return ("--private-endpoint", s3.removeprefix("http://"), *more)


@pytest.mark.usefixtures("credentials")
def test_bytes_in_a_bucket_outlive_the_server_that_was_killed(
    s3: str, tmp_path: pathlib.Path
) -> None:
    store = f"s3://blobs/registry?endpoint={s3}"
    server = Server(tmp_path / "data", options(s3, "--blob-store", store))

    with running(server):
        server.upload_archive(_archive(tmp_path), "first")
        server.stop(signal.SIGKILL)
        server.start()
        registered = server.register_at("gs://models/first")
        status, body = server.call(
            "GET", "/storage/v1/b/models/o/first%2Fmodel.mar?alt=media"
        )
        refused = homeport("backup", tmp_path / "copy", *beside(server))
        taken = homeport("backup", tmp_path / "copy", *beside(server), *server.options)

    kept = names(bucket(s3, "blobs"), "registry/sha256")
    assert "response" in registered, registered
    assert status == 200
    assert body
    assert len(kept) == 1
    assert "--blob-store" in refused
    assert "1 blobs" in taken
    assert not list((tmp_path / "data" / "blobs").rglob("sha256/*/*"))


@pytest.mark.usefixtures("credentials")
def test_artifacts_come_from_outside_and_go_there(
    s3: str, tmp_path: pathlib.Path
) -> None:
    archive = _archive(tmp_path)
    models = bucket(s3, "models")
    obstore.put(models, "team/in/model.mar", archive.read_bytes())
    obstore.put(models, "teammates/in/model.mar", archive.read_bytes())
    folder = f"s3://models/team/?endpoint={s3}"
    server = Server(tmp_path / "data", options(s3, "--outside-prefix", folder))

    with running(server):
        registered = server.register_at("s3://models/team/in")
        foreign = server.register_at("s3://models/teammates/in")
        model = registered["response"]["model"]
        exported = export(server, model, "s3://models/team/out/")

    written = names(models, "team/out")
    assert foreign["error"]["code"] == 7
    assert "--outside-prefix" in foreign["error"]["message"]
    assert exported["metadata"]["outputInfo"]["artifactOutputUri"].startswith(
        "s3://models/team/out/model-export-m-"
    )
    assert [name.rpartition("/")[2] for name in written] == ["model.mar"]
    assert bytes(obstore.get(models, written[0]).bytes()) == archive.read_bytes()


@pytest.mark.usefixtures("credentials")
def test_a_store_that_is_away_is_told_at_once_and_without_secrets(
    s3: str, tmp_path: pathlib.Path
) -> None:
    taken = socket.socket()  # and not listening
    taken.bind(("127.0.0.1", 0))
    host = f"127.0.0.1:{taken.getsockname()[1]}"
    away = f"s3://models/away/?endpoint=http://{host}"
    lost = f"s3://nowhere/?endpoint={s3}"
    server = Server(
        tmp_path / "data",
        options(
            s3,
            *("--private-endpoint", host),
            *("--outside-prefix", away, "--outside-prefix", lost),
        ),
    )

    with taken, running(server):
        unreached = server.register_at("s3://models/away/m")
        unmade = server.register_at("s3://nowhere/m")
        log = server.log()

    assert unreached["error"]["code"] == 14
    assert "s3://models/away/ does not answer" in unreached["error"]["message"]
    assert unmade["error"]["code"] == 5
    assert "secret-of-a-test" not in log + json.dumps([unreached, unmade])


def test_files_come_from_listed_directories_alone(tmp_path: pathlib.Path) -> None:
    root = tmp_path / "models"
    root.mkdir()
    archive = _archive(root)
    (root / "link.mar").symlink_to("/etc/passwd")
    server = Server(tmp_path / "data", ("--file-root", str(root)))

    with running(server):
        registered = server.register_at(archive.as_uri())
        linked = server.register_at((root / "link.mar").as_uri())

    assert "response" in registered, registered
    assert linked["error"]["code"] == 7


def test_a_bucket_cannot_be_here_and_outside(tmp_path: pathlib.Path) -> None:
    server = Server(
        tmp_path / "data", ("--outside-prefix", "gs://models/?anonymous=true")
    )

    with running(server):
        status, answer = server.call(
            "POST", "/storage/v1/b?project=p", {"name": "models"}
        )

    assert status == 409
    assert "--outside-prefix" in answer["error"]["message"]


def beside(server: Server) -> tuple[str, str]:
    return ("--data-dir", str(server.data_dir))


def homeport(*words: object) -> str:
    """Run a command; return what it says."""
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "homeport", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return ended.stdout + ended.stderr


def export(server: Server, model: str, prefix: str) -> Any:
    status, operation = server.call(
        "POST",
        f"/v1/{model}:export",
        {"outputConfig": {"artifactDestination": {"outputUriPrefix": prefix}}},
    )
    assert status == 200, operation
    return server.wait(operation)


def _archive(folder: pathlib.Path) -> pathlib.Path:
    path = folder / "model.mar"
    path.write_bytes(rooms.archive())
    return path
