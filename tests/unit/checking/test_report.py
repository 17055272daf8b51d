"""A report is a value: it survives JSON, and knows whether the archive passed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.checking import report
from homeport.checking.report import (
    Batching,
    BatchingProof,
    Measures,
    Report,
    Stage,
    StageName,
    Verdict,
)
from homeport.errors import InvalidArgumentError

UNPROVEN = BatchingProof(Batching.UNPROVEN, "there is no sample")
seconds = st.floats(0, 1e6)
counts = st.integers(0, 2**60)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
stages = st.builds(
    Stage,
    st.sampled_from(StageName),
    st.sampled_from(Verdict),
    seconds,
    detail=texts,
    cause=texts,
    remedy=texts,
    traceback=texts,
)
reports = st.builds(
    Report,
    model_name=texts,
    stages=st.lists(stages, max_size=4).map(tuple),
    batching=st.builds(BatchingProof, st.sampled_from(Batching), texts),
    measures=st.builds(
        Measures,
        archive_bytes=st.none() | counts,
        peak_memory_bytes=st.none() | counts,
        load_s=st.none() | seconds,
        latency_s=st.none() | seconds,
    ),
    lock=texts,
    warnings=st.lists(texts, max_size=2).map(tuple),
)


@given(reports)
def test_a_report_survives_json(one: Report) -> None:
    assert report.from_json(report.to_json(one)) == one


def test_a_report_passes_when_no_stage_failed() -> None:
    read = Stage(StageName.READ, Verdict.PASSED, 0.1)
    skipped = Stage(StageName.PREDICT, Verdict.SKIPPED, detail="there is no sample")

    one = Report(model_name="m", stages=(read, skipped), batching=UNPROVEN)

    assert one.passed
    assert one.failure is None


@pytest.mark.parametrize(
    ("predict", "outcome"),
    [
        pytest.param(Verdict.PASSED, "passed", id="a sample was predicted"),
        pytest.param(Verdict.FAILED, "failed", id="a sample was not"),
        pytest.param(
            Verdict.SKIPPED,
            "passed, as far as loading goes: nothing was predicted, there was no "
            "sample",
            id="no sample",
        ),
    ],
)
def test_a_report_says_what_it_does_not_prove(predict: Verdict, outcome: str) -> None:
    stages = (Stage(StageName.LOAD, Verdict.PASSED), Stage(StageName.PREDICT, predict))

    one = Report(model_name="m", stages=stages, batching=UNPROVEN)

    assert one.outcome == outcome


def test_a_report_names_the_stage_that_failed() -> None:
    read = Stage(StageName.READ, Verdict.PASSED, 0.1)
    load = Stage(StageName.LOAD, Verdict.FAILED, 0.2, cause="no such file")

    one = Report(model_name="m", stages=(read, load), batching=UNPROVEN)

    assert not one.passed
    assert one.failure == load


def test_programs_read_the_result_and_the_locks_digest_at_the_top() -> None:
    one = Report(model_name="m", stages=(), batching=UNPROVEN, lock="torch==2.9.0\n")

    document = json.loads(report.to_json(one))

    assert document["format"] == 1
    assert document["passed"] is True
    assert document["lock_digest"] == (
        "44d3c93f4ad01185aae3f7ad339da4c9f5799739bb74bc84c9e60795fb254ec9"
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("[]", id="no object"),
        pytest.param("{}", id="empty"),
        pytest.param('{"format": 2}', id="another format"),
        pytest.param("[" * 100_000, id="nested without end"),
    ],
)
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="no report of a check in format 1"):
        report.from_json(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model_name", 1),
        ("stages", [{"name": "no such stage"}]),
        ("batching", {"verdict": "maybe", "reason": ""}),
        ("measures", {"archive_bytes": "many"}),
        ("warnings", [1]),
    ],
)
def test_a_field_of_the_wrong_kind_is_refused(field: str, value: object) -> None:
    document = json.loads(
        report.to_json(Report(model_name="m", stages=(), batching=UNPROVEN))
    )
    document[field] = value

    with pytest.raises(InvalidArgumentError, match="check the archive again"):
        report.from_json(json.dumps(document))
