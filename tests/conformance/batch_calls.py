"""Calls every method and argument of the SDK's batch predictions.

Run by the interpreter of whichever environment has the SDK, with the server's URL and
an archive; imports nothing of ours. Prints what it saw as one JSON object.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

warnings.simplefilter("ignore")

from google.api_core import exceptions  # noqa: E402  # warnings come first
from google.auth.credentials import AnonymousCredentials  # noqa: E402
from google.cloud import aiplatform, storage  # noqa: E402
from google.cloud.aiplatform import explain, jobs, model_monitoring  # noqa: E402

IMAGE = "us-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-1:latest"
NAME = "batch-calls-" + aiplatform.__version__.replace(".", "-")
DESTINATION = f"gs://{NAME}/out"
KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
MONITORING = model_monitoring.ObjectiveConfig(
    model_monitoring.SkewDetectionConfig(
        data_source="gs://b/training.csv", skew_thresholds={"a": 0.3}, target_field="y"
    )
)
Job = Any
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")


def client() -> Any:
    return storage.Client(project=NAME, credentials=AnonymousCredentials())


def put(name: str, content: str) -> str:
    client().bucket(NAME).blob(name).upload_from_string(content)
    return f"gs://{NAME}/{name}"


def lines(*values: object) -> str:
    return "".join(f"{json.dumps(value)}\n" for value in values)


def state(job: Job) -> str:
    return str(job.state.name.removeprefix("JOB_STATE_"))


def reaches(job: Job, *states: str) -> str:
    """Return the job's state when it is one of these."""
    deadline = time.monotonic() + 120
    while (found := state(job)) not in states:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{job.name} is {found}")
        time.sleep(0.05)
    return found


def outputs(job: Job) -> dict[str, list[str]]:
    """Return the lines of what the job wrote, by the file's name."""
    return {
        blob.name.rpartition("/")[2]: blob.download_as_text().splitlines()
        for blob in job.iter_outputs()
    }


def predictions(job: Job) -> list[Any]:
    reaches(job, *ENDED)
    results = outputs(job)["prediction.results-00000-of-00001"]
    return [json.loads(line) for line in results]


