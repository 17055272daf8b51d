"""The stages of a check are noted once, in order, until one fails."""

import pytest

from homeport.checking import failures
from homeport.checking.course import Course, StageFailedError
from homeport.checking.failures import Failure
from homeport.checking.report import Stage, StageName, Verdict
from homeport.errors import InvalidArgumentError, ResourceExhaustedError


def test_a_failure_ends_the_course_and_the_rest_is_skipped() -> None:
    told: list[Stage] = []
    course = Course(told.append, {})

    with pytest.raises(StageFailedError), course.stage(StageName.READ):
        raise InvalidArgumentError("the archive is empty: pack it again")
    course.end()

    assert [stage.name for stage in course.stages] == list(StageName)
    assert told == list(course.stages)
    first, second, *_ = course.stages
    assert first.verdict is Verdict.FAILED
    assert first.cause == "the archive is empty: pack it again"
    assert second.verdict is Verdict.SKIPPED
    assert second.detail == "read archive failed"


def test_a_stage_that_ends_has_passed_with_its_detail() -> None:
    course = Course(lambda _: None, {})

    with course.stage(StageName.READ) as running:
        running.detail = "3 files"

    (stage,) = course.stages
    assert (stage.verdict, stage.detail) == (Verdict.PASSED, "3 files")
    assert stage.seconds > 0


def test_a_fault_of_this_machine_is_no_fault_of_the_archive() -> None:
    course = Course(lambda _: None, {})

    with (
        pytest.raises(ResourceExhaustedError),
        course.stage(StageName.READ, (ResourceExhaustedError,)),
    ):
        raise ResourceExhaustedError("the disk is full: free some")

    assert course.stages == ()


def test_no_stage_tells_the_values_of_the_environment() -> None:
    course = Course(lambda _: None, {"TOKEN": "hunter22"})
    failure = Failure("it raised hunter22", "Correct it.", "x = 'hunter22'", "hunter22")

    with pytest.raises(StageFailedError):
        course.fail(StageName.READ, 0.1, failure)

    (stage,) = course.stages
    assert stage == Stage(
        StageName.READ,
        Verdict.FAILED,
        0.1,
        "[TOKEN]",
        "it raised [TOKEN]",
        "Correct it.",
        "x = '[TOKEN]'",
    )


def test_half_a_character_is_not_kept() -> None:
    course = Course(lambda _: None, {})

    course.skip(StageName.READ, "a\ud800b")

    assert course.stages[0].detail == "a?b"


def test_a_stage_out_of_order_is_a_mistake_of_ours() -> None:
    course = Course(lambda _: None, {})

    with pytest.raises(RuntimeError, match="predict was noted where read archive"):
        course.pass_(StageName.PREDICT, 0.0)


def test_a_worker_that_was_killed_is_told_with_what_it_printed_last() -> None:
    failure = failures.ended(StageName.LOAD, "killed by SIGKILL", ["one", "two"])

    assert failure.cause == (
        "the worker process was killed by SIGKILL while it loaded the model"
    )
    assert failure.detail == "it printed last: one / two"
