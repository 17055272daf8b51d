"""Models are found by id or alias; aliases move, versions go, and guards hold."""

import pytest

from homeport.errors import (
    FailedPreconditionError,
    HomeportError,
    InvalidArgumentError,
    NotFoundError,
)
from homeport.metadata import endpoint_rows, model_rows
from homeport.metadata.endpoint_rows import Deployment
from homeport.registry.paging import PageRequest
from homeport.resources.endpoint import (
    DedicatedResources,
    DeployedModel,
    DeployState,
    Endpoint,
)
from homeport.resources.listing import ListQuery
from homeport.resources.model import ModelPatch, VersionSpec
from homeport.resources.names import EndpointName, ModelName, OperationName
from homeport.resources.operation import OperationKind
from rooms import PARENT, T0, Rooms, page


@pytest.fixture
def model(rooms: Rooms) -> ModelName:
    """A model with three versions, the first of them the default."""
    name = rooms.insert("m", VersionSpec("m")).unversioned
    with rooms.database.transaction() as transaction:
        for aliases in (("beta",), ()):
            spec = VersionSpec("m", aliases=aliases)
            model_rows.insert_version(transaction, name, spec, None, T0)
    return name


def _aliases(rooms: Rooms, model: ModelName) -> dict[str, tuple[str, ...]]:
    query = ListQuery("ListModelVersions", str(model))
    versions, _ = rooms.catalog.list_versions(model, PageRequest(query))
    return {one.name.version: one.aliases for one in versions}


def _deploy(rooms: Rooms, version: ModelName, state: DeployState) -> None:
    endpoint = EndpointName(PARENT, "e")
    deployed = DeployedModel(
        id="7",
        endpoint=endpoint,
        version=version,
        display_name="m",
        model_display_name="m",
        resources=DedicatedResources(),
        kept={},
        state=state,
        create_time=T0,
    )
    operation = OperationName(PARENT, "endpoints/e", "1")
    with rooms.database.transaction() as transaction:
        endpoint_rows.insert(
            transaction,
            Endpoint(endpoint, "e", "", {}, (), {}, {}, T0, T0, "etag"),
        )
        endpoint_rows.insert_deployment(
            transaction, Deployment(deployed, {}, operation)
        )


@pytest.mark.parametrize(
    ("version", "found"),
    [
        pytest.param("", "1", id="the default version"),
        pytest.param("default", "1", id="the same by its alias"),
        pytest.param("2", "2", id="an id"),
        pytest.param("beta", "2", id="an alias"),
    ],
)
def test_a_version_is_found(
    rooms: Rooms, model: ModelName, version: str, found: str
) -> None:
    assert rooms.catalog.get(model.at(version)).name == model.at(found)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        pytest.param("m@4", "no version '4'", id="no such version"),
        pytest.param("m@gamma", "no version alias 'gamma'", id="no such alias"),
        pytest.param(
            "m@4",
            "homeport models list-version projects/p/locations/us-central1/models/m`",
            id="where the versions are",
        ),
        pytest.param(
            "other",
            "homeport models list --project p --region us-central1`",
            id="where the models are",
        ),
        pytest.param("m@0", "no version '0'", id="versions begin at 1"),
        pytest.param("m@01", "no version '01'", id="no leading zeros"),
        pytest.param(f"m@{'9' * 19}", "no version", id="over 64 bits"),
        pytest.param(f"m@{'9' * 5000}", "no version", id="over what Python reads"),
        pytest.param("other", "was not found", id="no such model"),
        pytest.param("other@1", "was not found", id="a version of no model"),
    ],
)
def test_what_is_not_there_is_not_found(
    rooms: Rooms, model: ModelName, text: str, cause: str
) -> None:
    del model
    name = ModelName.parse(f"{PARENT}/models/{text}")

    with pytest.raises(NotFoundError, match=cause):
        rooms.catalog.get(name)


def test_a_model_of_another_location_is_not_found(
    rooms: Rooms, model: ModelName
) -> None:
    elsewhere = ModelName.parse(f"projects/p/locations/elsewhere/models/{model.model}")

    with pytest.raises(NotFoundError):
        rooms.catalog.get(elsewhere)
    with pytest.raises(NotFoundError):
        rooms.catalog.list_versions(elsewhere, page())


def test_a_list_shows_each_model_once_as_its_default_version(
    rooms: Rooms, model: ModelName
) -> None:
    rooms.catalog.merge_aliases(model.at(2), ("default",))

    models, _ = rooms.catalog.list_models(PARENT, page())

    assert [str(one.name) for one in models] == [str(model.at(2))]


