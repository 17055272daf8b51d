"""An upload makes a new model, or a version of the model that it names; never both."""

import collections
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping

import pytest

from homeport.errors import (
    AlreadyExistsError,
    Code,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from homeport.metadata.database import Transaction
from homeport.registry.paging import PageRequest
from homeport.registry.targets import Target
from homeport.resources.bucket import ObjectRef
from homeport.resources.listing import ListQuery
from homeport.resources.model import (
    ContainerSpec,
    EnvironmentVariable,
    ModelVersion,
    VersionSpec,
)
from homeport.resources.names import ModelName
from homeport.resources.operation import OperationKind
from rooms import DEADLINE_S, PARENT, URI, Rooms, archive, page

IMAGE = "europe-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-4:latest"
OWN_IMAGE = "registry.example.com/team/model:3"


def _defaults(rooms: Rooms) -> dict[str, str]:
    """Return every model's default version."""
    models, _ = rooms.catalog.list_models(PARENT, page())
    return {one.name.model: one.name.version for one in models}


def _uploaded(rooms: Rooms, spec: VersionSpec) -> ModelVersion:
    ended = rooms.upload(spec)
    assert ended.failure is None
    return rooms.catalog.get(ModelName.parse(ended.result["model"]))


def test_an_upload_is_promised_then_kept(rooms: Rooms) -> None:
    rooms.put("first/model.mar", archive())
    spec = VersionSpec("m", artifact_uri=URI)

    promised = rooms.uploads.upload(Target(PARENT, model_id="m"), spec, ("beware",))
    ended = rooms.wait(promised)

    assert promised.kind is OperationKind.UPLOAD_MODEL
    assert not promised.done
    assert str(promised.name).startswith(f"{PARENT}/models/m/operations/")
    assert ended.warnings == ("beware",)
    assert ended.result == {"model": f"{PARENT}/models/m", "model_version_id": "1"}


def test_every_field_of_a_version_is_read_back(rooms: Rooms) -> None:
    rooms.put("first/model.mar", archive())
    container = ContainerSpec(
        image_uri=IMAGE,
        env=(EnvironmentVariable("B", "2"), EnvironmentVariable("A", "1")),
        ports=(8080, 8081),
        grpc_ports=(9000,),
        predict_route="/predict",
        health_route="/health",
        kept={"shared_memory_size_mb": "16"},
    )
    spec = VersionSpec(
        "m" * 128,
        description="of the model",
        version_description="of the version",
        labels={"größe": "klein", "empty": ""},
        aliases=("golden", "v1"),
        artifact_uri=URI,
        container=container,
        kept={"metadata_schema_uri": "gs://b/schema"},
    )

    version = _uploaded(rooms, spec)

    assert version.display_name == "m" * 128
    assert version.description == "of the model"
    assert version.version_description == "of the version"
    assert version.labels == {"größe": "klein", "empty": ""}
    assert version.aliases == ("default", "golden", "v1")
    assert version.artifact_uri == URI
    assert version.artifact is not None
    assert [file.path for file in version.artifact.files] == ["model.mar"]
    assert version.container == container
    assert version.kept == {"metadata_schema_uri": "gs://b/schema"}
    assert version.create_time == version.version_create_time == rooms.clock.now()
    assert version.etag


def test_the_same_display_name_makes_a_second_model(rooms: Rooms) -> None:
    first = rooms.register("m")

    second = rooms.register("m")

    assert first.unversioned != second.unversioned
    assert _defaults(rooms) == {first.model: "1", second.model: "1"}


def test_the_default_stays_where_it_is_when_a_version_is_added(rooms: Rooms) -> None:
    first = rooms.register()

    second = rooms.register("another name", parent_model=first.unversioned)

    assert second == first.at(2)
    assert _defaults(rooms) == {first.model: "1"}
    assert rooms.catalog.get(second).aliases == ()
    assert rooms.catalog.get(second).display_name == "m"


def test_the_default_moves_when_the_upload_says_so(rooms: Rooms) -> None:
    first = rooms.register()

    rooms.register(parent_model=first.unversioned, aliases=("default", "golden"))

    assert _defaults(rooms) == {first.model: "2"}
    assert rooms.catalog.get(first).aliases == ()


def test_an_upload_takes_its_aliases_from_others(rooms: Rooms) -> None:
    first = rooms.register(aliases=("golden",))

    second = rooms.register(parent_model=first.unversioned, aliases=("golden",))

    assert rooms.catalog.get(first).aliases == ("default",)
    assert rooms.catalog.get(second).aliases == ("golden",)


def test_later_changes_in_the_bucket_change_no_version(rooms: Rooms) -> None:
    first = rooms.register()
    before = rooms.catalog.get(first).artifact

    rooms.put("first/model.mar", archive(b"def handle(data, context): return data\n"))
    second = rooms.register(parent_model=first.unversioned)
    rooms.buckets.delete_object(ObjectRef("models", "first/model.mar"))

    assert before is not None
    assert rooms.catalog.get(first).artifact == before
    assert (rooms.artifacts.lay_out(before) / "handler.py").read_bytes() == (
        b"def handle(data, context): ...\n"
    )
    assert rooms.catalog.get(second).artifact == before


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        pytest.param(VersionSpec("", artifact_uri=URI), "display_name", id="no name"),
        pytest.param(VersionSpec(" ", artifact_uri=URI), "display_name", id="blank"),
        pytest.param(
            VersionSpec("m" * 129, artifact_uri=URI), "129 characters", id="too long"
        ),
        pytest.param(
            VersionSpec("m", artifact_uri=URI, labels={"Env": "x"}),
            "lower-case",
            id="an upper-case label",
        ),
        pytest.param(
            VersionSpec("m", artifact_uri=URI, labels={"env": "x" * 65}),
            "at most 64",
            id="a long label",
        ),
        pytest.param(
            VersionSpec("m", artifact_uri=URI, labels={"": "x"}),
            "empty key",
            id="a label without a key",
        ),
        pytest.param(
            VersionSpec("m", artifact_uri=URI, aliases=("1",)),
            "cannot look like a version id",
            id="an alias that is a number",
        ),
        pytest.param(VersionSpec("m"), "neither artifact_uri nor", id="nothing to run"),
        pytest.param(
            VersionSpec("m", container=ContainerSpec(predict_route="/x")),
            "neither artifact_uri nor",
            id="a container without an image",
        ),
    ],
)
def test_a_wrong_request_is_refused_at_once(
    rooms: Rooms, spec: VersionSpec, cause: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=cause):
        rooms.uploads.upload(Target(PARENT), spec)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("AIP_HTTP_PORT", "1", id="reserved"),
        pytest.param("AIP_", "1", id="reserved prefix"),
        pytest.param("", "1", id="empty"),
        pytest.param("A=B", "1", id="equals sign"),
        pytest.param("1A", "1", id="digit first"),
        pytest.param("A\0", "1", id="NUL in the name"),
        pytest.param("A", "1\0", id="NUL in the value"),
        pytest.param("A", "é" * (64 << 10), id="more than a process takes"),
    ],
)
def test_a_variable_that_cannot_be_set_is_refused(
    rooms: Rooms, name: str, value: str
) -> None:
    container = ContainerSpec(env=(EnvironmentVariable(name, value),))

    with pytest.raises(InvalidArgumentError, match="environment variable"):
        rooms.uploads.upload(
            Target(PARENT), VersionSpec("m", artifact_uri=URI, container=container)
        )


