"""A batch prediction job turns files of instances into files of predictions."""

import csv
import gzip
import io
import itertools
import json
import pathlib
import signal
import struct
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import crc32c
import pytest

from servers import PARENT, Server, wait_until

JOBS = f"/v1/{PARENT}/batchPredictionJobs"
NUMBERS = itertools.count()
Started = Callable[..., Server]


@pytest.fixture(scope="module")
def served(shared_server: Server, acting: pathlib.Path) -> tuple[Server, str]:
    """A server, and a version whose handler does what each row tells it to."""
    operation = shared_server.register(acting)
    return shared_server, operation["response"]["model"]


def job_of(model: str, instances: str = "jsonl", **fields: Any) -> dict[str, Any]:
    uris = fields.pop("uris")
    return {
        "displayName": "nightly",
        "model": model,
        "inputConfig": {"instancesFormat": instances, "gcsSource": {"uris": uris}},
        "outputConfig": {
            "predictionsFormat": fields.pop("predictions", "jsonl"),
            "gcsDestination": {"outputUriPrefix": "gs://models/out"},
        },
        **fields,
    }


def written(server: Server, content: bytes, suffix: str = "jsonl") -> str:
    name = f"in-{next(NUMBERS)}.{suffix}"
    server.upload(name, content)
    return f"gs://models/{name}"


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def created(server: Server, document: dict[str, Any]) -> str:
    status, job = server.call("POST", JOBS, document)
    assert status == 200, job
    return f"/v1/{job['name']}"


def ended(server: Server, path: str) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while True:
        _, job = server.call("GET", path)
        if "endTime" in job:
            return dict(job)
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


def outputs(server: Server, job: dict[str, Any]) -> tuple[bytes, bytes]:
    """Return the bytes of the results and of the errors."""
    folder = job["outputInfo"]["gcsOutputDirectory"].removeprefix("gs://models/")
    _, page = server.call("GET", f"/storage/v1/b/models/o?prefix={folder}/")
    assert [item["name"].removeprefix(f"{folder}/") for item in page["items"]] == [
        "prediction.errors_stats-00000-of-00001",
        "prediction.results-00000-of-00001",
    ]
    errors, results = (
        read(server, str(item["name"]).replace("/", "%2F")) for item in page["items"]
    )
    return results, errors


def read(server: Server, name: str) -> bytes:
    url = f"{server.url}/storage/v1/b/models/o/{name}?alt=media"
    with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310
        content: bytes = response.read()
        return content


def parsed(content: bytes) -> list[Any]:
    return [json.loads(line) for line in content.splitlines()]


def predictions(server: Server, document: dict[str, Any]) -> list[Any]:
    """Return the lines of the results of a job without errors."""
    job = ended(server, created(server, document))
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    results, errors = outputs(server, job)
    assert errors == b""
    return parsed(results)


def test_a_version_that_nothing_here_serves_is_refused(
    served: tuple[Server, str],
) -> None:
    server, _ = served
    image = "us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-0:latest"
    operation = server.call(
        "POST",
        f"/v1/{PARENT}/models:upload",
        {"model": {"displayName": "m", "containerSpec": {"imageUri": image}}},
    )[1]
    model = server.wait(operation)["response"]["model"]
    document = job_of(model, uris=[written(server, b"1\n")])

    status, told = server.call("POST", JOBS, document)

    assert status == 501
    assert "only those for PyTorch have a runtime here" in told["error"]["message"]


def test_each_instance_has_its_prediction_in_the_order_of_the_input(
    served: tuple[Server, str],
) -> None:
    server, model = served
    rows = [[number, "x"] for number in range(1500)]
    uri = written(server, lines(*rows))

    path = created(server, job_of(model, uris=[uri], labels={"team": "a"}))
    job = ended(server, path)

    assert job["state"] == "JOB_STATE_SUCCEEDED"
    assert job["completionStats"] == {"successfulCount": "1500"}
    assert job["modelVersionId"] == "1"
    assert job["labels"] == {"team": "a"}
    assert job["outputInfo"]["gcsOutputDirectory"].startswith(
        "gs://models/out/prediction-acting-20"
    )
    assert job["createTime"] <= job["startTime"] <= job["endTime"]
    results, errors = outputs(server, job)
    assert parsed(results) == [{"instance": row, "prediction": row} for row in rows]
    assert errors == b""


