"""A service that is away for a moment ends nothing, and what began is undone whole."""

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from google.api_core.operation import Operation
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import RefreshError, TransportError
from google.cloud import aiplatform_v1
from google.cloud.storage.exceptions import DataCorruption
from google.longrunning import operations_pb2

from homeport.errors import (
    DataLossError,
    FailedPreconditionError,
    PermissionDeniedError,
    UnavailableError,
)
from homeport.pipelines import waiting
from homeport.pipelines.batches import Batch, Predictor
from homeport.pipelines.cancelling import Cancellation
from homeport.pipelines.deploying import Deployer, Deployment, Machine
from homeport.pipelines.googleerrors import translated
from homeport.pipelines.googlestorage import GoogleBuckets
from homeport.pipelines.place import Place
from scripted_services import Answer, Scripted, scripted

PARENT = "projects/p/locations/us-central1"
JOB = f"{PARENT}/batchPredictionJobs/1"
ENDPOINT = f"{PARENT}/endpoints/1"
MACHINE = Machine(machine_type="n1-standard-2")
AWAY: Answer = (503, {"error": {"message": "starting"}})


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again without a pause."""
    monkeypatch.setattr(waiting, "_FIRST_PAUSE_S", 0.001)


def ended(operation: str, kind: str, **response: str) -> Answer:
    """Return an operation that has ended well."""
    found = {"@type": f"type.googleapis.com/google.{kind}", **response}
    return 200, {"name": operation, "done": True, "response": found}


class Asking:
    """An operation's state as Google's clients ask for it, failing at first."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.timeouts: list[float] = []

    def refresh(self, retry: Any) -> operations_pb2.Operation:
        asked: operations_pb2.Operation = retry(self.ask)()
        return asked

    def ask(self, timeout: float) -> operations_pb2.Operation:
        self.timeouts.append(timeout)
        if self.failures:
            raise self.failures.pop(0)
        done = operations_pb2.Operation(name="o", done=True)
        done.response.Pack(aiplatform_v1.Endpoint.pb()(name=ENDPOINT))
        return done

    def operation(self) -> Operation:
        begun = operations_pb2.Operation(name="o")
        return Operation(begun, self.refresh, None, aiplatform_v1.Endpoint)


def test_an_answer_that_is_lost_is_asked_for_again() -> None:
    unrefreshed = RefreshError("no metadata server")
    unrefreshed.__cause__ = TransportError("no route")
    asking = Asking(
        requests.exceptions.ConnectionError("reset"),
        requests.exceptions.ReadTimeout("late"),
        TransportError("no token"),
        RefreshError("try again", retryable=True),
        unrefreshed,
    )

    made = waiting.result(asking.operation(), "making", 3600.0)

    assert made.name == ENDPOINT
    assert asking.timeouts == [60.0] * 6


def test_what_asking_again_does_not_help_is_told_at_once() -> None:
    asking = Asking(RefreshError("this account is no more"))

    with pytest.raises(Exception, match="credentials of this environment do not do"):
        waiting.result(asking.operation(), "making", 3600.0)

    assert len(asking.timeouts) == 1


def test_a_service_that_stays_away_is_told_as_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "_AWAY_S", 0.0)
    asking = Asking(requests.exceptions.ConnectionError("reset"))

    with pytest.raises(UnavailableError, match="making: nobody answers"):
        waiting.result(asking.operation(), "making", 3600.0)


@pytest.fixture
def predicting() -> Iterator[Scripted]:
    """A service with a job whose state is asked for in vain at first."""
    job = {
        "name": JOB,
        "state": "JOB_STATE_SUCCEEDED",
        "outputInfo": {"gcsOutputDirectory": "gs://b/answers/1"},
        "completionStats": {"successfulCount": "2"},
    }
    answers: dict[str, list[Answer]] = {
        f"POST /v1/{PARENT}/batchPredictionJobs": [(200, {"name": JOB})],
        f"GET /v1/{JOB}": [AWAY, (500, {}), (502, {}), (504, {}), (429, {}),
                           (200, job)],
    }  # fmt: skip
    with scripted(answers) as service:
        yield service


def batch_at(service: Scripted) -> tuple[Predictor, Batch]:
    place = Place("p", "us-central1", service.url)
    batch = Batch(
        place=place, version=f"{PARENT}/models/1@1", display_name="texts",
        sources=("gs://b/rows.jsonl",), destination="gs://b/answers",
        instances_format="jsonl", predictions_format="jsonl", machine=MACHINE,
    )  # fmt: skip
    return Predictor(place, AnonymousCredentials(), Cancellation()), batch


