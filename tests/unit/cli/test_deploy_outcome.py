"""What `homeport deploy` says of the check that a server has made."""

import json
from typing import Any

import pytest

from homeport.checking import report as reports
from homeport.checking.report import Batching, BatchingProof, Report
from homeport.cli.deploy import outcome

REPORT = Report(
    model_name="digits",
    stages=(),
    batching=BatchingProof(Batching.UNPROVEN, "no sample"),
)


def checked(**changed: Any) -> dict[str, Any]:
    report = {**json.loads(reports.to_json(REPORT)), **changed}
    return {"state": "PASSED", "report": report}


def test_a_report_says_how_the_check_ended() -> None:
    assert outcome(checked()) == REPORT.outcome
    assert REPORT.outcome != "PASSED"


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"format": 2}, id="another format"),
        pytest.param({"stages": [{"name": "unheard of"}]}, id="another stage"),
    ],
)
def test_a_report_that_cannot_be_read_leaves_the_state(changed: dict[str, Any]) -> None:
    assert outcome(checked(**changed)) == "PASSED"


def test_a_check_that_was_not_carried_out_has_a_state_alone() -> None:
    assert outcome({"state": "SKIPPED"}) == "SKIPPED"