def test_csv_in_is_lists_and_csv_out_repeats_the_columns(
    served: tuple[Server, str],
) -> None:
    server, model = served
    uri = written(server, b'n,name\n1,"a, b"\n2,"c"\n', "csv")

    assert predictions(server, job_of(model, "csv", uris=[uri])) == [
        {"instance": [1.0, "a, b"], "prediction": [1.0, "a, b"]},
        {"instance": [2.0, "c"], "prediction": [2.0, "c"]},
    ]
    job = ended(
        server, created(server, job_of(model, "csv", uris=[uri], predictions="csv"))
    )
    results, _ = outputs(server, job)
    assert list(csv.reader(io.StringIO(results.decode()))) == [
        ["n", "name", "prediction"],
        ["1", "a, b", '[1.0,"a, b"]'],
        ["2", "c", '[2.0,"c"]'],
    ]


def test_a_key_is_kept_from_the_model_and_told_with_its_prediction(
    served: tuple[Server, str],
) -> None:
    server, model = served
    uri = written(server, lines({"id": "a", "value": 1}, {"id": "b", "value": 2}))
    config = {"keyField": "id", "instanceType": "array"}

    found = predictions(server, job_of(model, uris=[uri], instanceConfig=config))

    assert found == [
        {"key": "a", "prediction": [1]},
        {"key": "b", "prediction": [2]},
    ]


def tf_record(content: bytes) -> bytes:
    def masked(part: bytes) -> bytes:
        found = crc32c.crc32c(part)
        rotated = ((found >> 15) | (found << 17)) & 0xFFFFFFFF
        return struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(content))
    return length + masked(length) + content + masked(content)


@pytest.mark.parametrize("kind", ["tf-record", "tf-record-gzip"])
def test_records_of_tensorflow_reach_the_handler_as_bytes(
    served: tuple[Server, str], kind: str
) -> None:
    server, model = served
    content = tf_record(b"one") + tf_record(b"two")
    uri = written(
        server, gzip.compress(content) if "gzip" in kind else content, "tfrecord"
    )

    found = predictions(server, job_of(model, kind, uris=[uri]))

    b64 = [{"b64": "b25l"}, {"b64": "dHdv"}]
    assert found == [{"instance": one, "prediction": one} for one in b64]


def test_a_file_list_sends_files_and_a_star_finds_lists(
    served: tuple[Server, str],
) -> None:
    server, model = served
    pictures = [written(server, content, "png") for content in (b"cat", b"dog")]
    server.upload("lists%2Fa.txt", f"{pictures[0]}\n".encode())
    server.upload("lists%2Fb.txt", f"{pictures[1]}\ngs://models/none.png\n".encode())

    document = job_of(model, "file-list", uris=["gs://models/lists/*.txt"])
    job = ended(server, created(server, document))

    results, errors = outputs(server, job)
    assert parsed(results) == [
        {"instance": pictures[0], "prediction": {"b64": "Y2F0"}},
        {"instance": pictures[1], "prediction": {"b64": "ZG9n"}},
    ]
    (failed,) = parsed(errors)
    assert failed["error"]["code"] == 5
    assert job["completionStats"] == {"successfulCount": "2", "failedCount": "1"}