def test_a_batch_outlives_a_service_that_starts_again(predicting: Scripted) -> None:
    predictor, batch = batch_at(predicting)

    done = predictor.predict(batch)

    assert done.output == "gs://b/answers/1"
    assert predicting.asked.count(f"GET /v1/{JOB}") == 6
    assert f"POST /v1/{JOB}:cancel" not in predicting.asked


def test_a_batch_that_cannot_be_asked_for_goes_on(
    predicting: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_AWAY_S", 0.0)
    predictor, batch = batch_at(predicting)

    with pytest.raises(UnavailableError, match=f"{JOB} goes on$"):
        predictor.predict(batch)

    assert f"POST /v1/{JOB}:cancel" not in predicting.asked


def test_a_batch_that_may_no_longer_be_seen_is_cancelled(predicting: Scripted) -> None:
    predicting.answers[f"GET /v1/{JOB}"] = [(403, {"error": {"message": "no"}})]
    predicting.answers[f"POST /v1/{JOB}:cancel"] = [(200, {})]
    predictor, batch = batch_at(predicting)

    with pytest.raises(PermissionDeniedError):
        predictor.predict(batch)

    assert predicting.asked[-1] == f"POST /v1/{JOB}:cancel"


@pytest.fixture
def deploying() -> Iterator[Scripted]:
    """A service that makes an endpoint, and deploys nothing."""
    making, removing = f"{ENDPOINT}/operations/1", f"{ENDPOINT}/operations/2"
    made = ended(making, "cloud.aiplatform.v1.Endpoint", name=ENDPOINT)
    answers: dict[str, list[Answer]] = {
        f"GET /v1/{PARENT}/endpoints": [(200, {})],
        f"POST /v1/{PARENT}/endpoints": [(200, {"name": making})],
        f"GET /v1/{making}": [made],
        f"GET /v1/{ENDPOINT}": [(200, {"name": ENDPOINT})],
        f"DELETE /v1/{ENDPOINT}": [ended(removing, "protobuf.Empty")],
        f"POST /v1/{ENDPOINT}:deployModel": [(400, {"error": {"message": "no"}})],
    }
    with scripted(answers) as service:
        yield service


def deploy(service: Scripted, called: str) -> str:
    place = Place("p", "us-central1", service.url)
    deployer = Deployer(place, AnonymousCredentials(), Cancellation())
    return deployer.deploy(
        Deployment(
            place=place, version=f"{PARENT}/models/1@1", endpoint="",
            endpoint_display_name=called, display_name="texts", machine=MACHINE,
        )
    )  # fmt: skip


def test_an_endpoint_is_removed_when_waiting_for_it_fails(deploying: Scripted) -> None:
    made = deploying.answers[f"GET /v1/{ENDPOINT}/operations/1"]
    made.insert(0, (403, {"error": {"message": "no"}}))

    with pytest.raises(PermissionDeniedError):
        deploy(deploying, "texts")

    assert deploying.asked[-1] == f"DELETE /v1/{ENDPOINT}"


def test_an_endpoint_that_a_star_stands_for_is_a_strangers(deploying: Scripted) -> None:
    stranger = {"name": f"{PARENT}/endpoints/7", "displayName": "texts-of-others"}
    deploying.answers[f"GET /v1/{PARENT}/endpoints"] = [
        (200, {"endpoints": [stranger, {**stranger, "displayName": "texts-2"}]})
    ]

    with pytest.raises(Exception, match="deploying the model: no"):
        deploy(deploying, "texts-*")

    assert f"POST /v1/{PARENT}/endpoints" in deploying.asked
    assert f"GET /v1/{PARENT}/endpoints/7" not in deploying.asked
    assert deploying.asked[-1] == f"DELETE /v1/{ENDPOINT}"


def test_other_bytes_than_were_sent_are_told() -> None:
    with (
        pytest.raises(DataLossError, match="reading gs://b/x: other bytes came"),
        translated("reading gs://b/x"),
    ):
        raise DataCorruption(None, "checksum mismatch")


def test_a_disk_that_takes_no_object_is_told(tmp_path: pathlib.Path) -> None:
    place = Place("p", "us-central1", "http://127.0.0.1:9")
    buckets = GoogleBuckets(place, AnonymousCredentials())

    with pytest.raises(FailedPreconditionError, match="look at this machine's disks"):
        buckets.fetch("gs://b/x", tmp_path / "absent" / "x")
