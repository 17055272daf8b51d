"""The Python client finds what is meant, and refuses what cannot be."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import homeport
from homeport import errors
from homeport.client.modelregistry import ModelRegistry
from servers import Server

pytestmark = pytest.mark.service

IMAGE = "example.com/model:1"


@pytest.fixture(scope="module")
def registry(shared_server: Server) -> Iterator[ModelRegistry]:
    with homeport.ModelRegistry(shared_server.url, project="p") as opened:
        yield opened


def registered(registry: ModelRegistry, display_name: str, **options: Any) -> Any:
    return registry.upload_model(
        display_name, serving_container_image_uri=IMAGE, **options
    )


@pytest.mark.parametrize(
    "display_name",
    [
        pytest.param("My Awesome Model", id="spaces"),
        pytest.param('say "a*b" \\ c', id="what means something in a filter"),
        pytest.param("team@models", id="an at"),
        pytest.param("a/b?c#d%20", id="what means something in a path"),
        pytest.param("модель 模型", id="not ASCII"),
    ],
)
def test_a_model_is_found_by_any_display_name(
    registry: ModelRegistry, display_name: str
) -> None:
    first = registered(registry, display_name)
    second = registered(registry, display_name, version_aliases=["canary"])

    assert second.resource_name == first.resource_name
    assert registry.get_model(display_name).version_id == "2"
    assert registry.get_model(f"{display_name}@1").version_id == "1"
    assert registry.get_model(f"{display_name}@canary").version_id == "2"
    assert [one.version_id for one in registry.list_versions(display_name)] == [
        "1",
        "2",
    ]


def test_a_star_in_a_display_name_is_no_pattern(registry: ModelRegistry) -> None:
    registered(registry, "stars and bars")

    with pytest.raises(errors.NotFoundError, match="no model is called 'stars\\*'"):
        registry.get_model("stars*")


def test_the_latest_version_is_the_highest_number(registry: ModelRegistry) -> None:
    for _ in range(11):
        registered(registry, "eleven", is_default_version=False)

    assert registry.get_latest("eleven").version_id == "11"
    assert registry.get_model("eleven").version_id == "1"


def test_a_parent_model_gets_the_version_whatever_its_name(
    registry: ModelRegistry,
) -> None:
    first = registered(registry, "parent")

    second = registered(registry, "another name", parent_model="parent")

    assert second.resource_name == first.resource_name
    assert second.version_id == "2"


def test_models_of_one_display_name_are_told_apart_by_their_ids(
    shared_server: Server, registry: ModelRegistry
) -> None:
    path = "/v1/projects/p/locations/us-central1/models:upload"
    model = {"displayName": "twins", "containerSpec": {"imageUri": IMAGE}}
    for _ in range(2):
        _, operation = shared_server.call("POST", path, {"model": model})
        shared_server.wait(operation)

    with pytest.raises(
        errors.InvalidArgumentError, match="2 models are called 'twins'"
    ):
        registry.get_model("twins")


def test_a_container_is_registered_with_what_it_needs(
    shared_server: Server, registry: ModelRegistry
) -> None:
    version = registered(
        registry,
        "contained",
        serving_container_environment_variables={"A": "b"},
        container_spec={"predictRoute": "/predict", "ports": [{"containerPort": 9}]},
    )

    _, found = shared_server.call("GET", f"/v1/{version.versioned_name}")
    assert found["containerSpec"] == {
        "imageUri": IMAGE,
        "env": [{"name": "A", "value": "b"}],
        "ports": [{"containerPort": 9}],
        "predictRoute": "/predict",
    }


def test_an_alias_moves_and_goes(registry: ModelRegistry) -> None:
    registered(registry, "aliased")
    registered(registry, "aliased")

    registry.set_alias("aliased@1", "production")
    moved = registry.set_alias("aliased@2", "production")
    gone = registry.remove_alias("aliased", "production")

    assert "production" in moved.aliases
    assert "production" not in gone.aliases
    with pytest.raises(errors.NotFoundError, match="has the alias 'production'"):
        registry.remove_alias("aliased", "production")


def refusals(registry: ModelRegistry, folder: pathlib.Path) -> Iterator[Any]:
    endpoints, jobs = registry.endpoints, registry.batch_predictions
    not_found, wrong = errors.NotFoundError, errors.InvalidArgumentError
    yield (
        not_found,
        "no model is called 'nothing'",
        lambda: registry.get_model("nothing"),
    )
    yield not_found, "nothing", lambda: registry.lineage("nothing@2")
    yield not_found, "nothing", lambda: endpoints.get("nothing")
    yield not_found, "nothing", lambda: endpoints.predict("nothing", [1])
    yield not_found, "nothing", lambda: jobs.get("nothing")
    yield wrong, "is not there", lambda: registry.upload_model("m", folder / "none.mar")
    yield (
        not_found,
        "no-such-bucket",
        lambda: registry.upload_model("m", "gs://no-such-bucket/m"),
    )
    yield wrong, "label 'A B'", lambda: registered(registry, "m", labels={"A B": "c"})
    yield wrong, "one of two", lambda: jobs.create("given")
    yield wrong, "is no file", lambda: jobs.create("given", str(folder / "none"))
    yield wrong, "nan at", lambda: jobs.create("given", instances=[float("nan")])
    yield wrong, "1 to 100", lambda: registry.deploy("given", traffic_percent=0)


def test_words_and_labels_are_changed_where_they_are_given(
    registry: ModelRegistry,
) -> None:
    first = registered(registry, "before", labels={"team": "a"}, description="old")
    registered(registry, "before")

    registry.update_model(first, display_name="after", description="new")
    changed = registry.update_model("after@1", labels={"team": "b"})
    told = registry.update_model(
        first, version_description="first", labels={"team": "c"}
    )
    endpoint = registry.endpoints.create("plain", labels={"team": "a"})
    updated = registry.endpoints.update(endpoint, description="for tests")

    assert (changed.display_name, changed.description) == ("after", "new")
    assert (changed.version_id, changed.labels) == ("1", {"team": "b"})
    assert (told.version_id, told.version_description) == ("1", "first")
    assert told.labels == {"team": "c"}
    assert registry.get_model("after@2").labels == {}
    assert (updated.display_name, updated.labels) == ("plain", {"team": "a"})
    assert updated.description == "for tests"
    with pytest.raises(errors.InvalidArgumentError, match="give one of displayName"):
        registry.update_model(first)


def test_what_cannot_be_is_refused_in_one_sentence(
    registry: ModelRegistry, tmp_path: pathlib.Path
) -> None:
    registered(registry, "given")

    for kind, said, call in refusals(registry, tmp_path):
        refuse: Callable[[], object] = call
        with pytest.raises(kind, match=said):
            refuse()


def test_a_failed_deployment_leaves_no_endpoint_that_was_made_for_it(
    registry: ModelRegistry,
) -> None:
    image = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"
    version = registry.upload_model("of no runtime", serving_container_image_uri=image)
    kept = registry.endpoints.create("there before")

    with pytest.raises(errors.UnimplementedError):
        registry.deploy(version, "made for it")
    with pytest.raises(errors.UnimplementedError):
        registry.deploy(version, kept)

    assert not registry.endpoints.list_endpoints('display_name="made for it"')
    assert registry.endpoints.get(kept).display_name == "there before"
