"""An upsert goes to the model of its display name; without one, names may repeat."""

import concurrent.futures
from typing import Any

import pytest

from homeport.errors import Code, InvalidArgumentError
from homeport.registry.targets import Target
from homeport.resources.model import VersionSpec
from homeport.resources.names import ModelName
from homeport.resources.operation import Operation
from rooms import PARENT, URI, Rooms, archive, page


def _upsert(rooms: Rooms, display_name: str = "m", **spec: Any) -> Operation:
    rooms.put("first/model.mar", archive())
    target = Target(PARENT, upsert=True)
    asked = VersionSpec(display_name, artifact_uri=URI, **spec)
    return rooms.wait(rooms.uploads.upload(target, asked))


def test_a_repeated_display_name_is_told(rooms: Rooms) -> None:
    first = rooms.register("m", model_id="first")

    ended = rooms.upload(VersionSpec("m", artifact_uri=URI))

    assert ended.failure is None
    assert first.model not in ended.result["model"]
    assert [one.code for one in ended.failures] == [Code.ALREADY_EXISTS]
    assert "is also that of first: this is a model of its own" in (
        ended.failures[0].message
    )


def test_an_upsert_makes_a_model_then_its_versions(rooms: Rooms) -> None:
    first = _upsert(rooms, description="old", aliases=("production",))

    second = _upsert(rooms, description="new", aliases=("production", "default"))
    third = _upsert(rooms)

    assert first.failures == second.failures == third.failures == ()
    assert first.result["model_version_id"] == "1"
    assert second.result == {**first.result, "model_version_id": "2"}
    assert third.result == {**first.result, "model_version_id": "3"}
    found = rooms.catalog.get(ModelName.parse(first.result["model"]))
    assert found.name.version == "2"
    assert set(found.aliases) == {"default", "production"}
    assert found.description == "new"


def test_an_upsert_takes_the_oldest_of_several_and_says_so(rooms: Rooms) -> None:
    rooms.register("m", model_id="z")
    rooms.clock.advance(hours=1)
    rooms.register("m", model_id="a")

    ended = _upsert(rooms)

    assert ended.result["model"] == f"{PARENT}/models/z"
    assert "is that of z, a: the version was added to the oldest" in (
        ended.failures[0].message
    )


def test_upserts_at_once_make_one_model(rooms: Rooms) -> None:
    rooms.put("first/model.mar", archive())
    spec = VersionSpec("m", artifact_uri=URI)

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        target = Target(PARENT, upsert=True)
        promised = list(
            threads.map(lambda _: rooms.uploads.upload(target, spec), range(16))
        )

    ended = [rooms.wait(one) for one in promised]
    assert len({one.result["model"] for one in ended}) == 1
    ids = sorted(int(one.result["model_version_id"]) for one in ended)
    assert ids == list(range(1, 17))
    assert len(rooms.catalog.list_models(PARENT, page())[0]) == 1


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(Target(PARENT, ModelName(PARENT, "m"), upsert=True), id="parent"),
        pytest.param(Target(PARENT, None, "m", upsert=True), id="chosen id"),
    ],
)
def test_an_upsert_that_names_a_model_is_refused(rooms: Rooms, target: Target) -> None:
    with pytest.raises(InvalidArgumentError, match="leave out parent_model"):
        rooms.uploads.upload(target, VersionSpec("m", artifact_uri=URI))
