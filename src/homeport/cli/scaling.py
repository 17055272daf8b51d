"""The options that say how many replicas there are, and what they are scaled on."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

from homeport.cli import values
from homeport.errors import InvalidArgumentError

_METRICS: Final = {
    "cpu-usage": "aiplatform.googleapis.com/prediction/online/cpu/utilization",
    "gpu-duty-cycle": (
        "aiplatform.googleapis.com/prediction/online/accelerator/duty_cycle"
    ),
    # Of ours: requests a minute for each replica.
    "request-count": "aiplatform.googleapis.com/prediction/online/request_count",
}
_COUNT: Final = click.IntRange(min=1)
_F = TypeVar("_F", bound=Callable[..., Any])


def options(command: _F) -> _F:
    """Add the counts of replicas and --autoscaling-metric-specs to a command."""
    for option in (
        click.option(
            "--autoscaling-metric-specs",
            multiple=True,
            callback=values.numbers,
            metavar="METRIC=TARGET,...",
            help="cpu-usage, gpu-duty-cycle or request-count.",
        ),
        click.option(
            "--required-replica-count", type=_COUNT, help="Kept, without effect."
        ),
        click.option("--max-replica-count", type=_COUNT),
        click.option("--min-replica-count", type=_COUNT),
    ):
        command = option(command)
    return command


def resources(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the dedicated resources that a command's values name, and nothing else.

    Raises:
        UsageError: The counts contradict each other.
        InvalidArgumentError: There is no such metric.
    """
    fewest, most = given["min_replica_count"], given["max_replica_count"]
    if fewest and most and fewest > most:
        raise click.UsageError(
            f"--min-replica-count {fewest} is above --max-replica-count {most}"
        )
    named = {
        "minReplicaCount": fewest,
        "maxReplicaCount": most,
        "requiredReplicaCount": given["required_replica_count"],
        "autoscalingMetricSpecs": _metrics(given["autoscaling_metric_specs"]),
    }
    return {key: value for key, value in named.items() if value}


def _metrics(targets: dict[str, int]) -> list[dict[str, Any]]:
    for name in targets:
        if name not in _METRICS:
            raise InvalidArgumentError(
                f"--autoscaling-metric-specs {name!r}: known are {', '.join(_METRICS)}"
            )
    return [{"metricName": _METRICS[name], "target": targets[name]} for name in targets]
