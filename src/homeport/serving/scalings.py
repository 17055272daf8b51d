"""How many replicas a deployment may have: its own wish, and its archive's words.

The metrics are those of the service, by the names it has for them.
"""

from typing import Final

from homeport.errors import InvalidArgumentError
from homeport.resources.endpoint import DedicatedResources
from homeport.resources.torchserve import TorchServeWords
from homeport.serving.autoscaler import Scaling
from homeport.serving.machines import REPLICAS_PER_CORE, Host

_PREFIX: Final = "aiplatform.googleapis.com/prediction/online/"
CPU: Final = f"{_PREFIX}cpu/utilization"
REQUESTS: Final = f"{_PREFIX}request_count"
DUTY_CYCLE: Final = f"{_PREFIX}accelerator/duty_cycle"
_METRICS: Final = (CPU, REQUESTS, DUTY_CYCLE)
_MOST_PERCENT: Final = 100


def of(
    resources: DedicatedResources,
    words: TorchServeWords,
    host: Host,
    idle_s: float,
    cap: int | None = None,
) -> Scaling:
    """Return the bounds and targets of a deployed model's replicas.

    The archive's worker counts raise the deployment's and never lower them; together
    they stay within what this host is given.

    Args:
        resources: What the deployment asks for.
        words: TorchServe's, of the version.
        host: This machine.
        idle_s: How long fewer have to be enough before any is taken away.
        cap: What nothing raises them over, None for no such thing: a program with a
            port of its own is there once.
    """
    most = REPLICAS_PER_CORE * host.cores
    default = words.default_workers
    if default == 0:
        # TorchServe counts the cores then.
        default = host.cores
    asked = words.min_workers if words.min_workers is not None else default
    low = max(resources.min_replica_count, min(asked or 0, most))
    high = max(resources.max_replica_count, low, min(words.max_workers or 0, most))
    if cap is not None:
        low, high = min(low, cap), min(high, cap)
    targets = resources.metric_targets
    return Scaling(
        low=low,
        high=high,
        cpu_percent=targets.get(CPU),
        requests_per_minute=targets.get(REQUESTS),
        idle_s=idle_s,
    )


def shortages(resources: DedicatedResources) -> tuple[str, ...]:
    """Return one sentence for each target that nothing here is measured for."""
    if DUTY_CYCLE not in resources.metric_targets:
        return ()
    return (
        f"a target for {DUTY_CYCLE} has no effect: replicas are scaled on waiting "
        f"requests, {CPU} and {REQUESTS}",
    )


def check_targets(resources: DedicatedResources) -> None:
    """Refuse targets that cannot be aimed at.

    Raises:
        InvalidArgumentError: A metric nobody knows, or a target out of its range.
    """
    for name, target in resources.metric_targets.items():
        if name not in _METRICS:
            raise InvalidArgumentError(
                f"autoscaling_metric_specs has the metric {name!r:.120}: it is one of "
                f"{', '.join(_METRICS)}"
            )
        if target < 1 or (name != REQUESTS and target > _MOST_PERCENT):
            raise InvalidArgumentError(
                f"the target of {name} is {target}: "
                + (
                    "requests a minute for each replica, at least 1"
                    if name == REQUESTS
                    else "percent, 1 to 100"
                )
            )
