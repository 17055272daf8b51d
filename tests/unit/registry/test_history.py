"""Every change is in the history, once, with who, when, what before and after."""

import datetime as dt

import pytest

from homeport.errors import InvalidArgumentError, NotFoundError
from homeport.registry.paging import PageRequest
from homeport.registry.targets import Target
from homeport.resources.change import Change, ChangeAction, ChangeKind
from homeport.resources.evaluation import Measured
from homeport.resources.listing import ListQuery
from homeport.resources.model import ModelPatch, VersionSpec
from homeport.resources.names import ModelName
from rooms import PARENT, T0, URI, Clock, Rooms, archive


def _changes(rooms: Rooms, resource: str = "", filter_: str = "") -> list[Change]:
    """Return the changes, newest first."""
    query = ListQuery("ListChanges", str(PARENT), filter_)
    found, token = rooms.history.list_changes(PARENT, resource, PageRequest(query))
    assert token == ""
    return found


def _told(change: Change) -> tuple[str, str, str, object, object]:
    subject = change.subject
    return (
        subject.kind.value,
        subject.key,
        change.action.value,
        change.before,
        change.after,
    )


def test_an_upload_tells_model_version_and_alias(rooms: Rooms) -> None:
    rooms.put("first/model.mar", archive())
    spec = VersionSpec(
        "m",
        description="of the model",
        version_description="of the version",
        labels={"team": "a"},
        artifact_uri=URI,
    )

    rooms.wait(rooms.uploads.upload(Target(PARENT, None, "m"), spec, caller="ada"))

    alias, version, model = _changes(rooms)
    assert _told(model) == (
        "model",
        "",
        "created",
        None,
        {"displayName": "m", "description": "of the model", "labels": {}},
    )
    assert version.after is not None
    assert dict(version.after) == {
        "versionDescription": "of the version",
        "labels": {"team": "a"},
        "artifactUri": URI,
        "artifactDigest": version.after["artifactDigest"],
        "sizeBytes": len(archive()),
    }
    assert _told(alias) == ("alias", "default", "created", None, {"versionId": "1"})
    assert {one.caller for one in (alias, version, model)} == {"ada"}
    assert {one.time for one in (alias, version, model)} == {T0}
    assert str(model.subject.resource) == "models/m"


def test_a_refused_upload_leaves_no_trace(rooms: Rooms) -> None:
    rooms.put("first/model.mar", b"no archive")

    ended = rooms.upload(VersionSpec("m", artifact_uri=URI))

    assert ended.failure is not None
    assert _changes(rooms) == []


def test_an_alias_that_is_stolen_is_one_change(rooms: Rooms) -> None:
    first = rooms.register(aliases=("production",))
    second = rooms.register(parent_model=first.unversioned)

    rooms.catalog.merge_aliases(second, ("production",), caller="bob")

    newest = _changes(rooms)[0]
    assert _told(newest) == (
        "alias",
        "production",
        "updated",
        {"versionId": "1"},
        {"versionId": "2"},
    )
    assert newest.caller == "bob"


def test_an_alias_that_stays_is_no_change(rooms: Rooms) -> None:
    first = rooms.register(aliases=("production",))
    before = len(_changes(rooms))

    rooms.catalog.merge_aliases(first, ("production", "default"))

    assert len(_changes(rooms)) == before


@pytest.mark.parametrize(
    ("version", "patch", "told"),
    [
        pytest.param(
            "",
            ModelPatch(display_name="n", labels={"a": "b"}),
            (
                "model",
                "",
                "updated",
                {"displayName": "m", "description": "", "labels": {}},
                {"displayName": "n", "description": "", "labels": {"a": "b"}},
            ),
            id="of the model",
        ),
        pytest.param(
            "1",
            ModelPatch(version_description="n"),
            (
                "version",
                "1",
                "updated",
                {"versionDescription": "", "labels": {}},
                {"versionDescription": "n", "labels": {}},
            ),
            id="of a version",
        ),
    ],
)
def test_an_update_tells_its_level_before_and_after(
    rooms: Rooms, version: str, patch: ModelPatch, told: tuple[object, ...]
) -> None:
    name = rooms.register()

    rooms.catalog.update(name.at(version), patch, caller="ada")

    assert _told(_changes(rooms)[0]) == told


def test_what_is_deleted_keeps_its_history(rooms: Rooms) -> None:
    first = rooms.register(model_id="m")
    second = rooms.register(parent_model=first.unversioned, aliases=("beta",))
    rooms.catalog.delete_version(second, caller="ada")

    rooms.catalog.delete_model(first.unversioned, caller="bob")

    newest = [_told(one)[:3] for one in _changes(rooms, "models/m")[:5]]
    assert newest == [
        ("model", "", "deleted"),
        ("version", "1", "deleted"),
        ("alias", "default", "deleted"),
        ("version", "2", "deleted"),
        ("alias", "beta", "deleted"),
    ]


