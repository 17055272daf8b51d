"""BatchPredictionJob of the official SDK, every method and argument of it.

Each SDK in a process of its own: this environment's, and an older one in an environment
that is made once and kept in the user's cache.
"""

import json
import pathlib
import sys
from typing import Any

import pytest

from sdk_processes import OLD, old_interpreter, run
from servers import Server

pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]

SCRIPT = pathlib.Path(__file__).with_name("batch_calls.py")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("", id="sdk of this environment"),
        pytest.param(OLD, id=f"sdk {OLD}", marks=pytest.mark.clients),
    ],
)
def seen(
    request: pytest.FixtureRequest, shared_server: Server, acting: pathlib.Path
) -> Any:
    """What all calls in one process of that SDK saw."""
    python = old_interpreter() if request.param else sys.executable
    url = shared_server.url
    words = [python, str(SCRIPT), url, str(acting)]
    printed = run(words, STORAGE_EMULATOR_HOST=url, PYTHONPATH="")
    return json.loads(printed.rpartition("\n")[2])


def test_every_argument_is_honoured_or_told_as_it_came(seen: Any) -> None:
    told = seen["every_argument"]
    name = seen["name"]

    assert told == {
        "rows": [1, 2, 3, 4],
        "counts": [4, 0, 0],
        "folder": True,
        "times": True,
        "partial": 0,
        "error": 0,
        "told": {
            "displayName": "all",
            "state": "JOB_STATE_SUCCEEDED",
            "modelVersionId": "1",
            "inputConfig": {
                "instancesFormat": "jsonl",
                "gcsSource": {
                    "uris": [f"gs://{name}/all/1.jsonl", f"gs://{name}/all/more-*"]
                },
            },
            "outputConfig": {
                "predictionsFormat": "jsonl",
                "gcsDestination": {"outputUriPrefix": f"gs://{name}/out"},
            },
            "modelParameters": {"top_k": 2.0},
            "dedicatedResources": {
                "machineSpec": {
                    "machineType": "n1-standard-2",
                    "acceleratorType": "NVIDIA_TESLA_T4",
                    "acceleratorCount": 1,
                },
                "startingReplicaCount": 2,
                "maxReplicaCount": 3,
            },
            "labels": {"team": "a"},
            "manualBatchTuningParameters": {"batchSize": 2},
            "serviceAccount": "me@example.com",
            "encryptionSpec": {
                "kmsKeyName": "projects/p/locations/l/keyRings/r/cryptoKeys/k"
            },
        },
    }


def test_formats_become_instances_as_the_service_makes_them(seen: Any) -> None:
    assert seen["formats"] == {
        "csv": [
            '"n","name","prediction"',
            '1,"a","[1.0,""a""]"',
            '2,"b","[2.0,""b""]"',
        ],
        "files": [
            {
                "instance": f"gs://{seen['name']}/cat.png",
                "prediction": {"b64": "Y2F0"},
            }
        ],
    }


def test_fields_are_sent_left_out_and_told_as_instance_config_says(seen: Any) -> None:
    whole = {"id": "k", "value": 5, "do": ""}

    assert seen["instance_configs"] == {
        "key": [{"key": "k", "prediction": 5}],
        "included": [{"instance": [5], "prediction": [5]}],
        "excluded": [{"instance": whole, "prediction": 5}],
    }


def test_rows_fail_alone_and_jobs_as_the_sdk_expects(seen: Any) -> None:
    told = seen["failures"]

    assert told["some"] == ["SUCCEEDED", 2]
    assert told["errors"] == [3, 13]
    assert [code for code, _ in told["partial"]] == [3, 13]
    assert told["partial"][1][1] == "the handler raised ValueError: odd"
    absent = f"no such object: gs://{seen['name']}/absent.jsonl"
    assert told["none"][:2] == ["FAILED", 5]
    assert absent in told["none"][2]
    assert told["waited"].startswith("RuntimeError: Job failed with:")
    assert absent in told["waited"]
    assert told["sleepy"] == ["CANCELLED", 1]
    assert "current state: JOB_STATE_RUNNING" in told["early"]
    assert "cancel it or wait" in told["in_work"]


def test_what_is_not_done_here_is_refused_in_a_sentence(seen: Any) -> None:
    told = seen["refusals"]

    for asked, kind, sentence in (
        ("bigquery in", "MethodNotImplemented", "export them to a bucket"),
        ("bigquery out", "MethodNotImplemented", "name a bucket in gcs_destination"),
        ("explanation", "MethodNotImplemented", "ask an endpoint's :explain"),
        ("monitoring", "MethodNotImplemented", "leave the monitoring arguments out"),
        ("model", "NotFound", "models/404 was not found"),
    ):
        assert told[asked].startswith(kind), asked
        assert sentence in told[asked]


def test_jobs_are_found_sorted_and_deleted(seen: Any) -> None:
    assert seen["listed"] == {"sorted": True, "newest": True, "gone": "NotFound"}
