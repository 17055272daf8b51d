"""The autoscaler stays within its bounds, waits before it acts, and does not flap."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.serving.autoscaler import Autoscaler, Load, Sample, Scaling, needed

SCALING = Scaling(low=1, high=4, stands_s=2.0, idle_s=300.0)


def test_a_queue_that_stands_for_two_seconds_adds_a_replica() -> None:
    scaler = Autoscaler(SCALING)

    wanted = [
        scaler.observe(Sample(now, ready=1, busy=1, queued=1))
        for now in (0.0, 1.0, 1.9, 2.0)
    ]

    assert wanted == [1, 1, 1, 2]


def test_a_queue_that_comes_and_goes_adds_nothing() -> None:
    scaler = Autoscaler(SCALING)

    wanted = {
        scaler.observe(Sample(now / 2, ready=1, busy=0, queued=now % 3))
        for now in range(100)
    }

    assert wanted == {1}


def test_nothing_is_added_while_the_last_one_still_starts() -> None:
    scaler = Autoscaler(SCALING, wanted=2)

    while_starting = [
        scaler.observe(Sample(float(now), ready=1, busy=1, queued=9))
        for now in range(60)
    ]
    with_two = [
        scaler.observe(Sample(60.0 + now, ready=2, busy=2, queued=9))
        for now in range(3)
    ]

    assert set(while_starting) == {2}
    assert with_two == [2, 3, 3]


def test_the_idle_window_takes_replicas_away() -> None:
    scaler = Autoscaler(SCALING, wanted=3)

    wanted = [
        scaler.observe(Sample(now, ready=3, busy=0, queued=0))
        for now in (0.0, 100.0, 299.0, 300.0)
    ]

    assert wanted == [3, 3, 3, 1]
    assert scaler.at_rest


def test_the_most_that_was_needed_in_the_window_stays() -> None:
    scaler = Autoscaler(SCALING, wanted=4)
    for now in range(0, 200, 10):
        scaler.observe(Sample(float(now), ready=4, busy=1, queued=0))

    for now in range(200, 310, 10):
        scaler.observe(Sample(float(now), ready=4, busy=0, queued=0))

    assert scaler.wanted == 2


@pytest.mark.parametrize(
    ("load", "count"),
    [
        pytest.param(Load(), 1, id="nothing"),
        pytest.param(Load(busy=0.8), 1, id="one is enough"),
        pytest.param(Load(busy=0.81), 2, id="one has no room left"),
        pytest.param(Load(busy=9.0), 4, id="never above the most"),
        pytest.param(Load(cores=1.5), 3, id="the CPU's target"),
        pytest.param(Load(requests_per_minute=250.0), 3, id="requests a minute"),
        pytest.param(
            Load(busy=0.1, cores=0.1, requests_per_minute=350.0), 4, id="the largest"
        ),
    ],
)
def test_each_metric_has_its_count(load: Load, count: int) -> None:
    scaling = Scaling(1, 4, cpu_percent=50, requests_per_minute=100)

    assert needed(scaling, load) == count


def test_cpu_use_above_the_target_adds_what_is_missing() -> None:
    scaler = Autoscaler(Scaling(1, 8, cpu_percent=25))

    for now in range(60):
        # Each second one core was in use.
        scaler.observe(
            Sample(float(now), ready=scaler.wanted, busy=1, queued=0, cpu_s=1.0)
        )

    assert scaler.wanted == 4


SCALINGS = st.builds(
    lambda low, more, cpu, rate: Scaling(low, low + more, cpu, rate),
    st.integers(1, 8),
    st.integers(0, 8),
    st.none() | st.floats(1, 100),
    st.none() | st.floats(1, 10_000),
)
STEPS = st.lists(
    st.tuples(
        st.floats(0.01, 400),
        st.integers(0, 20),
        st.integers(0, 20),
        st.integers(0, 5),
        st.floats(0, 1e4),
        st.integers(0, 10_000),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(scaling=SCALINGS, steps=STEPS)
def test_the_count_never_leaves_its_bounds(
    scaling: Scaling, steps: list[tuple[float, int, int, int, float, int]]
) -> None:
    scaler = Autoscaler(scaling)
    now, requests = 0.0, 0

    for past_s, ready, busy, queued, cpu_s, more in steps:
        now, requests = now + past_s, requests + more
        sample = Sample(now, ready, busy, queued, cpu_s, requests)
        assert scaling.low <= scaler.observe(sample) <= scaling.high


@settings(deadline=None)
@given(
    first=st.integers(1, 8),
    work=st.floats(0, 8),
    cpu_percent=st.none() | st.floats(5, 100),
)
def test_a_load_that_stays_the_same_ends_in_one_count(
    first: int, work: float, cpu_percent: float | None
) -> None:
    scaler = Autoscaler(Scaling(1, 8, cpu_percent, idle_s=60.0), wanted=first)

    counts = [first]
    for now in range(500):
        ready = scaler.wanted
        # So much work comes in each second that `work` replicas are always busy.
        busy = min(ready, round(work))
        queued = int(work > ready)
        counts.append(
            scaler.observe(Sample(float(now), ready, busy, queued, cpu_s=float(busy)))
        )

    turns = [
        after > before
        for before, after in itertools.pairwise(counts)
        if after != before
    ]
    assert len(set(turns)) <= 1
    assert len(set(counts[-200:])) == 1
