"""What a deployment asks for is held against what the host has."""

import pytest

from homeport.errors import InvalidArgumentError
from homeport.resources.endpoint import DedicatedResources
from homeport.serving.machines import Host, check_resources, shortages, this_host

HOST = Host(cores=4)


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        pytest.param(DedicatedResources(), [], id="nothing asked"),
        pytest.param(
            DedicatedResources(machine_type="n1-standard-4"), [], id="enough cores"
        ),
        pytest.param(
            DedicatedResources(machine_type="n1-standard-8"),
            ["machine_type n1-standard-8 has 8 cores and this host 4"],
            id="too few cores",
        ),
        pytest.param(
            DedicatedResources(machine_type="a2-highgpu-12g"),
            [],
            id="a number of GPUs is not one of cores",
        ),
        pytest.param(
            DedicatedResources(machine_type="g2-standard-4"), [], id="digits before"
        ),
        pytest.param(DedicatedResources(machine_type="laptop"), [], id="unknown type"),
        pytest.param(
            DedicatedResources(accelerator_type="NVIDIA_L4", accelerator_count=1),
            ["1 NVIDIA_L4 asked for: replicas run on the CPU"],
            id="an accelerator",
        ),
        pytest.param(
            DedicatedResources(
                machine_type="n1-highmem-16",
                accelerator_type="TPU_V2",
                accelerator_count=8,
            ),
            ["16 cores", "8 TPU_V2"],
            id="each by itself",
        ),
    ],
)
def test_each_shortage_is_one_sentence(
    resources: DedicatedResources, told: list[str]
) -> None:
    sentences = shortages(resources, HOST)

    assert len(sentences) == len(told)
    for sentence, part in zip(sentences, told, strict=True):
        assert part in sentence


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-1, 1), (2, 1), (257, 257), (1, 257)]
)
def test_replica_counts_that_cannot_be_meant_are_refused(low: int, high: int) -> None:
    with pytest.raises(InvalidArgumentError, match="replica_count"):
        check_resources(
            DedicatedResources(min_replica_count=low, max_replica_count=high), HOST
        )


def test_as_many_replicas_as_may_be_are_accepted() -> None:
    check_resources(
        DedicatedResources(min_replica_count=256, max_replica_count=256), HOST
    )


def test_this_host_has_a_core() -> None:
    assert this_host().cores >= 1
