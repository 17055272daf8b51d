"""A version that came without a lock gets one, which its history tells."""

import dataclasses
import sys
import sysconfig
from collections.abc import Callable

import pytest

from homeport.checking.ending import Ending
from homeport.checking.report import Report
from homeport.errors import AbortedError, NotFoundError
from homeport.metadata import model_rows
from homeport.registry.intake import Intake
from homeport.registry.latelocks import LateLocks
from homeport.registry.paging import PageRequest
from homeport.resources.check import CheckPolicy
from homeport.resources.listing import ListQuery
from homeport.resources.model import ModelVersion, VersionSpec
from homeport.resources.names import ModelName
from rooms import PARENT, PASSED, URI, Rooms, requiring

NAME = ModelName(PARENT, "m", "1")
LOCK = (
    f"# python: {sys.version_info[0]}.{sys.version_info[1]}\n"
    f"# platform: {sysconfig.get_platform()}\n"
    "idna==3.10\n"
)
LOCKED = dataclasses.replace(PASSED, lock=LOCK)


@pytest.fixture
def version(rooms: Rooms) -> ModelVersion:
    """A version with requirements, which nobody has checked."""
    rooms.put("first/model.mar", requiring())
    spec = VersionSpec("m", artifact_uri=URI)
    assert rooms.upload(spec, model_id="m").failure is None
    return rooms.catalog.get(NAME)


def _make(rooms: Rooms, version: ModelVersion, finds: Callable[[], Report]) -> str:
    rooms.checker.finds = finds
    now = rooms.clock.now
    intake = Intake(rooms.artifacts, rooms.checker, CheckPolicy.WARN, now)
    assert version.artifact is not None
    late_locks = LateLocks(rooms.database, intake, now)
    return late_locks.make(version, version.artifact, Ending())


def test_the_lock_is_kept_and_the_history_tells_it(
    rooms: Rooms, version: ModelVersion
) -> None:
    made = _make(rooms, version, lambda: LOCKED)

    with rooms.database.snapshot() as transaction:
        kept = model_rows.get_lock(transaction, NAME)
    query = ListQuery("ListChanges", str(PARENT))
    changes, _ = rooms.history.list_changes(PARENT, "models/m", PageRequest(query))
    told = changes[0]
    assert made == kept == LOCK
    assert (told.subject.kind.value, told.subject.key) == ("version", "1")
    assert (told.caller, told.action.value) == ("homeport", "updated")
    assert told.before is not None
    assert told.after is not None
    assert told.before["checkState"] == "unchecked"
    assert told.before["lockDigest"] == ""
    assert told.after["checkState"] == "passed"
    assert len(told.after["lockDigest"]) == 64


def test_a_version_that_is_deleted_meanwhile_is_not_found(
    rooms: Rooms, version: ModelVersion
) -> None:
    def delete_and_find() -> Report:
        rooms.catalog.delete_model(NAME.unversioned)
        return LOCKED

    with pytest.raises(NotFoundError, match="models/m"):
        _make(rooms, version, delete_and_find)


def test_a_version_that_has_another_ones_name_by_then_does_not_get_its_lock(
    rooms: Rooms, version: ModelVersion
) -> None:
    def replace_and_find() -> Report:
        rooms.catalog.delete_model(NAME.unversioned)
        rooms.put("second/model.mar", requiring("idna==3.9"))
        spec = VersionSpec("m", artifact_uri=URI.replace("first", "second"))
        assert rooms.upload(spec, model_id="m").failure is None
        return LOCKED

    with pytest.raises(AbortedError, match="models/m@1 is another version by now"):
        _make(rooms, version, replace_and_find)

    with rooms.database.snapshot() as transaction:
        assert model_rows.get_lock(transaction, NAME) == ""
