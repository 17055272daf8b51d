"""What a deployment asks for is held against what the host has."""

import pytest

from homeport.errors import InvalidArgumentError
from homeport.resources.endpoint import DedicatedResources
from homeport.serving import machinetypes
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
        pytest.param(
            DedicatedResources(machine_type="e2-medium"), [], id="no number at all"
        ),
        pytest.param(
            DedicatedResources(machine_type="c3-standard-8-lssd"),
            ["machine_type c3-standard-8-lssd has 8 cores"],
            id="a word after the number",
        ),
        pytest.param(
            DedicatedResources(machine_type="n9-standart-4"),
            ["n9-standart-4 is none that is known here: it limits nothing"],
            id="unknown type",
        ),
        pytest.param(
            DedicatedResources(accelerator_type="NVIDIA_L4", accelerator_count=1),
            ["1 NVIDIA_L4 asked for, and this host has none: replicas run on the CPU"],
            id="an accelerator",
        ),
        pytest.param(
            DedicatedResources(
                machine_type="n1-highmem-16",
                accelerator_type="TPU_V2",
                accelerator_count=8,
            ),
            ["16 cores", "8 TPU_V2 asked for, and this host has none"],
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
    ("kind", "count", "replicas", "told"),
    [
        pytest.param("NVIDIA_L4", 1, 2, [], id="one each"),
        pytest.param("NVIDIA_L4", 2, 1, [], id="both"),
        pytest.param(
            "NVIDIA_L4",
            1,
            3,
            [
                "3 replicas with 1 NVIDIA_L4 each asked for, and this host has 2: "
                "replicas share them"
            ],
            id="more replicas than GPUs",
        ),
        pytest.param(
            "NVIDIA_L4",
            4,
            1,
            ["4 NVIDIA_L4 asked for, and this host has 2: those are used"],
            id="more for one replica than there are",
        ),
        pytest.param(
            "NVIDIA_H100_80GB",
            1,
            1,
            ["NVIDIA_H100_80GB asked for, and this host has NVIDIA L4: that is used"],
            id="another kind",
        ),
        pytest.param(
            "TPU_V3",
            1,
            1,
            ["1 TPU_V3 asked for, and this host has none: replicas run on the CPU"],
            id="no GPU at all",
        ),
    ],
)
def test_accelerators_are_held_against_the_hosts(
    kind: str, count: int, replicas: int, told: list[str]
) -> None:
    resources = DedicatedResources(
        accelerator_type=kind,
        accelerator_count=count,
        min_replica_count=replicas,
        max_replica_count=replicas,
    )

    assert list(shortages(resources, Host(4, ("NVIDIA L4", "NVIDIA L4")))) == told


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-1, 1), (2, 1), (257, 257), (1, 257)]
)
def test_replica_counts_that_cannot_be_meant_are_refused(low: int, high: int) -> None:
    with pytest.raises(InvalidArgumentError, match="replica_count"):
        check_resources(
            DedicatedResources(min_replica_count=low, max_replica_count=high), HOST
        )


def test_a_minimum_that_is_refused_is_told_what_is_accepted() -> None:
    resources = DedicatedResources(min_replica_count=-3, max_replica_count=1)

    with pytest.raises(InvalidArgumentError) as refused:
        check_resources(resources, HOST)

    assert refused.value.message == (
        "min_replica_count is -3: give 1 or more (0 means 1), nothing is scaled to "
        "zero here"
    )


@pytest.mark.parametrize("name", ["laptop", "n1_standard_4", "N1-STANDARD-4", "n1-"])
def test_what_names_no_machine_type_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="such as n1-standard-4"):
        machinetypes.check_form(name)


def test_as_many_replicas_as_may_be_are_accepted() -> None:
    check_resources(
        DedicatedResources(min_replica_count=256, max_replica_count=256), HOST
    )


def test_this_host_has_a_core() -> None:
    assert this_host().cores >= 1