def test_what_a_model_cannot_do_fails_alone(served: tuple[Server, str]) -> None:
    server, model = served
    rows: list[Any] = [{"value": number} for number in range(200)]
    rows[50] = {"do": "raise", "value": "odd"}
    rows[120] = {"do": "refuse"}
    rows[121] = {"do": "nan"}
    content = lines(*rows) + b'{"half": \n' + b"1,2\n"

    job = ended(server, created(server, job_of(model, uris=[written(server, content)])))

    results, errors = outputs(server, job)
    assert job["state"] == "JOB_STATE_SUCCEEDED"
    assert job["completionStats"] == {"successfulCount": "197", "failedCount": "5"}
    assert [line["prediction"] for line in parsed(results)] == [
        number for number in range(200) if number not in {50, 120, 121}
    ]
    failed = {str(one["instance"]): one["error"]["code"] for one in parsed(errors)}
    assert failed == {
        '{"half": ': 3,
        "1,2": 3,
        "{'do': 'raise', 'value': 'odd'}": 13,
        "{'do': 'refuse'}": 5,
        "{'do': 'nan'}": 13,
    }
    assert "the handler raised ValueError: odd" in {
        one["message"] for one in job["partialFailures"]
    }


def test_a_row_that_kills_replicas_fails_and_no_other(
    served: tuple[Server, str],
) -> None:
    server, model = served
    rows = [{"value": 1}, {"do": "kill"}, {"value": 2}]

    document = job_of(model, uris=[written(server, lines(*rows))])
    job = ended(server, created(server, document))

    results, errors = outputs(server, job)
    assert [line["prediction"] for line in parsed(results)] == [1, 2]
    (failed,) = parsed(errors)
    assert failed["error"]["code"] == 14


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"\n\n", "the input has no instances", id="nothing"),
        pytest.param(
            lines({"do": "raise", "value": "bad"}),
            "none of 1 instances has a prediction",
            id="nothing good",
        ),
    ],
)
def test_a_job_without_a_prediction_has_failed(
    served: tuple[Server, str], content: bytes, message: str
) -> None:
    server, model = served

    document = job_of(model, uris=[written(server, content)])
    job = ended(server, created(server, document))

    assert job["state"] == "JOB_STATE_FAILED"
    assert message in job["error"]["message"]


def test_an_object_that_is_not_there_fails_the_job(served: tuple[Server, str]) -> None:
    server, model = served

    for uri, looked_at in (
        ("gs://models/absent.jsonl", "gs://models/"),
        ("gs://models/absent/*", "gs://models/absent/"),
    ):
        job = ended(server, created(server, job_of(model, uris=[uri])))
        assert job["state"] == "JOB_STATE_FAILED"
        assert job["error"]["code"] == 5
        assert "absent" in job["error"]["message"]
        assert f"`homeport storage ls {looked_at}`" in job["error"]["message"]


def test_a_job_that_failed_tries_again_and_its_log_has_both(
    served: tuple[Server, str],
) -> None:
    server, model = served
    document = job_of(model, uris=["gs://models/late.jsonl"], serviceAccount="me")
    path = created(server, document)
    failed = ended(server, path)
    server.upload("late.jsonl", lines([1, "x"]))

    status, _ = server.call("POST", f"/homeport{path}:resume", {})
    job = ended(server, path)

    assert (status, failed["state"]) == (200, "JOB_STATE_FAILED")
    assert job["state"] == "JOB_STATE_SUCCEEDED"
    assert "error" not in job
    assert server.call("POST", f"/homeport{path}:resume", {})[0] == 400
    told = [
        line.partition(" ")[2]
        for line in server.call("GET", f"/homeport{path}/logs?lines=50")[1]["lines"]
    ]
    begun = f"predicting gs://models/late.jsonl with {model}@1"
    mine = [line for line in told if "late" in line or "predicted" in line]
    assert mine[1].startswith("the job has failed: no such object: gs://models/late")
    assert [mine[0], *mine[2:]] == [
        begun,
        begun,
        "1 predicted, 0 failed",
    ]
    assert "service_account was stored and has no effect here" in told
    assert server.call("GET", f"/homeport{JOBS}/0/logs")[0] == 404