@pytest.mark.parametrize(
    ("changes", "aliases"),
    [
        pytest.param(
            ("golden",),
            {"1": ("default",), "2": ("beta",), "3": ("golden",)},
            id="give",
        ),
        pytest.param(
            ("beta",), {"1": ("default",), "2": (), "3": ("beta",)}, id="steal"
        ),
        pytest.param(
            ("default",),
            {"1": (), "2": ("beta",), "3": ("default",)},
            id="move the default",
        ),
        pytest.param(
            ("-beta",),
            {"1": ("default",), "2": ("beta",), "3": ()},
            id="only one's own alias can be taken",
        ),
        pytest.param(
            ("beta", "-beta"),
            {"1": ("default",), "2": ("beta",), "3": ()},
            id="both cancel out",
        ),
        pytest.param(
            ("-default", "default"),
            {"1": ("default",), "2": ("beta",), "3": ()},
            id="also for the default",
        ),
        pytest.param(
            ("a1", "b2", "-c3"),
            {"1": ("default",), "2": ("beta",), "3": ("a1", "b2")},
            id="several at once",
        ),
    ],
)
def test_aliases_of_the_third_version_change(
    rooms: Rooms,
    model: ModelName,
    changes: tuple[str, ...],
    aliases: dict[str, tuple[str, ...]],
) -> None:
    merged = rooms.catalog.merge_aliases(model.at(3), changes)

    assert _aliases(rooms, model) == aliases
    assert merged.aliases == aliases["3"]


def test_a_version_may_be_named_by_an_alias_that_it_loses(
    rooms: Rooms, model: ModelName
) -> None:
    merged = rooms.catalog.merge_aliases(model.at("beta"), ("golden", "-beta"))

    assert merged.name == model.at(2)
    assert _aliases(rooms, model) == {"1": ("default",), "2": ("golden",), "3": ()}


def test_aliases_stay_in_the_order_they_were_given(
    rooms: Rooms, model: ModelName
) -> None:
    rooms.catalog.merge_aliases(model.at(3), ("zeta", "alpha", "mu"))
    # One that is there already keeps its place.
    merged = rooms.catalog.merge_aliases(model.at(3), ("alpha", "beta", "-mu"))

    assert merged.aliases == ("zeta", "alpha", "beta")
    uploaded = rooms.register(parent_model=model, aliases=("z1", "a1", "default"))
    assert rooms.catalog.get(uploaded).aliases == ("z1", "a1", "default")


def test_an_alias_is_taken_away(rooms: Rooms, model: ModelName) -> None:
    rooms.catalog.merge_aliases(model.at(2), ("-beta",))

    assert _aliases(rooms, model) == {"1": ("default",), "2": (), "3": ()}


@pytest.mark.parametrize(
    ("version", "changes"),
    [
        pytest.param("1", ("-default",), id="the default cannot be taken away"),
        pytest.param("1", ("7",), id="a number is a version id"),
        pytest.param("1", ("a",), id="one character"),
        pytest.param("1", ("Golden",), id="an upper-case letter first"),
        pytest.param("1", ("golden-",), id="a hyphen last"),
        pytest.param("1", ("go_lden",), id="an underscore"),
        pytest.param("1", ("a" * 129,), id="too long"),
        pytest.param("1", ("-",), id="nothing to take"),
        pytest.param("1", ("",), id="nothing to give"),
        pytest.param("1", (), id="no changes"),
        pytest.param("", ("golden",), id="no version"),
    ],
)
def test_an_alias_change_is_refused_and_nothing_changes(
    rooms: Rooms, model: ModelName, version: str, changes: tuple[str, ...]
) -> None:
    changes = ("fine", *changes) if changes else ()

    with pytest.raises(InvalidArgumentError):
        rooms.catalog.merge_aliases(model.at(version), changes)

    assert _aliases(rooms, model) == {"1": ("default",), "2": ("beta",), "3": ()}


def test_a_change_gives_the_model_a_new_etag_and_time(
    rooms: Rooms, model: ModelName
) -> None:
    before = rooms.catalog.get(model)
    rooms.clock.advance(minutes=1)

    after = rooms.catalog.merge_aliases(model.at(1), ("golden",))

    assert after.etag != before.etag
    assert after.update_time == rooms.clock.now()
    assert after.version_update_time == before.version_update_time


def test_a_version_is_deleted_with_its_aliases(rooms: Rooms, model: ModelName) -> None:
    operation = rooms.catalog.delete_version(model.at(2))

    assert operation.kind is OperationKind.DELETE_MODEL_VERSION
    assert operation.done
    assert operation.failure is None
    assert _aliases(rooms, model) == {"1": ("default",), "3": ()}
    with pytest.raises(NotFoundError):
        rooms.catalog.get(model.at("beta"))


