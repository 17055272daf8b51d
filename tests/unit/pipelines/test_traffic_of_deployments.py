"""A new model gets its share of an endpoint's traffic, the others keep theirs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import InvalidArgumentError
from homeport.pipelines import traffic


@pytest.mark.parametrize(
    ("before", "percentage", "after"),
    [
        pytest.param({}, 100, {"0": 100}, id="the first"),
        pytest.param({}, 10, {"0": 100}, id="the first, which has to take all"),
        pytest.param({"a": 100}, 10, {"a": 90, "0": 10}, id="a canary"),
        pytest.param({"a": 60, "b": 40}, 50, {"a": 30, "b": 20, "0": 50}, id="half"),
        pytest.param({"a": 100}, 100, {"a": 0, "0": 100}, id="all"),
        pytest.param({"a": 100}, 0, {"a": 100, "0": 0}, id="none"),
        pytest.param({"a": 50, "b": 50}, 1, {"a": 50, "b": 49, "0": 1}, id="odd"),
    ],
)
def test_the_others_keep_their_shares_of_the_rest(
    before: dict[str, int], percentage: int, after: dict[str, int]
) -> None:
    assert traffic.with_new(before, percentage) == after


@given(st.lists(st.integers(0, 99), max_size=8), st.integers(0, 100))
def test_percentages_sum_to_a_hundred(cuts: list[int], percentage: int) -> None:
    ends = [*sorted(cuts), 100]
    parts = zip([0, *ends], ends, strict=False)
    before = {str(i + 1): end - begin for i, (begin, end) in enumerate(parts)}

    after = traffic.with_new(before, percentage)

    assert sum(after.values()) == 100
    assert min(after.values()) >= 0
    assert after["0"] == percentage


@pytest.mark.parametrize("percentage", [-1, 101])
def test_what_is_no_percentage_is_refused(percentage: int) -> None:
    with pytest.raises(
        InvalidArgumentError, match=f"traffic_percentage is {percentage}"
    ):
        traffic.with_new({}, percentage)
