"""Evaluations belong to a version, and go with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import InvalidArgumentError, NotFoundError
from homeport.registry.paging import PageRequest
from homeport.resources.evaluation import EvaluationName, Measured, SliceName
from homeport.resources.listing import ListQuery
from homeport.resources.model import VersionSpec
from homeport.resources.names import ModelName, Parent
from rooms import PARENT, Rooms, archive

ID = st.from_regex(r"\A[A-Za-z0-9_-]{1,20}\Z")


def measured(display_name: str = "") -> Measured:
    return Measured(display_name, "gs://b/schema", {"metrics": {"auc": 0.5}})


@pytest.fixture
def model(rooms: Rooms) -> ModelName:
    """A model with two versions, the first of them the default."""
    rooms.put("first/model.mar", archive())
    first = rooms.register()
    rooms.register(parent_model=first.unversioned)
    return first.unversioned


def listed(rooms: Rooms, version: ModelName, **query: str) -> list[str]:
    asked = PageRequest(ListQuery("ListModelEvaluations", str(version), **query))
    found, _ = rooms.evaluations.list_evaluations(version, asked)
    return [one.measured.display_name for one in found]


def slices(rooms: Rooms, name: EvaluationName, size: int = 0, token: str = "") -> int:
    query = ListQuery("ListModelEvaluationSlices", str(name))
    found, _ = rooms.evaluations.list_slices(name, PageRequest(query, token, size))
    return len(found)


@given(model=ID, evaluation=ID, one=ID)
def test_a_name_reads_as_it_is_written(model: str, evaluation: str, one: str) -> None:
    name = EvaluationName(ModelName(Parent("p", "l"), model), evaluation)

    assert EvaluationName.parse(str(name)) == name
    assert SliceName.parse(str(SliceName(name, one))) == SliceName(name, one)


def test_the_name_through_a_version_is_the_same() -> None:
    name = EvaluationName.parse("projects/p/locations/l/models/m@2/evaluations/7")

    assert str(name) == "projects/p/locations/l/models/m/evaluations/7"


@pytest.mark.parametrize(
    "text", ["", "evaluations/7", "projects/p/locations/l/models/m/evaluations/7/x"]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        EvaluationName.parse(text)
    with pytest.raises(InvalidArgumentError):
        SliceName.parse(text)


def test_an_evaluation_is_of_one_version(rooms: Rooms, model: ModelName) -> None:
    first = rooms.evaluations.add(model, measured("of the default"))
    rooms.clock.advance(minutes=1)
    rooms.evaluations.add(model.at(2), measured("of the second"))
    rooms.evaluations.add(model.at(1), measured("again"))

    assert first.version == model.at(1)
    assert listed(rooms, model) == ["of the default", "again"]
    assert listed(rooms, model.at(2)) == ["of the second"]
    assert listed(rooms, model, filter='display_name="again"') == ["again"]
    assert rooms.evaluations.get(first.name) == first


def test_evaluations_go_with_their_version(rooms: Rooms, model: ModelName) -> None:
    one = rooms.evaluations.add(model.at(2), measured())
    (part,) = rooms.evaluations.add_slices(one.name, [measured()])

    rooms.catalog.delete_version(model.at(2))

    with pytest.raises(NotFoundError):
        rooms.evaluations.get(one.name)
    with pytest.raises(NotFoundError):
        rooms.evaluations.get_slice(part.name)


def test_slices_are_kept_all_or_none(rooms: Rooms, model: ModelName) -> None:
    one = rooms.evaluations.add(model, measured())

    made = rooms.evaluations.add_slices(one.name, [measured()] * 50)

    assert slices(rooms, one.name) == 50
    assert slices(rooms, one.name, size=7) == 7
    assert rooms.evaluations.get_slice(made[0].name) == made[0]
    for number in (0, 51):
        with pytest.raises(InvalidArgumentError, match="1 to 50"):
            rooms.evaluations.add_slices(one.name, [measured()] * number)
    assert slices(rooms, one.name) == 50


def test_what_is_not_there_is_not_found(rooms: Rooms, model: ModelName) -> None:
    none = EvaluationName(model, "7")

    for verb in (
        lambda: rooms.evaluations.get(none),
        lambda: rooms.evaluations.add(model.at(9), measured()),
        lambda: rooms.evaluations.add(ModelName(PARENT, "no"), measured()),
        lambda: rooms.evaluations.add_slices(none, [measured()]),
        lambda: rooms.evaluations.get_slice(SliceName(none, "1")),
        lambda: slices(rooms, none),
        lambda: listed(rooms, model.at(9)),
    ):
        with pytest.raises(NotFoundError):
            verb()


def test_a_display_name_has_its_limit(rooms: Rooms) -> None:
    name = rooms.insert("m", VersionSpec("m"))

    with pytest.raises(InvalidArgumentError, match="at most 128"):
        rooms.evaluations.add(name, measured("x" * 129))


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ("slice.dimension = country", ["no", "se"]),
        ("slice.dimension = country AND slice.value = se", ["se"]),
        ("slice.value = old", ["old"]),
        ("slice.dimension = missing", []),
    ],
)
def test_slices_are_found_by_their_part_of_the_data(
    rooms: Rooms, model: ModelName, filter_: str, expected: list[str]
) -> None:
    one = rooms.evaluations.add(model.at(1), measured())
    parts = (("country", "no"), ("country", "se"), ("age", "old"))
    for dimension, value in parts:
        content = {"slice": {"dimension": dimension, "value": value}, "metrics": {}}
        rooms.evaluations.add_slices(one.name, [Measured("", "gs://b/s", content)])

    query = ListQuery("ListModelEvaluationSlices", str(one.name), filter=filter_)
    found, _ = rooms.evaluations.list_slices(one.name, PageRequest(query))

    values = [slice_.measured.content["slice"]["value"] for slice_ in found]
    assert sorted(values) == expected
