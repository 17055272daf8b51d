"""Traffic is shared in whole percents that always add up to 100."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.client import traffic
from homeport.client.registry import Deployed, Endpoint
from homeport.errors import HomeportError, InvalidArgumentError, NotFoundError


def _endpoint(*percents: int) -> Endpoint:
    """Return an endpoint: ids 11, 12, ..., of versions 1, 2, ..."""
    deployed = tuple(
        Deployed(str(10 + number), "projects/p/models/m", str(number), percent)
        for number, percent in enumerate(percents, 1)
    )
    return Endpoint("projects/p/locations/l/endpoints/5", "digits", deployed)


@pytest.mark.parametrize(
    ("percents", "split"),
    [
        pytest.param((), {"0": 100}, id="the first gets everything"),
        pytest.param((0,), {"0": 100}, id="beside one without traffic"),
        pytest.param((100,), {"0": 20, "11": 80}, id="beside one"),
        pytest.param((75, 25), {"0": 20, "11": 60, "12": 20}, id="in proportion"),
        pytest.param((99, 1), {"0": 20, "11": 80, "12": 0}, id="rounding"),
    ],
)
def test_a_new_model_gets_its_share(
    percents: tuple[int, ...], split: dict[str, int]
) -> None:
    assert traffic.with_new(_endpoint(*percents), 20) == split


@pytest.mark.parametrize(
    ("percents", "split"),
    [
        pytest.param((100,), {}, id="the last one"),
        pytest.param((0, 100), {}, id="without traffic"),
        pytest.param((20, 80), {"12": 100}, id="of two"),
        pytest.param((20, 60, 20), {"12": 75, "13": 25}, id="in proportion"),
        pytest.param((100, 0), {"12": 100}, id="to the only other one"),
    ],
)
def test_the_share_of_one_that_leaves_goes_to_the_others(
    percents: tuple[int, ...], split: dict[str, int]
) -> None:
    endpoint = _endpoint(*percents)

    assert traffic.without(endpoint, endpoint.deployed[0]) == split


def test_who_gets_everything_is_not_guessed() -> None:
    endpoint = _endpoint(100, 0, 0)

    said = r"12 and 13 have none: .* first, as with `homeport traffic 5 12=100`"
    with pytest.raises(InvalidArgumentError, match=said):
        traffic.without(endpoint, endpoint.deployed[0])


@given(st.lists(st.integers(0, 100), max_size=5), st.integers(1, 100))
def test_a_split_adds_up(percents: list[int], percent: int) -> None:
    endpoint = _endpoint(*percents)

    assert sum(traffic.with_new(endpoint, percent).values()) == 100


@pytest.mark.parametrize(
    ("shares", "split"),
    [
        pytest.param(("v2=100",), {"11": 0, "12": 100}, id="promote"),
        pytest.param(("11=100",), {"11": 100, "12": 0}, id="by id"),
        pytest.param(("1=70", "v2=30"), {"11": 70, "12": 30}, id="both"),
    ],
)
def test_shares_are_read(shares: tuple[str, ...], split: dict[str, int]) -> None:
    assert traffic.of_shares(_endpoint(80, 20), shares) == split


@pytest.mark.parametrize(
    ("shares", "kind", "words"),
    [
        pytest.param(("v2",), InvalidArgumentError, "'v2' is not", id="no percent"),
        pytest.param(("=5",), InvalidArgumentError, "'=5' is not", id="no id"),
        pytest.param(("v2=-1",), InvalidArgumentError, "'v2=-1'", id="negative"),
        pytest.param(("v2=90",), InvalidArgumentError, "add up to 90", id="sum"),
        pytest.param(("v2=50", "12=50"), InvalidArgumentError, "twice", id="twice"),
        pytest.param(
            ("v9=100",), NotFoundError, r"'v9': it has 11 \(v1\), 12", id="unknown"
        ),
    ],
)
def test_shares_that_mean_nothing_are_refused(
    shares: tuple[str, ...], kind: type[HomeportError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        traffic.of_shares(_endpoint(80, 20), shares)


@pytest.mark.parametrize(
    ("percents", "shares", "ending"),
    [
        pytest.param((100, 0), ("v2=10",), "to 100, as with v1=90 v2=10", id="of two"),
        pytest.param(
            (50, 50, 0),
            ("v3=10", "v2=30"),
            "to 100, as with v1=60 v3=10 v2=30",
            id="of three, two are named",
        ),
        pytest.param((50, 50, 0), ("v3=10",), "to 100", id="whose is the rest?"),
        pytest.param((100, 0), ("v2=110",), "to 100", id="too much"),
        pytest.param((100, 0), ("v1=50", "v2=10"), "to 100", id="all are named"),
    ],
)
def test_shares_that_lack_the_only_other_one_are_completed(
    percents: tuple[int, ...], shares: tuple[str, ...], ending: str
) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        traffic.of_shares(_endpoint(*percents), shares)

    assert refused.value.message.endswith(ending)


def test_a_version_that_is_deployed_once_is_called_so() -> None:
    first, second = Deployed("11", "m", "1", 50), Deployed("12", "m", "1", 50)
    third = Deployed("13", "m", "3", 0)

    assert traffic.called(third, (first, second)) == "v3"
    assert traffic.called(first, (first, second, third)) == "11"


def test_a_version_that_is_deployed_twice_is_named_by_id() -> None:
    twice = (Deployed("11", "m", "1", 50), Deployed("12", "m", "1", 50))

    with pytest.raises(InvalidArgumentError, match="by its id, 11, 12"):
        traffic.find_deployed(Endpoint("n", "digits", twice), "v1")
