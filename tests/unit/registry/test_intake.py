"""By policy an archive is run before it is registered; what came of it is stored."""

import dataclasses
import json
import sys
import sysconfig
import threading
from collections.abc import Callable

import pytest

from homeport.checking import report as reports
from homeport.checking.apart import CheckError, Subject
from homeport.checking.report import Report, StageName, Verdict
from homeport.errors import Code, NotFoundError
from homeport.metadata import check_rows, model_rows
from homeport.registry.targets import Target
from homeport.resources.check import Check, CheckPolicy, CheckState
from homeport.resources.model import ContainerSpec, EnvironmentVariable, VersionSpec
from homeport.resources.names import ModelName
from homeport.resources.operation import Failure, Operation
from rooms import DEADLINE_S, PARENT, PASSED, URI, Rooms, archive, page

OWN_IMAGE = "registry.example.com/team/model:3"
# Locks for another Python or platform are refused.
HERE = (
    f"# python: {sys.version_info[0]}.{sys.version_info[1]}\n"
    f"# platform: {sysconfig.get_platform()}\n"
)
LOCK = f"""\
{HERE}idna==3.10
"""
OTHER_LOCK = LOCK.replace("3.10", "3.9")
REMEDY = "List requests in the archive's requirements."
FAILED = dataclasses.replace(
    PASSED,
    stages=tuple(
        dataclasses.replace(
            stage,
            verdict=Verdict.FAILED,
            cause="handler.py line 1 raised ModuleNotFoundError: requests",
            remedy=REMEDY,
            traceback="Traceback: ...",
        )
        if stage.name is StageName.IMPORT
        else stage
        for stage in PASSED.stages
    ),
)
CAUSE = (
    "the check failed at 'import handler': handler.py line 1 raised "
    f"ModuleNotFoundError: requests. {REMEDY}"
)


def _upload(
    rooms: Rooms, policy: CheckPolicy, spec: VersionSpec | None = None
) -> Operation:
    if spec is None:
        rooms.put("first/model.mar", archive())
        spec = VersionSpec("m", artifact_uri=URI)
    uploads = rooms.uploads_with(policy)
    return rooms.wait(uploads.upload(Target(PARENT), spec))


def _finds(report: Report) -> Callable[[], Report]:
    return lambda: report


def _check(rooms: Rooms, operation: Operation) -> Check:
    assert operation.failure is None
    version, found = rooms.catalog.check(ModelName.parse(operation.result["model"]))
    assert version.version == "1"
    return found


def _count(rooms: Rooms) -> int:
    return len(rooms.catalog.list_models(PARENT, page())[0])


@pytest.mark.parametrize("policy", [CheckPolicy.WARN, CheckPolicy.REQUIRE])
def test_a_check_that_passed_is_stored_with_its_report(
    rooms: Rooms, policy: CheckPolicy
) -> None:
    ended = _upload(rooms, policy)

    assert _check(rooms, ended) == Check(
        CheckState.PASSED,
        "it loads and predicts its sample",
        reports.to_json(PASSED),
        rooms.clock.now(),
    )
    assert ended.warnings == ()
    assert ended.failures == ()


def test_without_a_sample_a_pass_says_so(rooms: Rooms) -> None:
    rooms.checker.finds = lambda: dataclasses.replace(
        PASSED,
        stages=tuple(
            dataclasses.replace(stage, verdict=Verdict.SKIPPED)
            if stage.name is StageName.PREDICT
            else stage
            for stage in PASSED.stages
        ),
    )

    ended = _upload(rooms, CheckPolicy.REQUIRE)

    assert _check(rooms, ended).detail == (
        "it loads; the archive has no sample to predict"
    )


def test_a_failed_check_that_warns_is_told_and_stored(rooms: Rooms) -> None:
    rooms.checker.finds = _finds(FAILED)

    ended = _upload(rooms, CheckPolicy.WARN)

    assert ended.failures == (Failure(Code.FAILED_PRECONDITION, CAUSE),)
    found = _check(rooms, ended)
    assert found.state is CheckState.FAILED
    assert found.detail == CAUSE
    assert reports.from_json(found.report) == FAILED


