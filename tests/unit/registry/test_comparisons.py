"""Two versions are compared by everything that is known of them."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import NotFoundError
from homeport.registry.targets import Target
from homeport.resources import comparison
from homeport.resources.comparison import Comparison, Difference
from homeport.resources.evaluation import Measured
from homeport.resources.model import ContainerSpec, PredictSchemata, VersionSpec
from homeport.resources.names import ModelName
from rooms import PARENT, URI, Rooms, archive

LOCK = "# python: 3.11\n# platform: linux-x86_64\n"
TEXTS = st.dictionaries(st.text(max_size=2), st.text(max_size=2), max_size=6)


def _upload(
    rooms: Rooms, files: Mapping[str, bytes], parent: ModelName | None, **spec: Any
) -> ModelName:
    rooms.put("first/model.mar", archive(files=files))
    ended = rooms.upload(
        VersionSpec("m", artifact_uri=URI, **spec), parent_model=parent
    )
    assert ended.failure is None, ended.failure
    model = ModelName.parse(ended.result["model"])
    return model.at(ended.result["model_version_id"])


def _told(found: Comparison, what: str) -> dict[str, tuple[Any, Any]]:
    told = found.differences[what].told
    return {one.key: (one.first, one.second) for one in told}


def test_files_packages_labels_and_lineage_are_compared(rooms: Rooms) -> None:
    first = _upload(
        rooms,
        {
            "weights.pt": b"old",
            "labels.json": b"{}",
            "MAR-INF/requirements.lock": f"{LOCK}idna==3.9\nsix==1.0\n".encode(),
        },
        None,
        labels={"team": "a"},
        lineage={"run": "r1", "dataset": "d"},
    )
    second = _upload(
        rooms,
        {
            "weights.pt": b"newer",
            "labels.json": b"{}",
            "MAR-INF/requirements.lock": f"{LOCK}idna==3.10\n".encode(),
        },
        first.unversioned,
        labels={"team": "b"},
        lineage={"run": "r2", "dataset": "d"},
        schemata=PredictSchemata("gs://s/i"),
        version_description="better",
    )

    found = rooms.comparisons.compare(first, second)

    members = _told(found, "members")
    assert members.keys() == {"weights.pt", "MAR-INF/requirements.lock"}
    assert members["weights.pt"] == (
        {"crc32": "3f5dd4e5", "sizeBytes": "3"},
        {"crc32": "1be7c827", "sizeBytes": "5"},
    )
    assert found.differences["members"].same == 3
    assert _told(found, "files").keys() == {"model.mar"}
    assert _told(found, "packages") == {"idna": ("3.9", "3.10"), "six": ("1.0", None)}
    assert _told(found, "labels") == {"team": ("a", "b")}
    assert _told(found, "lineage").keys() == {"run", "lock"}
    facts = _told(found, "facts")
    assert facts["versionDescription"] == ("", "better")
    assert facts["predictSchemata.instance_schema_uri"] == (None, "gs://s/i")
    assert {"digest", "sizeBytes"} <= facts.keys()


def test_a_version_does_not_differ_from_itself(rooms: Rooms) -> None:
    name = rooms.register()

    found = rooms.comparisons.compare(name, name.unversioned)

    assert {one.different for one in found.differences.values()} == {0}
    assert found.differences["members"].same == 2


def test_the_newest_of_each_metric_is_compared(rooms: Rooms) -> None:
    first = rooms.register()
    second = rooms.register(parent_model=first.unversioned)
    for version, metrics in (
        (first, {"auc": 0.7, "matrix": [[1]], "loss": 2}),
        (first, {"auc": 0.8}),
        (second, {"auc": 0.9, "loss": 2}),
    ):
        rooms.clock.advance(hours=1)
        measured = Measured("test set", "", {"metrics": metrics})
        rooms.evaluations.add(version, measured)

    found = rooms.comparisons.compare(first, second)

    assert _told(found, "metrics") == {"test set/auc": (0.8, 0.9)}
    assert found.differences["metrics"].same == 1


def test_versions_of_images_are_compared_by_their_files(rooms: Rooms) -> None:
    rooms.put("first/weights.bin", b"weights")
    image = ContainerSpec(image_uri="example.com/m:1")
    spec = VersionSpec("m", artifact_uri=URI, container=image)
    one = ModelName.parse(rooms.upload(spec).result["model"])
    other = ModelName.parse(
        rooms.upload(VersionSpec("m", container=image)).result["model"]
    )

    found = rooms.comparisons.compare(one, other)

    assert _told(found, "files").keys() == {"weights.bin"}
    assert found.differences["members"].same == 0


def test_versions_of_two_models_are_compared(rooms: Rooms) -> None:
    source = rooms.register()
    copied = rooms.transfers.copy(source, Target(PARENT)).result["model"]

    found = rooms.comparisons.compare(source, ModelName.parse(copied))

    assert {one.different for one in found.differences.values()} == {0}
    assert found.second.provenance.version.copied_from == source


def test_what_is_not_there_cannot_be_compared(rooms: Rooms) -> None:
    name = rooms.register()

    with pytest.raises(NotFoundError):
        rooms.comparisons.compare(name, name.at(7))


@given(TEXTS, TEXTS)
def test_differences_lead_from_one_side_to_the_other(
    first: dict[str, str], second: dict[str, str]
) -> None:
    found = comparison.difference(first, second)

    led = {**first, **{one.key: one.second for one in found.told}}
    assert {key: value for key, value in led.items() if value is not None} == second
    assert found.same + found.different == len(first.keys() | second.keys())


def test_a_long_list_is_counted_and_cut() -> None:
    found = comparison.difference({f"{at:04}": 1 for at in range(1001)}, {})

    assert found.different == 1001
    assert len(found.told) == 1000
    assert found.told[0] == Difference("0000", 1, None)
