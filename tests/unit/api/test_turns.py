"""Who answers a request: whose turn it is, or whose its key always is."""

import asyncio
from collections.abc import Iterable

import pytest

from fake_replicas import FakeReplica
from homeport.api.turns import Turns
from homeport.resources.names import EndpointName
from homeport.serving.pool import Limits, Pool
from homeport.serving.router import Route, Router, Share
from homeport.telemetry import Metrics
from rooms import PARENT, Rooms
from wishes import open_endpoints

NAME = EndpointName(PARENT, "e")
METRICS = Metrics()


async def _share(deployed_id: str, percent: int) -> Share:
    async def start(on_room: object) -> FakeReplica:
        del on_room
        return FakeReplica()

    pool = Pool(deployed_id, start, Limits(queue_length=1, deadline_s=1.0))
    meter = METRICS.meter("e", deployed_id)
    return Share(deployed_id, percent, pool, b"}", (), meter, {})


def asked(rooms: Rooms, split: dict[str, int], keys: Iterable[bytes]) -> list[str]:
    """Return who answers requests in a row, each with its sticky key or with b""."""

    async def scenario() -> list[str]:
        router = Router()
        shares = [await _share(id_, percent) for id_, percent in split.items()]
        router.put(NAME, Route(shares))
        turns = Turns(router, open_endpoints(rooms, lambda _: None))
        answered = []
        for key in keys:
            sticky = [(b"x-homeport-sticky-key", key)] if key else []
            headers = [(b"host", b"h"), *sticky]
            answered.append((await turns.next(str(NAME), headers)).deployed_id)
        return answered

    return asyncio.run(scenario())


def test_one_key_is_always_answered_by_the_same_deployed_model(rooms: Rooms) -> None:
    keys = [b"user %d" % (number % 20) for number in range(100)]

    answered = asked(rooms, {"1": 50, "2": 50}, keys)

    assert all(answered[place] == answered[place % 20] for place in range(100))
    assert set(answered) == {"1", "2"}


def test_requests_with_a_key_take_nobodys_turn(rooms: Rooms) -> None:
    keys = [b"user" if place % 3 else b"" for place in range(30)]

    answered = asked(rooms, {"1": 80, "2": 20}, keys)

    assert sorted(answered[::3]) == ["1"] * 8 + ["2"] * 2


@pytest.mark.parametrize("key", [b"a", b"\xff\x00"])
def test_a_key_is_nothing_where_one_deployed_model_has_all_traffic(
    rooms: Rooms, key: bytes
) -> None:
    assert asked(rooms, {"1": 0, "2": 100}, [key, b"", key]) == ["2", "2", "2"]
