"""Predictions differ at one named place, or are equal within the tolerances."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.checking.comparison import Tolerances, first_difference

USUAL = Tolerances(relative=1e-5, absolute=1e-6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(values)
def test_a_value_equals_itself(value: Any) -> None:
    assert first_difference(value, value, USUAL) is None


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        pytest.param([1.0], [1.0000001], id="within the relative tolerance"),
        pytest.param([0.0], [5e-7], id="within the absolute tolerance"),
        pytest.param([1], [1.0], id="whole or not"),
        pytest.param([10**400], [10**400], id="over any float"),
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, id="keys in another order"),
    ],
)
def test_equal_enough(expected: Any, actual: Any) -> None:
    assert first_difference(expected, actual, USUAL) is None


@pytest.mark.parametrize(
    ("expected", "actual", "told"),
    [
        ([1.0], [1.1], "predictions[0] is 1.1 where 1.0 was expected"),
        ([0.0], [2e-6], "predictions[0] is 2e-06 where 0.0 was expected"),
        ([True], [1], "predictions[0] is 1 where true was expected"),
        (["cat"], ["dog"], 'predictions[0] is "dog" where "cat" was expected'),
        (
            [{"label": "cat", "p": [0.5, 0.5]}],
            [{"label": "cat", "p": [0.5, 0.75]}],
            "predictions[0].p[1] is 0.75 where 0.5 was expected",
        ),
        (
            [{"a b": 1}],
            [{}],
            'predictions[0]["a b"] is nothing where 1 was expected',
        ),
        ([{}], [{"k": 1}], "predictions[0].k is 1 where nothing was expected"),
        ([1, 2], [1], "the length of predictions is 1 where 2 was expected"),
        ([[1], 2], [[1, 5], 2], "the length of predictions[0] is 2 where 1 was"),
        ([10**400], [1.0], "predictions[0] is 1.0 where 1000"),
        ([None], [[]], "predictions[0] is [] where null was expected"),
    ],
)
def test_the_first_difference_is_named_with_both_values(
    expected: Any, actual: Any, told: str
) -> None:
    difference = first_difference(expected, actual, USUAL)

    assert str(difference).startswith(told)


def test_tolerances_are_the_callers() -> None:
    assert first_difference([100.0], [109.0], Tolerances(0.1, 0.0)) is None
    assert first_difference([1.0], [1.5], Tolerances(0.0, 0.5)) is None
    assert first_difference([1.0], [1.6], Tolerances(0.0, 0.5)) is not None


def test_a_long_value_is_cut_short() -> None:
    difference = first_difference(["x" * 1000], ["y"], USUAL)

    assert difference is not None
    assert len(difference.expected) < 100


def nested(depth: int, core: object) -> object:
    for _ in range(depth):
        core = [core]
    return core


def test_what_is_nested_without_end_differs() -> None:
    difference = first_difference(nested(5000, 1), nested(5000, 2), USUAL)

    assert difference is not None
    assert difference.actual == "nested too deeply"