def test_a_variable_that_is_given_twice_is_refused_by_its_name(rooms: Rooms) -> None:
    values = (("A", "1"), ("DEPTH", "2"), ("DEPTH", "3"))
    container = ContainerSpec(env=tuple(EnvironmentVariable(*one) for one in values))

    with pytest.raises(InvalidArgumentError, match="'DEPTH' is given 2 times"):
        rooms.uploads.upload(
            Target(PARENT), VersionSpec("m", artifact_uri=URI, container=container)
        )


@pytest.mark.parametrize("model_id", ["1model", "-m", "M", "m.n", "m" * 64, "ä"])
def test_a_model_id_that_breaks_the_rules_is_refused(
    rooms: Rooms, model_id: str
) -> None:
    with pytest.raises(InvalidArgumentError, match="model id"):
        rooms.upload(VersionSpec("m", artifact_uri=URI), model_id=model_id)


def test_a_model_id_is_taken_once(rooms: Rooms) -> None:
    rooms.register(model_id="m_1-x")

    with pytest.raises(AlreadyExistsError, match="parent_model"):
        rooms.register(model_id="m_1-x")


@contextlib.contextmanager
def _nothing_carried_out(rooms: Rooms) -> Iterator[None]:
    """Keep every thread of operations busy until the end of the block."""
    released = threading.Event()

    def work() -> Callable[[Transaction], Mapping[str, str]]:
        assert released.wait(DEADLINE_S)
        return lambda _: {}

    with rooms.database.transaction() as transaction:
        blocking = [
            rooms.operations.promise(transaction, OperationKind.DELETE_MODEL, PARENT)
            for _ in range(16)
        ]
    for operation in blocking:
        rooms.operations.carry_out(operation, work)
    try:
        yield
    finally:
        released.set()


def test_of_two_uploads_under_one_id_one_fails(rooms: Rooms) -> None:
    rooms.put("first/model.mar", archive())
    spec, target = VersionSpec("m", artifact_uri=URI), Target(PARENT, None, "m")
    with _nothing_carried_out(rooms):
        promised = [rooms.uploads.upload(target, spec) for _ in range(2)]

    failures = [rooms.wait(one).failure for one in promised]

    assert sorted(one.code if one else 0 for one in failures) == [
        0,
        Code.ALREADY_EXISTS,
    ]
    assert _defaults(rooms) == {"m": "1"}


