"""Every instance has one line: with its prediction, or with its error."""

import json
from typing import Any

import hypothesis
import orjson
import pytest
from hypothesis import strategies as st

from homeport.errors import Code, HandlerError
from homeport.jobs import outputs
from homeport.jobs.outputs import Answered
from homeport.jobs.rows import Failed, Rows
from homeport.resources.batch_job import PredictionsFormat
from homeport.resources.operation import Failure

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@hypothesis.given(st.lists(JSON_VALUES, min_size=1, max_size=4))
def test_an_answer_is_split_into_its_predictions(predictions: list[Any]) -> None:
    found = outputs.split(orjson.dumps(predictions), len(predictions))

    assert [orjson.loads(one) for one in found] == predictions


@pytest.mark.parametrize(
    "payload", [b"[[1,2],[3]]", b"[[1],[2],[3]]", b"[[1,[2]],[3]]", b'["],[",2]']
)
def test_another_number_of_predictions_is_refused(payload: bytes) -> None:
    predictions = len(json.loads(payload))

    with pytest.raises(
        HandlerError, match=f"{predictions} predictions for {predictions + 1} instances"
    ):
        outputs.split(payload, predictions + 1)


def test_numbers_stay_as_the_model_wrote_them() -> None:
    found = outputs.split(b"[[1.10,2e0],[123456789012345678901234567890]]", 2)

    assert found == [b"[1.10,2e0]", b"[123456789012345678901234567890]"]


def test_results_as_jsonl_have_the_instance_or_its_key() -> None:
    sent, told = [b"[1]", b"[2]"], [b"7", b'"eight"']
    predictions = [b"[0.5]", b'{"a":1}']

    plain = Answered(Rows(sent, sent), predictions)
    keyed = Answered(Rows(sent, told, keyed=True), predictions)

    assert outputs.results(plain, PredictionsFormat.JSONL) == (
        b'{"instance":[1],"prediction":[0.5]}\n{"instance":[2],"prediction":{"a":1}}\n'
    )
    assert outputs.results(keyed, PredictionsFormat.JSONL) == (
        b'{"key":7,"prediction":[0.5]}\n{"key":"eight","prediction":{"a":1}}\n'
    )


def test_results_as_csv_have_the_columns() -> None:
    answered = Answered(
        Rows([b"[]", b"[]"], [b"[]", b"[]"], [b'1,"a"', b'2,"b"']),
        [b"0.5", b'["x"]'],
    )

    assert (
        outputs.header(("n", 'a "b"'), keyed=False) == b'"n","a ""b""","prediction"\n'
    )
    assert outputs.header(("n", "id"), keyed=True) == b'"key","prediction"\n'
    assert outputs.results(answered, PredictionsFormat.CSV) == (
        b'1,"a",0.5\n2,"b","[""x""]"\n'
    )


def test_an_error_has_code_and_message() -> None:
    failure = Failure(Code.INTERNAL, 'the handler raised "x"')

    assert json.loads(outputs.error(Failed(b"[1]", failure))) == {
        "instance": [1],
        "error": {"code": 13, "message": 'the handler raised "x"'},
    }
    assert json.loads(outputs.error(Failed(b"7", failure, keyed=True)))["key"] == 7