def refused(call: Callable[[], object]) -> str:
    """Return how a call is refused."""
    try:
        call()
    except (exceptions.GoogleAPICallError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return "not at all"


def every_argument(model: Any) -> dict[str, Any]:
    """Submit a job with all arguments there are; show what is told of it."""
    first = put("all/1.jsonl", lines([1, "a"]))
    put("all/more-1.jsonl", lines([2, "b"], [3, "c"]))
    put("all/more-2.jsonl", lines([4, "d"]))
    job = jobs.BatchPredictionJob.submit(
        job_display_name="all",
        model_name=model,
        instances_format="jsonl",
        predictions_format="jsonl",
        gcs_source=[first, f"gs://{NAME}/all/more-*"],
        gcs_destination_prefix=DESTINATION,
        model_parameters={"top_k": 2},
        machine_type="n1-standard-2",
        accelerator_type="NVIDIA_TESLA_T4",
        accelerator_count=1,
        starting_replica_count=2,
        max_replica_count=3,
        generate_explanation=False,
        explanation_metadata=explain.ExplanationMetadata(
            {"inputs": {"x": {}}, "outputs": {"y": {}}}
        ),
        explanation_parameters=explain.ExplanationParameters(
            {"sampled_shapley_attribution": {"path_count": 3}}
        ),
        labels={"team": "a"},
        project=NAME,
        location="us-central1",
        credentials=AnonymousCredentials(),
        encryption_spec_key_name=KEY,
        create_request_timeout=60.0,
        batch_size=2,
        service_account="me@example.com",
    )
    rows = [line["prediction"][0] for line in predictions(job)]
    job.wait_for_completion()
    shown = job.to_dict()
    folder = job.output_info.gcs_output_directory
    return {
        "rows": rows,
        "counts": [
            job.completion_stats.successful_count,
            job.completion_stats.failed_count,
            job.completion_stats.incomplete_count,
        ],
        "folder": folder.startswith(f"{DESTINATION}/prediction-acting-20"),
        "times": job.create_time <= job.start_time <= job.end_time,
        "partial": len(job.partial_failures),
        "error": job.error.code,
        "told": {
            name: shown.get(name)
            for name in (
                "displayName", "state", "modelVersionId", "inputConfig",
                "outputConfig", "modelParameters", "dedicatedResources", "labels",
                "manualBatchTuningParameters", "serviceAccount", "encryptionSpec",
            )
        },
    }  # fmt: skip


def formats(model: Any) -> dict[str, Any]:
    """Predict csv to csv and a list of files, by a model's own method."""
    table = put("table.csv", 'n,name\n1,"a"\n2,"b"\n')
    listed = put("list.txt", put("cat.png", "cat") + "\n")
    common = {"gcs_destination_prefix": DESTINATION}
    as_csv = model.batch_predict(
        job_display_name="csv",
        gcs_source=table,
        instances_format="csv",
        predictions_format="csv",
        sync=True,
        **common,
    )
    files = model.batch_predict(
        gcs_source=[listed], instances_format="file-list", sync=False, **common
    )
    files.wait_for_resource_creation()
    return {
        "csv": outputs(as_csv)["prediction.results-00000-of-00001"],
        "files": predictions(files),
    }


def instance_configs(model: Any) -> dict[str, Any]:
    """Ask for keys and fields, which only the generated client has words for."""
    uri = put("fields.jsonl", lines({"id": "k", "value": 5, "do": ""}))
    made = {}
    for name, config in {
        "key": {"key_field": "id"},
        "included": {"included_fields": ["value"], "instance_type": "array"},
        "excluded": {"excluded_fields": ["id"]},
    }.items():
        job = jobs.BatchPredictionJob._empty_constructor()  # noqa: SLF001  # has its client
        found = job.api_client.create_batch_prediction_job(
            parent=f"projects/{NAME}/locations/us-central1",
            batch_prediction_job={
                "display_name": name,
                "model": model.versioned_resource_name,
                "input_config": {
                    "instances_format": "jsonl",
                    "gcs_source": {"uris": [uri]},
                },
                "instance_config": config,
                "output_config": {
                    "predictions_format": "jsonl",
                    "gcs_destination": {"output_uri_prefix": DESTINATION},
                },
            },
        )
        made[name] = jobs.BatchPredictionJob(found.name)
    return {name: predictions(job) for name, job in made.items()}


def failures(model: Any) -> dict[str, Any]:
    """See rows fail, a whole job, and one that is cancelled."""
    rows = [{"value": 1}, {"do": "raise", "value": "odd"}, {"value": 2}]

    def submitted(name: str, source: str) -> Job:
        return jobs.BatchPredictionJob.submit(
            job_display_name=name,
            model_name=model.resource_name,
            gcs_source=source,
            gcs_destination_prefix=DESTINATION,
            machine_type="n1-standard-2",
            batch_size=1,
        )

    some = submitted("some", put("some.jsonl", lines(*rows) + '{"half": '))
    none = submitted("none", f"gs://{NAME}/absent.jsonl")
    sleepy = submitted(
        "sleepy", put("sleepy.jsonl", lines(*[{"do": "sleep", "value": 0.2}] * 500))
    )
    reaches(sleepy, "RUNNING")
    early = refused(sleepy.iter_outputs)
    in_work = refused(sleepy.delete)
    sleepy.cancel()
    reaches(some, *ENDED)
    reaches(none, *ENDED)
    return {
        "some": [state(some), len(predictions(some))],
        "errors": sorted(
            json.loads(line)["error"]["code"]
            for line in outputs(some)["prediction.errors_stats-00000-of-00001"]
        ),
        "partial": sorted((one.code, one.message) for one in some.partial_failures),
        "none": [state(none), none.error.code, none.error.message],
        "waited": refused(none.wait_for_completion),
        "sleepy": [reaches(sleepy, *ENDED), sleepy.error.code],
        "early": early,
        "in_work": in_work,
    }


def refusals(model: Any) -> dict[str, str]:
    """Ask for what is not done here."""
    given = {"job_display_name": "no", "model_name": model.versioned_resource_name}
    source = {"gcs_source": put("one.jsonl", "1\n")}
    target = {"gcs_destination_prefix": DESTINATION}
    submit = jobs.BatchPredictionJob.submit
    return {
        "bigquery in": refused(
            lambda: submit(bigquery_source="bq://p.d.t", **given, **target)
        ),
        "bigquery out": refused(
            lambda: submit(bigquery_destination_prefix="p.d", **given, **source)
        ),
        "explanation": refused(
            lambda: submit(generate_explanation=True, **given, **source, **target)
        ),
        "monitoring": refused(
            lambda: submit(
                model_monitoring_objective_config=MONITORING,
                model_monitoring_alert_config=model_monitoring.EmailAlertConfig(
                    ["me@example.com"]
                ),
                analysis_instance_schema_uri="gs://b/schema.yaml",
                **given,
                **source,
                **target,
            )
        ),
        "model": refused(
            lambda: submit(job_display_name="no", model_name="404", **source, **target)
        ),
    }


def listed(model: Any) -> dict[str, Any]:
    """Find, sort and delete what the others have made."""
    del model
    every = jobs.BatchPredictionJob.list
    (found,) = every(filter='display_name="all" AND labels.team="a"')
    ended = every(filter='state="JOB_STATE_SUCCEEDED"', order_by="display_name")
    names = [one.display_name for one in ended]
    found.delete()
    return {
        "sorted": names == sorted(names) and "all" in names and "sleepy" not in names,
        "newest": every()[0].create_time == max(one.create_time for one in every()),
        "gone": refused(lambda: jobs.BatchPredictionJob(found.resource_name))[:8],
    }


def main(url: str, archive: str) -> None:
    """Call everything and print it."""
    # Seconds between two looks of the SDK, which are five.
    jobs._JOB_WAIT_TIME = 0.1  # noqa: SLF001  # no other way to wait less
    aiplatform.init(
        project=NAME,
        location="us-central1",
        api_endpoint=url,
        api_transport="rest",
        credentials=AnonymousCredentials(),
    )
    client().create_bucket(NAME).blob("m/model.mar").upload_from_filename(archive)
    model = aiplatform.Model.upload(
        display_name="acting",
        artifact_uri=f"gs://{NAME}/m/",
        serving_container_image_uri=IMAGE,
    )
    parts = (every_argument, formats, instance_configs, failures, refusals, listed)
    told = {part.__name__: part(model) for part in parts}
    sys.stdout.write("\n" + json.dumps({"name": NAME, **told}))


if __name__ == "__main__":
    main(*sys.argv[1:])
