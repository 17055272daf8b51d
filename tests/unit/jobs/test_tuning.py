"""Requests grow while they are quick, and shrink at once when one was too much."""

import hypothesis
from hypothesis import strategies as st

from homeport.jobs.tuning import BatchSize


def test_quick_answers_double_the_size_up_to_a_limit() -> None:
    size = BatchSize.of(0)
    sizes = []
    for _ in range(6):
        size = size.answered(size.size, 0.001)
        sizes.append(size.size)

    assert sizes == [128, 256, 512, 1024, 1024, 1024]


def test_slow_answers_and_small_requests_change_nothing() -> None:
    size = BatchSize.of(0)

    assert size.answered(64, 0.03) == size
    assert size.answered(63, 0.001) == size


def test_a_size_that_was_asked_for_stays() -> None:
    size = BatchSize.of(7)

    assert size.size == 7
    assert size.answered(7, 0.001).size == 7


def test_what_was_too_much_is_never_tried_again() -> None:
    size = BatchSize.of(0).answered(64, 0.001).was_too_much(128)

    assert size.size == 64
    assert size.answered(64, 0.001).size == 64


@hypothesis.given(
    st.integers(0, 10_000),
    st.lists(st.tuples(st.booleans(), st.integers(1, 10_000), st.floats(0, 10))),
)
def test_there_is_always_something_in_a_request(
    asked: int, events: list[tuple[bool, int, float]]
) -> None:
    size = BatchSize.of(asked)

    for fits, instances, seconds in events:
        before = size
        if fits:
            size = size.answered(instances, seconds)
        else:
            size = size.was_too_much(instances)
        assert 1 <= size.size <= (asked or 1024)
        assert size.limit <= before.limit
