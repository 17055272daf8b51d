"""A version is copied without its bytes, and exported byte for byte."""

import hashlib

import pytest

from homeport.errors import (
    AlreadyExistsError,
    Code,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from homeport.metadata import check_rows, model_rows
from homeport.objects.outside import Outside
from homeport.registry.paging import PageRequest
from homeport.registry.targets import Target
from homeport.resources.bucket import ObjectQuery, ObjectRef
from homeport.resources.listing import ListQuery
from homeport.resources.model import ContainerSpec, ModelPatch, VersionSpec
from homeport.resources.names import ModelName, Parent
from homeport.resources.operation import Operation, OperationKind
from homeport.resources.torchserve import TorchServeWords
from rooms import BUCKET, PARENT, URI, Rooms, archive

ELSEWHERE = Parent("other", "europe-west4")


@pytest.fixture
def source(rooms: Rooms) -> ModelName:
    """A model with two versions, the second of them in full dress."""
    first = rooms.register("Digits of all")
    rooms.put("first/notes/readme.txt", b"read me")
    spec = VersionSpec(
        "",
        version_description="second",
        labels={"env": "prod"},
        aliases=("golden",),
        artifact_uri=URI,
        container=ContainerSpec(predict_route="/predict"),
        kept={"metadata_schema_uri": "gs://models/schema"},
    )
    ended = rooms.upload(spec, parent_model=first.unversioned)
    assert ended.failure is None, ended.failure
    words = ModelPatch(description="of the model", labels={"team": "a", "env": "dev"})
    rooms.catalog.update(first.unversioned, words)
    return first.at(2)


def copied_name(operation: Operation) -> ModelName:
    assert operation.kind is OperationKind.COPY_MODEL
    assert operation.done
    return ModelName.parse(operation.result["model"]).at(
        operation.result["model_version_id"]
    )


def versions(rooms: Rooms, model: ModelName) -> dict[str, tuple[str, ...]]:
    query = PageRequest(ListQuery("ListModelVersions", str(model)))
    found, _ = rooms.catalog.list_versions(model.unversioned, query)
    return {one.name.version: one.aliases for one in found}


def test_a_copy_elsewhere_is_a_new_model(rooms: Rooms, source: ModelName) -> None:
    operation = rooms.transfers.copy(source, Target(ELSEWHERE, model_id="copied"))

    name = copied_name(operation)
    assert name == ModelName(ELSEWHERE, "copied", "1")
    assert str(operation.name).startswith(f"{ELSEWHERE}/models/copied/operations/")
    before, after = rooms.catalog.get(source), rooms.catalog.get(name)
    assert after.copied_from == source
    assert after.aliases == ("default",)
    assert after.display_name == "Digits of all"
    assert after.description == "of the model"
    assert after.version_description == "second"
    assert after.labels == {"team": "a", "env": "prod"}
    assert after.artifact == before.artifact
    assert after.artifact_uri == URI
    assert after.container == before.container
    assert after.kept == before.kept


def test_a_copy_under_a_model_leaves_its_default(
    rooms: Rooms, source: ModelName
) -> None:
    parent = rooms.insert("parent", VersionSpec("parent")).unversioned

    copied = copied_name(
        rooms.transfers.copy(source.at("golden"), Target(PARENT, parent_model=parent))
    )

    assert copied == parent.at(2)
    assert versions(rooms, parent) == {"1": ("default",), "2": ()}
    assert rooms.catalog.get(copied).display_name == "parent"
    assert versions(rooms, source) == {"1": ("default",), "2": ("golden",)}


def test_a_copy_without_a_version_is_of_the_default(
    rooms: Rooms, source: ModelName
) -> None:
    copied = copied_name(rooms.transfers.copy(source.unversioned, Target(PARENT)))

    assert rooms.catalog.get(copied).copied_from == source.at(1)
    assert copied.model != source.model


def test_a_copy_takes_the_lock_and_the_check_along(
    rooms: Rooms, source: ModelName
) -> None:
    _, check = rooms.catalog.check(source)
    words = TorchServeWords(min_workers=2)
    with rooms.database.transaction() as transaction:
        model_rows.set_findings(transaction, source, words, "numpy==2.0\n")

    copied = copied_name(rooms.transfers.copy(source, Target(PARENT)))

    assert rooms.catalog.get(copied).torchserve == words
    with rooms.database.snapshot() as transaction:
        assert model_rows.get_lock(transaction, copied) == "numpy==2.0\n"
        assert check_rows.get(transaction, copied) == check


def test_a_copy_stays_when_its_source_goes(rooms: Rooms, source: ModelName) -> None:
    copied = copied_name(rooms.transfers.copy(source, Target(PARENT)))

    rooms.catalog.delete_model(source.unversioned)

    version = rooms.catalog.get(copied)
    assert version.copied_from == source
    assert version.artifact is not None
    for file in version.artifact.files:
        assert rooms.blobs.measure(file.sha256).size_bytes == file.size_bytes


@pytest.mark.parametrize(
    ("model", "target", "error"),
    [
        pytest.param("none", Target(PARENT), NotFoundError, id="no such source"),
        pytest.param(
            "m", Target(PARENT, ModelName(PARENT, "no")), NotFoundError, id="no parent"
        ),
        pytest.param(
            "m", Target(PARENT, model_id="m"), AlreadyExistsError, id="a taken id"
        ),
        pytest.param(
            "m", Target(PARENT, model_id="7m"), InvalidArgumentError, id="a bad id"
        ),
        pytest.param(
            "m",
            Target(PARENT, ModelName(PARENT, "m", "1")),
            InvalidArgumentError,
            id="a version for a parent",
        ),
    ],
)
def test_a_copy_that_cannot_be_is_refused(
    rooms: Rooms, model: str, target: Target, error: type[Exception]
) -> None:
    name = rooms.insert("m", VersionSpec("m"))

    with pytest.raises(error):
        rooms.transfers.copy(ModelName(PARENT, model), target)

    assert versions(rooms, name) == {"1": ("default",)}


# Export


@pytest.mark.parametrize("prefix", ["gs://out/some/where", "gs://out/some/where/"])
def test_an_export_is_the_uploaded_bytes(
    rooms: Rooms, source: ModelName, prefix: str
) -> None:
    rooms.buckets.create_bucket("out")

    ended = rooms.wait(rooms.exports.export(source.at("golden"), prefix))

    folder = "some/where/model-export-Digits-of-all-2026-01-01T00:00:00.000Z"
    assert ended.result == {"uri": f"gs://out/{folder}"}
    listed = rooms.buckets.list_objects(ObjectQuery("out")).objects
    assert [one.name for one in listed] == [
        f"{folder}/model.mar",
        f"{folder}/notes/readme.txt",
    ]
    with rooms.buckets.open_object("out", f"{folder}/model.mar") as file:
        assert file.read() == archive()
    text = rooms.buckets.get_object(ObjectRef("out", f"{folder}/notes/readme.txt"))
    assert text.content.md5 == hashlib.md5(b"read me").hexdigest()  # noqa: S324


def test_an_export_may_go_to_the_top_of_a_bucket(
    rooms: Rooms, source: ModelName
) -> None:
    ended = rooms.wait(rooms.exports.export(source, f"gs://{BUCKET}", "custom-trained"))

    assert ended.result["uri"] == (
        f"gs://{BUCKET}/model-export-Digits-of-all-2026-01-01T00:00:00.000Z"
    )


def test_an_export_keeps_to_the_quota_of_its_bucket(
    rooms: Rooms, source: ModelName
) -> None:
    before = list(rooms.buckets.iter_prefix(BUCKET, ""))
    exports = rooms.exports_to(Outside({}), quota_bytes=before[0].size_bytes + 1)

    ended = rooms.wait(exports.export(source, f"gs://{BUCKET}"))

    assert ended.failure is not None
    assert ended.failure.code is Code.RESOURCE_EXHAUSTED
    assert list(rooms.buckets.iter_prefix(BUCKET, "")) == before


def test_an_export_overwrites_nothing(rooms: Rooms, source: ModelName) -> None:
    # The clock stands still, so both would lie in the same folder.
    rooms.wait(rooms.exports.export(source, f"gs://{BUCKET}"))

    again = rooms.wait(rooms.exports.export(source.at(1), f"gs://{BUCKET}"))

    assert again.failure is not None
    assert again.failure.code is Code.FAILED_PRECONDITION


@pytest.mark.parametrize(
    ("prefix", "export_format", "error"),
    [
        pytest.param("out/dir", "", InvalidArgumentError, id="no scheme"),
        pytest.param("s3://out/dir", "", PermissionDeniedError, id="another store"),
        pytest.param("", "", InvalidArgumentError, id="nowhere"),
        pytest.param("gs://nowhere/x", "", NotFoundError, id="no such bucket"),
        pytest.param(f"gs://{BUCKET}", "tflite", InvalidArgumentError, id="format"),
        pytest.param(
            f"gs://{BUCKET}/{'x' * 1000}", "", InvalidArgumentError, id="too long"
        ),
    ],
)
def test_an_export_that_cannot_be_is_refused(
    rooms: Rooms,
    source: ModelName,
    prefix: str,
    export_format: str,
    error: type[Exception],
) -> None:
    with pytest.raises(error):
        rooms.exports.export(source, prefix, export_format)


def test_an_image_alone_has_nothing_to_export(rooms: Rooms) -> None:
    name = rooms.insert("m", VersionSpec("m"))

    with pytest.raises(FailedPreconditionError, match="no artifact"):
        rooms.exports.export(name, "gs://models")
