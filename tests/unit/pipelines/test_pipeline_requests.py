"""What a deployment or a batch cannot be asked for is refused before it is."""

import dataclasses

import pytest

from homeport.errors import InvalidArgumentError
from homeport.pipelines.batches import Batch
from homeport.pipelines.deploying import Deployment, Machine
from homeport.pipelines.place import Place
from homeport.pipelines.steps import resource_name

MACHINE = Machine(machine_type="n1-standard-2")
DEPLOYMENT = Deployment(
    place=Place("p", "us-central1"), version="projects/p/locations/l/models/1@1",
    endpoint="", endpoint_display_name="texts", display_name="texts", machine=MACHINE,
)  # fmt: skip
BATCH = Batch(
    place=Place("p", "us-central1"), version="projects/p/locations/l/models/1@1",
    display_name="texts", sources=("gs://b/rows.jsonl",), destination="gs://b/answers",
    instances_format="jsonl", predictions_format="jsonl", machine=MACHINE,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"machine_type": ""}, "machine_type is empty", id="no machine"),
        pytest.param({"min_replicas": 0}, "there are to be 0 to 1", id="none"),
        pytest.param({"min_replicas": 2}, "there are to be 2 to 1", id="fewer at most"),
        pytest.param({"accelerator_count": 1}, "give both, or neither", id="of what"),
        pytest.param({"accelerator_type": "NVIDIA_L4"}, "give both", id="how many"),
    ],
)
def test_a_machine_that_cannot_be_is_refused(
    changes: dict[str, int], said: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        dataclasses.replace(MACHINE, **changes)  # type: ignore[arg-type]  # one table


def test_an_accelerator_that_nobody_has_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="'ABACUS' is none of Vertex AI's"):
        dataclasses.replace(MACHINE, accelerator_type="ABACUS", accelerator_count=1)


def test_a_share_of_the_traffic_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="traffic_percentage is 150: give"):
        dataclasses.replace(DEPLOYMENT, percentage=150)


def test_a_model_that_replaces_others_takes_all_traffic() -> None:
    with pytest.raises(InvalidArgumentError, match="is 50: give 100"):
        dataclasses.replace(DEPLOYMENT, replaces=True, percentage=50)


def test_an_endpoint_has_a_name() -> None:
    with pytest.raises(InvalidArgumentError, match="endpoint_display_name is empty"):
        dataclasses.replace(DEPLOYMENT, endpoint_display_name="")


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        pytest.param({"sources": ()}, "gcs_source is empty", id="no source"),
        pytest.param({"sources": ("/rows",)}, "gcs_source '/rows'", id="a path"),
        pytest.param({"destination": "/a"}, "gcs_destination_prefix '/a'", id="to one"),
        pytest.param({"display_name": ""}, "job_display_name is empty", id="no name"),
    ],
)
def test_a_batch_is_read_from_a_bucket_and_written_to_one(
    batch: dict[str, str], said: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        dataclasses.replace(BATCH, **batch)  # type: ignore[arg-type]  # one table


def test_an_artifact_without_a_resource_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="vertex_model has no resourceName"):
        resource_name("vertex_model", {"DisplayName": "texts"})