def test_a_parent_must_be_there_and_be_a_model(rooms: Rooms) -> None:
    version = rooms.register()

    with pytest.raises(NotFoundError, match="parent_model"):
        rooms.register(parent_model=ModelName(PARENT, "other"))
    for suffix in ("1", "default"):
        with pytest.raises(InvalidArgumentError, match="without a version"):
            rooms.register(parent_model=version.at(suffix))
    with pytest.raises(FailedPreconditionError, match="model_id"):
        rooms.register(parent_model=version.unversioned, model_id="chosen")


def test_a_parent_that_goes_meanwhile_fails_the_operation(rooms: Rooms) -> None:
    model = rooms.register().unversioned
    spec = VersionSpec("m", artifact_uri=URI)
    with _nothing_carried_out(rooms):
        promised = rooms.uploads.upload(Target(PARENT, model), spec)
        rooms.catalog.delete_model(model)

    failure = rooms.wait(promised).failure

    assert failure is not None
    assert failure.code is Code.NOT_FOUND
    assert _defaults(rooms) == {}


@pytest.mark.parametrize(
    ("spec", "code", "cause"),
    [
        pytest.param(
            VersionSpec("m", artifact_uri="gs://models/nothing"),
            Code.NOT_FOUND,
            "nothing is stored at gs://models/nothing",
            id="nothing there",
        ),
        pytest.param(
            VersionSpec("m", artifact_uri="gs://other/first"),
            Code.NOT_FOUND,
            "bucket 'other'",
            id="no such bucket",
        ),
        pytest.param(
            VersionSpec("m", artifact_uri="https://example.com/m"),
            Code.INVALID_ARGUMENT,
            "expected gs://bucket/path",
            id="not an object store",
        ),
        pytest.param(
            VersionSpec("m", artifact_uri="gs://models/notes"),
            Code.FAILED_PRECONDITION,
            "no .mar archive among readme.txt",
            id="no archive",
        ),
        pytest.param(
            VersionSpec(
                "m",
                artifact_uri="gs://models/notes",
                container=ContainerSpec(image_uri=IMAGE),
            ),
            Code.FAILED_PRECONDITION,
            "no .mar archive",
            id="no archive for a prebuilt image",
        ),
    ],
)
def test_bytes_that_cannot_be_registered_fail_the_operation(
    rooms: Rooms, spec: VersionSpec, code: Code, cause: str
) -> None:
    rooms.put("notes/readme.txt", b"not a model")

    ended = rooms.upload(spec)

    assert ended.failure is not None
    assert ended.failure.code is code
    assert cause in ended.failure.message
    assert ended.result == {}
    assert _defaults(rooms) == {}


def test_an_own_image_takes_any_artifact_or_none(rooms: Rooms) -> None:
    rooms.put("notes/readme.txt", b"weights")
    image = ContainerSpec(image_uri=OWN_IMAGE)

    with_artifact = _uploaded(
        rooms, VersionSpec("m", artifact_uri="gs://models/notes", container=image)
    )
    without = _uploaded(rooms, VersionSpec("m", container=image))

    assert with_artifact.artifact is not None
    assert without.artifact is None


def test_versions_uploaded_at_once_get_ids_in_a_row_and_one_default(
    rooms: Rooms,
) -> None:
    model = rooms.register("m").unversioned
    spec = VersionSpec("m", artifact_uri=URI, aliases=("golden",))
    target = Target(PARENT, model)

    with concurrent.futures.ThreadPoolExecutor(64) as threads:
        promised = threads.map(lambda _: rooms.uploads.upload(target, spec), range(64))
        ended = [rooms.wait(one) for one in promised]

    assert [one.failure for one in ended] == [None] * 64
    ids = sorted(int(one.result["model_version_id"]) for one in ended)
    assert ids == list(range(2, 66))
    query = ListQuery("ListModelVersions", str(model))
    versions, _ = rooms.catalog.list_versions(model, PageRequest(query))
    aliases = collections.Counter(alias for one in versions for alias in one.aliases)
    assert len(versions) == 65
    assert aliases == {"default": 1, "golden": 1}


def test_what_lies_elsewhere_needs_no_bytes(rooms: Rooms) -> None:
    source = {"modelGardenSource": {"publicModelName": "publishers/p/models/x"}}
    spec = VersionSpec("m", kept={"base_model_source": source})

    ended = rooms.upload(spec, model_id="garden")

    assert ended.failure is None
    found = rooms.catalog.get(ModelName(PARENT, "garden"))
    assert found.kept == {"base_model_source": source}
    assert found.artifact is None
