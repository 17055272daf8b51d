"""A batch closes when it is full, or when its oldest request has waited enough."""

import pytest

from homeport.errors import InvalidArgumentError
from homeport.worker import batching
from homeport.worker.batching import BatchPolicy, seconds_to_wait

POLICY = BatchPolicy(max_size=4, max_delay_s=0.010)


@pytest.mark.parametrize(
    ("gathered", "oldest_age_s", "expected_s"),
    [
        pytest.param(4, 0.000, 0.000, id="full batch goes at once"),
        pytest.param(1, 0.004, 0.006, id="young batch waits the rest"),
        pytest.param(3, 0.010, 0.000, id="old batch goes, full or not"),
        pytest.param(3, 0.050, 0.000, id="late batch never waits a negative time"),
    ],
)
def test_seconds_to_wait(gathered: int, oldest_age_s: float, expected_s: float) -> None:
    assert seconds_to_wait(POLICY, gathered, oldest_age_s) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param({}, BatchPolicy(1, 0.0), id="nothing said"),
        pytest.param({"batchSize": 8}, BatchPolicy(8, 0.0), id="a size never waits"),
        pytest.param(
            {"batchSize": 8, "maxBatchDelay": 50}, BatchPolicy(8, 0.05), id="both"
        ),
        pytest.param(
            {"maxBatchDelay": 50}, BatchPolicy(1, 0.0), id="a delay alone is nothing"
        ),
    ],
)
def test_the_policy_of_a_config_file(
    config: dict[str, object], expected: BatchPolicy
) -> None:
    assert batching.from_model_config(config) == expected


@pytest.mark.parametrize(
    "config",
    [
        {"batchSize": 0},
        {"batchSize": "8"},
        {"batchSize": True},
        {"batchSize": 2, "maxBatchDelay": -1},
        {"batchSize": 2, "maxBatchDelay": "fast"},
    ],
)
def test_a_policy_that_cannot_be_is_refused(config: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError, match="in the model's config file"):
        batching.from_model_config(config)
