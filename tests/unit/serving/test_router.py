"""Requests are shared out exactly as the split says, without drawing lots."""

import asyncio
import collections
import dataclasses
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from fake_replicas import FakeReplica
from homeport.resources.names import EndpointName
from homeport.serving.pool import Limits, Pool
from homeport.serving.router import Route, Router, Share
from homeport.telemetry import Metrics

ENDPOINT = EndpointName.parse("projects/p/locations/l/endpoints/e")
METRICS = Metrics()


def _share(percent: int, name: str = "7") -> Share:
    async def start(on_room: object) -> FakeReplica:
        del on_room
        return FakeReplica()

    async def make() -> Pool:
        return Pool(name, start, Limits(queue_length=1, deadline_s=1.0))

    meter = METRICS.meter("e", name)
    return Share(name, percent, asyncio.run(make()), b"}", (), meter, {})


SHARES = [_share(1, str(number)) for number in range(5)]


def _route(split: list[int]) -> Route:
    return Route(
        [
            dataclasses.replace(share, percent=percent)
            for percent, share in zip(split, SHARES, strict=False)
        ]
    )


@st.composite
def splits(draw: st.DrawFn) -> list[int]:
    """Shares above 0 percent that sum to 100."""
    cuts = draw(st.sets(st.integers(1, 99), max_size=4))
    edges = [0, *sorted(cuts), 100]
    return [high - low for low, high in itertools.pairwise(edges)]


@settings(deadline=None)
@given(split=splits(), skipped=st.integers(0, 300))
def test_any_hundred_requests_in_a_row_are_shared_exactly(
    split: list[int], skipped: int
) -> None:
    route = _route(split)
    for _ in range(skipped):
        route.next()

    turns = [route.next() for _ in range(100)]

    by_pool = collections.Counter(id(share.pool) for share in turns if share)
    assert sorted(by_pool.values()) == sorted(split)


@settings(deadline=None)
@given(split=splits())
def test_turns_are_spread_evenly(split: list[int]) -> None:
    route = _route(split)

    turns = [route.next() for _ in range(200)]

    for percent, share in zip(split, SHARES, strict=False):
        count = 0
        for position, turn in enumerate(turns, start=1):
            count += turn is not None and turn.pool is share.pool
            # Never a whole turn per other share away from what is due.
            assert abs(count - position * percent / 100) < len(split)


def test_while_some_start_the_others_share_in_proportion() -> None:
    route = _route([60, 20])

    turns = [route.next() for _ in range(8)]

    assert [share.percent if share else 0 for share in turns].count(60) == 6


def test_without_traffic_it_is_nobodys_turn() -> None:
    assert _route([]).next() is None


def test_an_endpoint_is_found_by_its_full_name_until_it_is_dropped() -> None:
    router, first, second = Router(), _route([100]), _route([50, 50])

    assert router.find(str(ENDPOINT)) is None
    router.put(ENDPOINT, first)
    assert router.find(str(ENDPOINT)) is first
    router.put(ENDPOINT, second)
    assert router.find(str(ENDPOINT)) is second
    router.drop(ENDPOINT)
    router.drop(ENDPOINT)
    assert router.find(str(ENDPOINT)) is None


KEYS = [b"user-%d" % number for number in range(2000)]


def _stuck(split: list[int]) -> dict[bytes, str]:
    route = _route(split)
    found = {key: route.stuck_to(key) for key in KEYS}
    return {key: share.deployed_id for key, share in found.items() if share}


def test_a_key_stays_with_its_deployed_model_and_keys_follow_the_split() -> None:
    first, second = _stuck([80, 20]), _stuck([80, 20])

    counted = collections.Counter(first.values())
    assert first == second
    assert len(first) == 2000
    # Four standard deviations of a binomial around 400.
    assert 328 <= counted["1"] <= 472


@settings(deadline=None)
@given(splits(), splits())
def test_a_key_moves_only_to_a_share_that_grew_against_the_one_it_leaves(
    before: list[int], after: list[int]
) -> None:
    was, now = (dict(enumerate(split)) for split in (before, after))

    old, new = _stuck(before), _stuck(after)

    for left, taken in {(old[key], new[key]) for key in KEYS}:
        one, other = int(left), int(taken)
        assert now.get(other, 0) * was.get(one, 0) >= was.get(other, 0) * now.get(
            one, 0
        )


def test_a_small_change_of_the_split_moves_few_keys() -> None:
    old, new = _stuck([80, 20]), _stuck([75, 25])

    moved = [key for key in KEYS if old[key] != new[key]]

    # 5 percent are 100; four standard deviations more.
    assert len(moved) <= 140
    assert {new[key] for key in moved} == {"1"}


def test_a_deployed_model_without_traffic_is_found_by_its_id_alone() -> None:
    route = _route([100, 0])

    found = route.of("1")

    assert found is not None
    assert found.percent == 0
    assert route.stuck_to(b"key") is route.of("0") is route.next()
    assert route.of("9") is None
