"""Two samples prove something only if they differ, and their answers do."""

import json
from typing import Any

import pytest

from homeport.archive.golden import Golden
from homeport.checking import batching
from homeport.checking.report import Batching, BatchingProof


def instances_of(pair: Any) -> list[Any]:
    return [json.loads(body)["instances"] for body in pair]


def test_two_instances_are_two_requests_with_the_same_parameters() -> None:
    golden = Golden({"instances": ["a", "b"], "parameters": {"k": 1}})

    first, second = batching.choose_pair(golden, [1, 2])  # type: ignore[misc]  # a pair

    assert json.loads(first) == {"instances": ["a"], "parameters": {"k": 1}}
    assert json.loads(second) == {"instances": ["b"], "parameters": {"k": 1}}


def test_instances_with_different_predictions_are_preferred() -> None:
    golden = Golden({"instances": ["a", "b", "c"]})

    pair = batching.choose_pair(golden, ["cat", "cat", "dog"])

    assert instances_of(pair) == [["a"], ["c"]]


def test_fewer_predictions_than_instances_are_no_hindrance() -> None:
    golden = Golden({"instances": ["a", "a", "c"]})

    pair = batching.choose_pair(golden, ["cat"])

    assert instances_of(pair) == [["a"], ["c"]]


@pytest.mark.parametrize(
    ("instances", "words"), [(["a"], "has one instance"), (["a", "a"], "all the same")]
)
def test_one_instance_proves_nothing_not_even_twice(
    instances: list[str], words: str
) -> None:
    proof = batching.choose_pair(Golden({"instances": instances}), [1] * len(instances))

    assert isinstance(proof, BatchingProof)
    assert proof.verdict is Batching.UNPROVEN
    assert words in proof.reason