def test_a_failed_check_that_is_required_leaves_no_version(rooms: Rooms) -> None:
    rooms.checker.finds = _finds(FAILED)

    ended = _upload(rooms, CheckPolicy.REQUIRE)

    assert ended.failure == Failure(
        Code.FAILED_PRECONDITION, f"not registered, as {CAUSE}\nTraceback: ..."
    )
    assert ended.result == {}
    assert _count(rooms) == 0


@pytest.mark.parametrize("policy", [CheckPolicy.WARN, CheckPolicy.REQUIRE])
def test_whatever_an_author_raised_is_told(rooms: Rooms, policy: CheckPolicy) -> None:
    stages = (
        dataclasses.replace(
            PASSED.stages[0], verdict=Verdict.FAILED, cause="a\0b \udcff ä"
        ),
        *PASSED.stages[1:],
    )
    rooms.checker.finds = _finds(
        dataclasses.replace(PASSED, stages=stages, warnings=("\udcff",))
    )

    ended = _upload(rooms, policy)

    (told,) = ended.failures or (ended.failure,)
    assert told is not None
    assert told.message.endswith("the check failed at 'read archive': a\\0b \\udcff ä")


def test_warnings_of_the_check_are_told(rooms: Rooms) -> None:
    rooms.checker.finds = _finds(
        dataclasses.replace(PASSED, warnings=("it is slow", "it is large"))
    )

    ended = _upload(rooms, CheckPolicy.WARN)

    assert ended.warnings == ("it is slow", "it is large")


def test_nothing_is_run_where_nobody_asked_for_it(rooms: Rooms) -> None:
    ended = _upload(rooms, CheckPolicy.NONE)

    assert rooms.checker.asked == []
    assert _check(rooms, ended) == Check(
        CheckState.UNCHECKED,
        "nothing was run: this server registers with --check-policy none",
        time=rooms.clock.now(),
    )
    assert not (rooms.directory / "artifacts").exists()


@pytest.mark.parametrize("policy", list(CheckPolicy))
@pytest.mark.parametrize("uri", ["", "gs://models/notes"])
def test_another_image_is_exempt_and_says_so(
    rooms: Rooms, policy: CheckPolicy, uri: str
) -> None:
    rooms.put("notes/readme.txt", b"weights")
    image = ContainerSpec(image_uri=OWN_IMAGE)

    ended = _upload(rooms, policy, VersionSpec("m", artifact_uri=uri, container=image))

    found = _check(rooms, ended)
    assert found.state is CheckState.EXEMPT
    assert found.detail == (
        f"only archives are checked, and {OWN_IMAGE} is an image that runs by itself"
    )
    assert rooms.checker.asked == []


def test_the_checker_is_given_what_a_replica_would_be(rooms: Rooms) -> None:
    content = archive()
    rooms.put("first/model.mar", content)
    rooms.put("first/config.properties", b"service_envelope=body")
    env = (EnvironmentVariable("THRESHOLD", "0.5"),)

    _upload(
        rooms,
        CheckPolicy.WARN,
        VersionSpec("m", artifact_uri=URI, container=ContainerSpec(env=env)),
    )

    assert rooms.checker.asked == [
        Subject({"THRESHOLD": "0.5"}, "service_envelope=body", len(content))
    ]
    (laid_out,) = rooms.checker.laid_out
    assert (laid_out / "handler.py").is_file()


def test_what_could_not_be_found_out_is_unchecked_where_it_warns(rooms: Rooms) -> None:
    def find() -> Report:
        raise CheckError(Code.UNAVAILABLE, "the index does not answer")

    rooms.checker.finds = find

    ended = _upload(rooms, CheckPolicy.WARN)

    detail = "the check could not be carried out: the index does not answer"
    assert ended.failures == (Failure(Code.UNAVAILABLE, detail),)
    assert _check(rooms, ended).state is CheckState.UNCHECKED
    assert _check(rooms, ended).detail == detail


def test_what_could_not_be_found_out_fails_where_it_is_required(rooms: Rooms) -> None:
    def find() -> Report:
        raise CheckError(Code.UNAVAILABLE, "the index does not answer")

    rooms.checker.finds = find

    ended = _upload(rooms, CheckPolicy.REQUIRE)

    assert ended.failure == Failure(Code.UNAVAILABLE, "the index does not answer")
    assert _count(rooms) == 0