def test_a_version_id_is_never_used_again(rooms: Rooms, model: ModelName) -> None:
    rooms.catalog.delete_version(model.at(3))

    assert rooms.register(parent_model=model) == model.at(4)


@pytest.mark.parametrize(
    ("version", "cause"),
    [
        pytest.param("1", "is the default version", id="the default"),
        pytest.param("2", r"deployed at .*/endpoints/e", id="deployed"),
    ],
)
def test_a_version_that_is_needed_is_kept(
    rooms: Rooms, model: ModelName, version: str, cause: str
) -> None:
    _deploy(rooms, model.at(2), DeployState.DEPLOYING)

    with pytest.raises(FailedPreconditionError, match=cause):
        rooms.catalog.delete_version(model.at(version))

    assert set(_aliases(rooms, model)) == {"1", "2", "3"}


def test_the_only_version_is_deleted_with_its_model(rooms: Rooms) -> None:
    name = rooms.register()

    with pytest.raises(FailedPreconditionError, match="only version"):
        rooms.catalog.delete_version(name)


@pytest.mark.parametrize("version", ["", "beta", "default"])
def test_a_version_is_deleted_by_its_id_alone(
    rooms: Rooms, model: ModelName, version: str
) -> None:
    with pytest.raises(InvalidArgumentError, match="version id"):
        rooms.catalog.delete_version(model.at(version))


def test_a_model_is_deleted_with_all_its_versions(
    rooms: Rooms, model: ModelName
) -> None:
    operation = rooms.catalog.delete_model(model)

    assert operation.kind is OperationKind.DELETE_MODEL
    assert operation.done
    with pytest.raises(NotFoundError):
        rooms.catalog.get(model)
    assert rooms.register(model_id="m") == model.at(1)


@pytest.mark.parametrize("state", list(DeployState))
def test_a_model_with_a_deployed_version_is_kept(
    rooms: Rooms, model: ModelName, state: DeployState
) -> None:
    _deploy(rooms, model.at(2), state)

    with pytest.raises(FailedPreconditionError, match="undeploy"):
        rooms.catalog.delete_model(model)
    rooms.catalog.delete_version(model.at(3))

    assert set(_aliases(rooms, model)) == {"1", "2"}


def test_deleting_a_model_names_no_version(rooms: Rooms, model: ModelName) -> None:
    with pytest.raises(InvalidArgumentError, match="deleteVersion"):
        rooms.catalog.delete_model(model.at(2))
    with pytest.raises(NotFoundError):
        rooms.catalog.delete_model(ModelName(PARENT, "other"))


def test_labels_of_a_version_are_its_own(rooms: Rooms) -> None:
    name = rooms.insert("m", VersionSpec("m", labels={"env": "prod"}))

    assert rooms.catalog.get(name).labels == {"env": "prod"}


def test_a_version_knows_where_it_serves(rooms: Rooms, model: ModelName) -> None:
    _deploy(rooms, model.at(2), DeployState.DEPLOYED)

    assert rooms.catalog.get(model.at(2)).deployed_models == (
        (EndpointName(PARENT, "e"), "7"),
    )
    assert rooms.catalog.get(model).deployed_models == ()


def test_a_version_that_is_being_deployed_does_not_serve_yet(
    rooms: Rooms, model: ModelName
) -> None:
    _deploy(rooms, model.at(2), DeployState.DEPLOYING)

    assert rooms.catalog.get(model.at(2)).deployed_models == ()


def test_an_update_of_a_version_changes_its_time(
    rooms: Rooms, model: ModelName
) -> None:
    before = rooms.catalog.get(model.at(2))
    rooms.clock.advance(minutes=1)

    after = rooms.catalog.update(model.at("beta"), ModelPatch(version_description="b"))

    assert after.name == model.at(2)
    assert after.version_description == "b"
    assert after.version_update_time == rooms.clock.now()
    assert after.version_create_time == before.version_create_time
    assert rooms.catalog.get(model).version_update_time == before.version_update_time


def test_a_refused_update_changes_nothing(rooms: Rooms, model: ModelName) -> None:
    before = rooms.catalog.get(model)

    for patch in (
        ModelPatch(display_name=" ", description="new"),
        ModelPatch(description="new", labels={"UPPER": "case"}),
        ModelPatch(description="new", label_changes={"key": "Upper"}),
        ModelPatch(description="new", version_description="both"),
        ModelPatch(description="new", etag="stale"),
    ):
        with pytest.raises(HomeportError):
            rooms.catalog.update(model, patch)

    assert rooms.catalog.get(model) == before