def test_a_model_that_does_not_load_fails_the_job_with_its_last_lines(
    shared_server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    archive = archived(
        "raise RuntimeError('no such weights')\n\ndef handle(d, c): ...\n"
    )
    model = shared_server.register(archive)["response"]["model"]

    document = job_of(model, uris=[written(shared_server, lines(1))])
    job = ended(shared_server, created(shared_server, document))

    assert job["state"] == "JOB_STATE_FAILED"
    assert "no such weights" in job["error"]["message"]


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"displayName": ""}, 400, "display_name"),
        ({"model": "m"}, 400, "model name"),
        ({"model": f"{PARENT}/models/404"}, 404, "404"),
        ({"inputConfig": {"instancesFormat": "xml"}}, 400, "jsonl, csv, tf-record"),
        ({"inputConfig": {"instancesFormat": "jsonl"}}, 400, "uris is empty"),
        ({"inputConfig": {"instancesFormat": "bigquery"}}, 501, "no tables here"),
        (
            {"inputConfig": {"instancesFormat": "jsonl", "bigquerySource": {}}},
            501,
            "no tables here",
        ),
        (
            {
                "inputConfig": {
                    "instancesFormat": "jsonl",
                    "gcsSource": {"uris": ["gs://no-such-bucket/in"]},
                }
            },
            404,
            "no-such-bucket",
        ),
        (
            {
                "inputConfig": {
                    "instancesFormat": "jsonl",
                    "gcsSource": {"uris": ["/etc/passwd"]},
                }
            },
            400,
            "gs://bucket/name",
        ),
        ({"outputConfig": {"predictionsFormat": "jsonl"}}, 400, "output_uri_prefix"),
        (
            {
                "outputConfig": {
                    "predictionsFormat": "jsonl",
                    "gcsDestination": {"outputUriPrefix": "gs://no-such-bucket/out"},
                }
            },
            404,
            "no-such-bucket",
        ),
        (
            {
                "outputConfig": {
                    "predictionsFormat": "jsonl",
                    "gcsDestination": {"outputUriPrefix": f"gs://models/{'x' * 1000}"},
                }
            },
            400,
            "has 1 to 1024 bytes",
        ),
        (
            {
                "outputConfig": {
                    "predictionsFormat": "csv",
                    "gcsDestination": {"outputUriPrefix": "gs://models/out"},
                }
            },
            400,
            "needs instances_format csv",
        ),
        (
            {"instanceConfig": {"includedFields": ["a"], "excludedFields": ["b"]}},
            400,
            "one of them alone",
        ),
        ({"instanceConfig": {"instanceType": "tuple"}}, 400, "object, array"),
        ({"manualBatchTuningParameters": {"batchSize": -1}}, 400, "batch_size is -1"),
        ({"dedicatedResources": {"startingReplicaCount": 65}}, 400, "at most 64"),
        ({"unmanagedContainerModel": {}}, 501, "upload the model"),
        ({"generateExplanation": True}, 501, "explain nothing"),
        ({"modelMonitoringConfig": {}}, 501, "leave the monitoring arguments out"),
        ({"labels": {"Team": "a"}}, 400, "label"),
        ({"noSuchField": 1}, 400, "noSuchField"),
    ],
)
def test_what_a_job_cannot_do_is_refused_when_it_is_created(
    served: tuple[Server, str], change: dict[str, Any], status: int, said: str
) -> None:
    server, model = served
    document = job_of(model, uris=[written(server, lines(1))])

    answered, body = server.call("POST", JOBS, {**document, **change})

    assert answered == status, body
    assert said in body["error"]["message"]


def test_a_cancelled_job_ends_and_leaves_nothing(
    served: tuple[Server, str],
) -> None:
    server, model = served
    rows = [{"do": "sleep", "value": 0.2}] * 500
    document = job_of(model, uris=[written(server, lines(*rows))])
    path = created(
        server, {**document, "manualBatchTuningParameters": {"batchSize": 1}}
    )
    wait_until(lambda: server.call("GET", path)[1]["state"] == "JOB_STATE_RUNNING")

    assert server.call("POST", f"{path}:cancel", {}) == (200, {})
    job = ended(server, path)

    assert job["state"] == "JOB_STATE_CANCELLED"
    assert "outputInfo" not in job
    wait_until(lambda: not list((server.data_dir / "jobs").iterdir()))
    # Once more changes nothing.
    assert server.call("POST", f"{path}:cancel", {}) == (200, {})
    assert server.call("GET", path)[1] == job