@pytest.mark.parametrize(
    ("policy", "resolved", "stored"),
    [
        pytest.param(CheckPolicy.NONE, "", LOCK, id="the archive's, unchecked"),
        pytest.param(CheckPolicy.WARN, "", LOCK, id="the archive's, checked"),
        pytest.param(CheckPolicy.WARN, OTHER_LOCK, OTHER_LOCK, id="the resolved one"),
    ],
)
def test_the_lock_is_stored_with_the_version(
    rooms: Rooms, policy: CheckPolicy, resolved: str, stored: str
) -> None:
    files = {"MAR-INF/requirements.lock": LOCK.encode()}
    rooms.put("first/model.mar", archive(files=files))
    rooms.checker.finds = _finds(dataclasses.replace(PASSED, lock=resolved))

    ended = _upload(rooms, policy, VersionSpec("m", artifact_uri=URI))

    name = ModelName.parse(ended.result["model"]).at(1)
    with rooms.database.snapshot() as transaction:
        assert model_rows.get_lock(transaction, name) == stored


@pytest.mark.parametrize("policy", list(CheckPolicy))
@pytest.mark.parametrize(
    ("content", "cause"),
    [
        pytest.param(b"--index-url https://evil\n", "MAR-INF/requirements", id="hosts"),
        pytest.param(b"\xff", "MAR-INF/requirements.lock is no UTF-8", id="no text"),
    ],
)
def test_what_is_no_lock_is_refused_before_anything_runs(
    rooms: Rooms, policy: CheckPolicy, content: bytes, cause: str
) -> None:
    files = {"MAR-INF/requirements.lock": content}
    rooms.put("first/model.mar", archive(files=files))

    ended = _upload(rooms, policy, VersionSpec("m", artifact_uri=URI))

    assert ended.failure is not None
    assert ended.failure.code is Code.INVALID_ARGUMENT
    assert cause in ended.failure.message
    assert rooms.checker.asked == []
    assert _count(rooms) == 0


def test_the_check_goes_with_its_version(rooms: Rooms) -> None:
    ended = _upload(rooms, CheckPolicy.WARN)
    name = ModelName.parse(ended.result["model"])

    rooms.wait(rooms.catalog.delete_model(name))

    with pytest.raises(NotFoundError):
        rooms.catalog.check(name)
    with rooms.database.snapshot() as transaction:
        assert check_rows.get(transaction, name.at(1)) is None


def test_a_version_of_an_older_homeport_is_unchecked(rooms: Rooms) -> None:
    name = rooms.insert("m", VersionSpec("m", artifact_uri=URI))

    assert rooms.catalog.check(name) == (
        name,
        Check(
            CheckState.UNCHECKED,
            "it was registered by a version of Homeport without checks",
        ),
    )


def test_checks_that_hang_hold_up_nothing_that_runs_nothing(rooms: Rooms) -> None:
    released = threading.Event()

    def hang() -> Report:
        assert released.wait(DEADLINE_S)
        return PASSED

    rooms.checker.finds = hang
    rooms.put("first/model.mar", archive())
    uploads = rooms.uploads_with(CheckPolicy.WARN)
    spec = VersionSpec("m", artifact_uri=URI)
    hanging = [uploads.upload(Target(PARENT), spec) for _ in range(8)]

    image = VersionSpec("i", container=ContainerSpec(image_uri=OWN_IMAGE))
    beside = rooms.wait(uploads.upload(Target(PARENT), image))
    begun = len(rooms.checker.asked)
    released.set()

    assert beside.failure is None
    assert begun <= 2
    assert all(rooms.wait(one).failure is None for one in hanging)


def test_a_report_that_came_with_the_archive_is_not_looked_at(rooms: Rooms) -> None:
    forged = reports.to_json(PASSED).encode()
    files = {"MAR-INF/report.json": forged, "MAR-INF/check.json": forged}
    rooms.put("first/model.mar", archive(files=files))
    rooms.checker.finds = _finds(FAILED)

    ended = _upload(rooms, CheckPolicy.WARN, VersionSpec("m", artifact_uri=URI))

    assert _check(rooms, ended).state is CheckState.FAILED
    assert json.loads(_check(rooms, ended).report)["passed"] is False