def test_a_copy_and_an_evaluation_are_told(rooms: Rooms) -> None:
    source = rooms.register(model_id="m")
    rooms.transfers.copy(source, Target(PARENT, None, "n"), caller="ada")

    rooms.evaluations.add(source, Measured("fair", "", {}), caller="bob")

    evaluation = _changes(rooms, "models/m")[0]
    assert evaluation.subject.kind is ChangeKind.EVALUATION
    assert evaluation.after == {"versionId": "1", "displayName": "fair"}
    copied = _changes(rooms, "models/n", "kind=version")[0]
    assert copied.caller == "ada"
    assert (copied.after or {})["copiedFrom"] == str(source)


def test_slices_of_an_evaluation_are_told_by_their_number(rooms: Rooms) -> None:
    version = rooms.register(model_id="m")
    made = rooms.evaluations.add(version, Measured("fair", "", {}))
    slices = [Measured("", "gs://b/s", {})] * 2

    rooms.evaluations.add_slices(made.name, slices, caller="cleo")

    newest = _changes(rooms)[0]
    assert newest.caller == "cleo"
    assert _told(newest) == (
        "evaluation",
        made.name.evaluation,
        "updated",
        {"versionId": "1", "displayName": "fair", "sliceCount": 0},
        {"versionId": "1", "displayName": "fair", "sliceCount": 2},
    )


def test_changes_are_found_by_their_fields_and_in_pages(rooms: Rooms) -> None:
    name = rooms.register(model_id="m")
    rooms.clock.advance(hours=1)
    rooms.catalog.merge_aliases(name, ("beta",), caller="ada")
    rooms.register(model_id="n")
    later = 'time>"2026-01-01T00:30:00Z"'

    assert len(_changes(rooms)) == 7
    assert [one.subject.key for one in _changes(rooms, "", "caller=ada")] == ["beta"]
    assert len(_changes(rooms, "", later)) == 4
    assert len(_changes(rooms, "models/m", f"{later} AND action=created")) == 1

    query = ListQuery("ListChanges", str(PARENT))
    seen: list[int] = []
    token = ""
    while True:
        page = PageRequest(query, token, 2)
        found, token = rooms.history.list_changes(PARENT, "", page)
        seen += [one.sequence for one in found]
        if not token:
            break
    assert seen == [7, 6, 5, 4, 3, 2, 1]


def test_the_history_answers_what_was_production_on_tuesday(rooms: Rooms) -> None:
    first = rooms.register(aliases=("production",))
    model = first.unversioned
    rooms.clock.advance(days=7)
    second = rooms.register(parent_model=model)
    rooms.catalog.merge_aliases(second, ("production",), caller="bob")
    rooms.clock.advance(days=7)
    rooms.catalog.merge_aliases(second, ("-production",))

    def version_at(day: int) -> str:
        time = dt.datetime(2026, 1, day, 12, tzinfo=dt.UTC)
        return rooms.history.alias_at(model, "production", time).version

    assert [version_at(day) for day in (1, 7, 8, 14, 15)] == ["1", "1", "2", "2", ""]
    point = rooms.history.alias_at(model, "production")
    assert point.version == ""
    assert point.change.action is ChangeAction.DELETED


def test_before_it_was_given_nobody_is_known_to_have_had_an_alias(
    rooms: Rooms,
) -> None:
    model = rooms.register(aliases=("production",)).unversioned

    with pytest.raises(NotFoundError, match="history begins later"):
        rooms.history.alias_at(model, "production", T0 - dt.timedelta(seconds=1))
    with pytest.raises(NotFoundError):
        rooms.history.alias_at(ModelName(PARENT, "none"), "production")
    with pytest.raises(InvalidArgumentError):
        rooms.history.alias_at(model, "7")


def test_what_another_server_changed_is_known_now_though_its_clock_goes_ahead(
    rooms: Rooms,
) -> None:
    ahead = Rooms(rooms.directory, rooms.rows_url, Clock(T0 + dt.timedelta(minutes=1)))
    first = rooms.register(aliases=("production",))
    second = rooms.register(parent_model=first.unversioned)

    ahead.catalog.merge_aliases(second, ("production",))
    ahead.close()

    model = first.unversioned
    assert rooms.history.alias_at(model, "production").version == "2"
    assert rooms.history.alias_at(model, "production", T0).version == "1"
