"""Two servers on one PostgreSQL and one bucket are one registry."""

import concurrent.futures
import json
import pathlib
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import s3_servers
from databases import Databases
from server_pairs import pair
from servers import PARENT, Server, running, wait_until

# Servers, their stores and their commands take their time on a machine under load.
pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]

SLOW = "import time\n\n\ndef handle(data, context):\n    time.sleep(100)\n"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of an S3 server with the bucket `blobs`."""
    with s3_servers.running() as url:
        s3_servers.create_bucket(url, "blobs")
        yield url


@pytest.fixture(scope="module")
def both(
    s3: str, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Server]]:
    """Two servers that the tests share; each has models and objects of its own."""
    with pair(s3, databases, tmp_path_factory.mktemp("both")) as servers:
        yield servers


def _versions(server: Server, model: str) -> list[dict[str, Any]]:
    return list(server.call("GET", f"/v1/{model}:listVersions")[1]["models"])


def test_what_one_server_takes_in_the_other_lists_reads_and_serves(
    both: tuple[Server, Server], mlp_archive: pathlib.Path
) -> None:
    first, second = both
    endpoint, deployed = first.deploy(mlp_archive, versionAliases=["golden"])
    row = [0.1, 0.2, 0.3, 0.4]
    predictions = first.ask(endpoint, row)

    assert "response" in deployed
    wait_until(
        lambda: (
            second.predict(endpoint, {"instances": [row]})
            == first.predict(endpoint, {"instances": [row]})
        )
    )
    assert second.ask(endpoint, row) == predictions
    listed = f"/v1/{PARENT}/models"
    assert second.call("GET", listed) == first.call("GET", listed)
    first.upload("read%2Fmodel.mar", mlp_archive.read_bytes())
    path = "/storage/v1/b/models/o/read%2Fmodel.mar?alt=media"
    with urllib.request.urlopen(second.url + path, timeout=120) as answer:  # noqa: S310
        assert answer.read() == mlp_archive.read_bytes()
    first.register(mlp_archive, displayName="another")
    page = first.call("GET", f"{listed}?pageSize=1")[1]["nextPageToken"]
    assert second.call("GET", f"{listed}?pageSize=1&pageToken={page}")[0] == 200


def test_versions_registered_through_both_at_once_are_counted_once(
    both: tuple[Server, Server], archived: Callable[..., pathlib.Path]
) -> None:
    first, second = both
    archive = archived("def handle(data, context):\n    return data\n")
    model = first.register(archive)["response"]["model"].partition("@")[0]
    uris = {
        server.url: server.upload_archive(archive, f"folder-{index}")
        for index, server in enumerate((first, second))
    }

    def register(server: Server, alias: str) -> dict[str, Any]:
        return server.register_at(
            uris[server.url], model, versionAliases=["default", "moving", alias]
        )

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        begun = [
            threads.submit(register, server, f"v{index}-{place}")
            for index in range(4)
            for place, server in enumerate((first, second))
        ]
        made = [one.result()["response"]["modelVersionId"] for one in begun]

    assert sorted(made, key=int) == [str(number) for number in range(2, 10)]
    versions = _versions(second, model)
    assert versions == _versions(first, model)
    carried = [alias for one in versions for alias in one.get("versionAliases", ())]
    assert sorted(carried) == sorted(set(carried))
    assert len(carried) == 10


def test_what_a_killed_server_promised_is_ended_by_the_other(
    s3: str,
    databases: Databases,
    tmp_path: pathlib.Path,
    archived: Callable[..., pathlib.Path],
) -> None:
    with pair(s3, databases, tmp_path) as (first, second):
        _kill_and_take_over(first, second, archived(SLOW))


def _kill_and_take_over(first: Server, second: Server, slow: pathlib.Path) -> None:
    uri = first.upload_archive(slow, "slow")
    request = {"model": {"displayName": "slow", "artifactUri": uri}}
    operation = first.call("POST", f"/v1/{PARENT}/models:upload", request)[1]
    path = f"/v1/{operation['name']}"
    assert not second.call("GET", path)[1].get("done")

    first.stop(signal.SIGKILL)
    wait_until(lambda: bool(second.call("GET", path)[1].get("done")), 200)

    ended = second.call("GET", path)[1]
    assert "the server stopped before this ended" in ended["error"]["message"]
    assert second.call("GET", f"/v1/{PARENT}/models")[1] == {}
    assert "response" in second.register_at(uri)
    first.start()
    assert len(first.call("GET", f"/v1/{PARENT}/models")[1]["models"]) == 1


@pytest.mark.storms
@pytest.mark.timeout(900)  # half a minute on an idle machine
def test_a_batch_prediction_is_cancelled_through_the_other_and_taken_over_by_it(
    s3: str, databases: Databases, tmp_path: pathlib.Path, acting: pathlib.Path
) -> None:
    with pair(s3, databases, tmp_path) as (first, second):
        model = first.register(acting)["response"]["model"]

        def reaches(path: str, *states: str) -> dict[str, Any]:
            wait_until(lambda: second.call("GET", path)[1]["state"] in states, 200)
            return dict(second.call("GET", path)[1])

        long = _slow_batch(first, model, [{"do": "sleep", "value": 0.5}] * 1000)
        reaches(long, "JOB_STATE_RUNNING")
        assert second.call("POST", f"{long}:cancel", {}) == (200, {})
        reaches(long, "JOB_STATE_CANCELLED")
        path = _slow_batch(first, model, [{"do": "sleep", "value": 0.05}] * 100)
        reaches(path, "JOB_STATE_RUNNING")
        first.stop(signal.SIGKILL)
        job = reaches(path, "JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED")

        assert job["completionStats"] == {"successfulCount": "100"}, job
        listed = second.call("GET", "/storage/v1/b/models/o?prefix=out/")[1]["items"]
        assert len(listed) == 2


def _slow_batch(server: Server, model: str, rows: list[Any]) -> str:
    """Create a batch prediction; return its path."""
    name = f"in-{len(rows)}.jsonl"
    server.upload(name, b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    document = {
        "displayName": name,
        "model": model,
        "inputConfig": {
            "instancesFormat": "jsonl",
            "gcsSource": {"uris": [f"gs://models/{name}"]},
        },
        "outputConfig": {
            "predictionsFormat": "jsonl",
            "gcsDestination": {"outputUriPrefix": "gs://models/out"},
        },
        "manualBatchTuningParameters": {"batchSize": 4},
    }
    path = f"/v1/{PARENT}/batchPredictionJobs"
    status, job = server.call("POST", path, document)
    assert status == 200, job
    return f"/v1/{job['name']}"


def test_a_session_of_one_server_is_sent_back_to_it_by_the_other(
    both: tuple[Server, Server],
) -> None:
    first, second = both
    first.call("POST", "/storage/v1/b?project=p", {"name": "models"})
    request = urllib.request.Request(  # noqa: S310
        f"{first.url}/upload/storage/v1/b/models/o?uploadType=resumable&name=o",
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        session = answer.headers["location"].removeprefix(first.url)

    status, refused = second.call("PUT", session, b"hello")
    stored = first.call("PUT", session, b"hello")

    assert status == 503
    assert "where it began" in str(refused)
    assert stored[0] == 200
    assert second.call("GET", "/storage/v1/b/models/o/o")[1]["size"] == "5"


def test_an_upload_in_parts_completed_through_both_at_once_is_one_object(
    both: tuple[Server, Server],
) -> None:
    first = both[0]
    first.call("POST", "/storage/v1/b?project=p", {"name": "models"})
    names = [f"parted-{number}" for number in range(6)]
    endings = {name: _parted(first, name, b"\1" * (2 << 20)) for name in names}

    def complete(server: Server, name: str) -> tuple[int, str]:
        path, body = endings[name]
        request = urllib.request.Request(  # noqa: S310
            server.url + path, body, method="POST"
        )
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            return answer.status, answer.headers["x-goog-generation"]

    with concurrent.futures.ThreadPoolExecutor(12) as threads:
        begun = [
            (name, threads.submit(complete, server, name))
            for name in names
            for server in both
        ]
        told = {(name, *one.result()) for name, one in begun}

    page = both[1].call("GET", "/storage/v1/b/models/o?prefix=parted-")[1]["items"]
    assert told == {(one["name"], 200, one["generation"]) for one in page}
    assert [one["size"] for one in page] == ["4194304"] * 6


def _parted(server: Server, name: str, part: bytes) -> tuple[str, bytes]:
    """Send two parts of an object; return where and what its completion is."""
    path = f"/models/{name}"
    begun = server.call("POST", f"{path}?uploads=")[1]
    upload = begun.partition("<UploadId>")[2].partition("</UploadId>")[0]
    listed = ""
    for number in (1, 2):
        request = urllib.request.Request(  # noqa: S310
            f"{server.url}{path}?partNumber={number}&uploadId={upload}",
            part,
            method="PUT",
        )
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            etag = answer.headers["etag"]
        listed += f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>"
    return f"{path}?uploadId={upload}", body.encode()


def test_a_server_with_bytes_of_its_own_is_told_what_it_lacks(
    both: tuple[Server, Server], tmp_path: pathlib.Path
) -> None:
    url = both[0].options[-2:]
    refused = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "homeport", "serve", "--port", "0", *url],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert refused.returncode == 1
    assert "give both a --blob-store" in refused.stderr


@pytest.mark.long
def test_a_laptops_registry_becomes_that_of_servers_and_is_backed_up_there(
    s3: str,
    databases: Databases,
    mlp_archive: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in s3_servers.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    store = f"s3://blobs/{tmp_path.name}-moved?endpoint={s3}"
    in_bucket = (
        "--private-endpoint",
        s3.removeprefix("http://"),
        "--blob-store",
        store,
    )
    with running(Server(tmp_path / "laptop")) as laptop:
        model = laptop.register(mlp_archive)["response"]["model"]
    url = ("--database-url", databases.create())
    again = ("--database-url", databases.create())

    _homeport("backup", tmp_path / "1", "--data-dir", tmp_path / "laptop")
    team = ("--data-dir", tmp_path / "team")
    _homeport("restore", tmp_path / "1", *team, *url, *in_bucket)
    named = _homeport("backup", "--rows-only", tmp_path / "2", *team, *url, *in_bucket)
    new = ("--data-dir", tmp_path / "new")
    _homeport("restore", tmp_path / "2", *new, *again, *in_bucket)

    assert "stay in the bucket" in named
    with running(Server(tmp_path / "new", (*again, *in_bucket))) as server:
        assert server.call("GET", f"/v1/{model}")[0] == 200
        server.stop()
        _homeport("verify", *new, *again, *in_bucket)


def _homeport(*words: object) -> str:
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "homeport", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
