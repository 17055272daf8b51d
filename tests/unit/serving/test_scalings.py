"""A deployment's wish and its archive's words become bounds."""

import pytest

from homeport.errors import InvalidArgumentError
from homeport.resources.endpoint import DedicatedResources
from homeport.resources.torchserve import TorchServeWords
from homeport.serving import scalings
from homeport.serving.autoscaler import Scaling
from homeport.serving.machines import Host

HOST = Host(cores=2)


@pytest.mark.parametrize(
    ("asked", "words", "bounds"),
    [
        pytest.param((1, 1), TorchServeWords(), (1, 1), id="nothing said"),
        pytest.param((2, 5), TorchServeWords(), (2, 5), id="the deployment's"),
        pytest.param(
            (1, 1), TorchServeWords(min_workers=3), (3, 3), id="raises the minimum"
        ),
        pytest.param(
            (1, 1), TorchServeWords(max_workers=4), (1, 4), id="raises the maximum"
        ),
        pytest.param(
            (3, 6),
            TorchServeWords(min_workers=1, max_workers=2),
            (3, 6),
            id="lowers nothing",
        ),
        pytest.param(
            (1, 1), TorchServeWords(default_workers=2), (2, 2), id="for a whole server"
        ),
        pytest.param(
            (1, 1), TorchServeWords(default_workers=0), (2, 2), id="0 counts the cores"
        ),
        pytest.param(
            (1, 1),
            TorchServeWords(min_workers=1, default_workers=4),
            (1, 1),
            id="the model's own word goes first",
        ),
        pytest.param(
            (1, 1),
            TorchServeWords(min_workers=9999, max_workers=9999),
            (128, 128),
            id="no more than this host is given",
        ),
    ],
)
def test_words_raise_and_never_lower(
    asked: tuple[int, int], words: TorchServeWords, bounds: tuple[int, int]
) -> None:
    resources = DedicatedResources(
        min_replica_count=asked[0], max_replica_count=asked[1]
    )

    scaling = scalings.of(resources, words, HOST, idle_s=300.0)

    assert (scaling.low, scaling.high) == bounds


def test_nothing_raises_replicas_over_the_cap() -> None:
    resources = DedicatedResources(min_replica_count=2, max_replica_count=5)
    words = TorchServeWords(min_workers=3, max_workers=4)

    scaling = scalings.of(resources, words, HOST, idle_s=300.0, cap=1)

    assert (scaling.low, scaling.high) == (1, 1)


def test_targets_are_those_of_the_services_metrics() -> None:
    resources = DedicatedResources(
        max_replica_count=3,
        metric_targets={
            "aiplatform.googleapis.com/prediction/online/cpu/utilization": 70,
            "aiplatform.googleapis.com/prediction/online/request_count": 600,
        },
    )

    scaling = scalings.of(resources, TorchServeWords(), HOST, idle_s=9.0)

    assert scaling == Scaling(1, 3, cpu_percent=70, requests_per_minute=600, idle_s=9.0)


@pytest.mark.parametrize(
    ("name", "target", "said"),
    [
        ("cpu/utilization", 101, "percent, 1 to 100"),
        ("accelerator/duty_cycle", 0, "percent, 1 to 100"),
        ("request_count", 0, "at least 1"),
        ("memory/utilization", 60, "it is one of"),
    ],
)
def test_targets_that_cannot_be_are_refused(name: str, target: int, said: str) -> None:
    full = f"aiplatform.googleapis.com/prediction/online/{name}"
    resources = DedicatedResources(metric_targets={full: target})

    with pytest.raises(InvalidArgumentError, match=said):
        scalings.check_targets(resources)