def test_jobs_are_listed_filtered_and_deleted(served: tuple[Server, str]) -> None:
    server, model = served
    uri = written(server, lines(1))
    document = job_of(model, uris=[uri], labels={"run": "list"})
    first = ended(server, created(server, {**document, "displayName": "list 1"}))
    second = ended(server, created(server, {**document, "displayName": "list 2"}))

    def names(query: str) -> list[str]:
        status, page = server.call("GET", f"{JOBS}?{query}")
        assert status == 200, page
        return [job["displayName"] for job in page.get("batchPredictionJobs", ())]

    assert names("filter=labels.run%3Dlist") == ["list 2", "list 1"]
    assert names("filter=display_name%3D%22list%20*%22&pageSize=1") == ["list 2"]
    assert names(
        "filter=state%3DJOB_STATE_SUCCEEDED%20AND%20display_name%3D%22list%201%22"
        "%20AND%20model_display_name%3Dacting"
    ) == ["list 1"]
    assert server.call("GET", f"{JOBS}?filter=colour%3Dred")[0] == 400
    assert server.call("DELETE", f"/v1/{first['name']}")[1]["done"] is True
    assert names("filter=labels.run%3Dlist") == ["list 2"]
    assert server.call("GET", f"/v1/{first['name']}")[0] == 404
    # The output of a job that is forgotten stays.
    assert outputs(server, first)[0] == outputs(server, second)[0]


def test_a_job_that_runs_is_not_deleted(served: tuple[Server, str]) -> None:
    server, model = served
    document = job_of(
        model, uris=[written(server, lines({"do": "sleep", "value": 30}))]
    )
    path = created(server, document)

    status, body = server.call("DELETE", path)

    assert status == 400
    assert "cancel it or wait" in body["error"]["message"]
    server.call("POST", f"{path}:cancel", {})
    ended(server, path)


def test_a_job_goes_on_where_it_was_when_its_server_was_killed(
    tmp_path: pathlib.Path, acting: pathlib.Path
) -> None:
    server = Server(tmp_path / "data").start()
    try:
        model = server.register(acting)["response"]["model"]
        rows = [{"do": "sleep", "value": 0.02 + number / 1e6} for number in range(250)]
        document = job_of(
            model,
            uris=[written(server, lines(*rows)), written(server, lines({"value": 7}))],
            manualBatchTuningParameters={"batchSize": 4},
        )
        path = created(server, document)

        def done() -> int:
            stats = server.call("GET", path)[1].get("completionStats", {})
            return int(stats.get("successfulCount", 0))

        wait_until(lambda: done() > 0)
        server.stop(signal.SIGKILL)
        server.start()
        before = done()
        job = ended(server, path)

        assert 0 < before < 250
        assert job["state"] == "JOB_STATE_SUCCEEDED", job
        assert job["completionStats"] == {"successfulCount": "251"}
        results, errors = outputs(server, job)
        assert [line["instance"] for line in parsed(results)] == [*rows, {"value": 7}]
        assert errors == b""
    finally:
        server.stop()


def test_a_job_that_is_cancelled_while_its_replica_is_forked_ends(
    served: tuple[Server, str],
) -> None:
    server, model = served
    document = job_of(model, uris=[written(server, lines([1, "x"]))])
    paths = []

    for looks in range(8):
        path = created(server, document)
        for _ in range(looks):
            server.call("GET", path)
        server.call("POST", f"{path}:cancel", {})
        paths.append(path)

    # One may have been done before it was cancelled.
    states = {ended(server, path)["state"] for path in paths}
    assert states <= {"JOB_STATE_CANCELLED", "JOB_STATE_SUCCEEDED"}
