"""Endpoint, DeployedModel and the traffic split between them."""

import dataclasses
import datetime as dt
import enum
import re
from collections.abc import Mapping
from typing import Any, Final

from homeport.errors import InvalidArgumentError
from homeport.resources.names import EndpointName, ModelName

# DeployModelRequest.traffic_split (aiplatform v1): the model being deployed.
PLACEHOLDER_ID: Final = "0"
# As often the server looks whether a prediction is past its deadline.
SHORTEST_DEADLINE_S: Final = 0.1
_SECONDS: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)s")


class DeployState(enum.StrEnum):
    """Where a deployed model stands between wish and fact."""

    DEPLOYING = "deploying"
    DEPLOYED = "deployed"
    UNDEPLOYING = "undeploying"


@dataclasses.dataclass(frozen=True, slots=True)
class DedicatedResources:
    """What a deployed model asks of the machine.

    Attributes:
        machine_type: Vertex's name, an upper limit here; "" for the host's own.
        accelerator_type: Name of the AcceleratorType value, "" for none.
        accelerator_count: Accelerators for each replica.
        min_replica_count: Replicas always there, at least 1.
        max_replica_count: Upper limit for autoscaling, at least the minimum.
        metric_targets: What autoscaling aims at, by the metric's full name.
        kept: Further known fields, stored and returned and without effect.
    """

    machine_type: str = ""
    accelerator_type: str = ""
    accelerator_count: int = 0
    min_replica_count: int = 1
    max_replica_count: int = 1
    metric_targets: Mapping[str, int] = dataclasses.field(default_factory=dict)
    kept: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class DeployedModel:
    """One version serving (or about to serve) at one endpoint.

    Attributes:
        id: Decimal string, unique within the server.
        endpoint: Where it serves.
        version: The version, pinned to its id when the deploy was accepted.
        display_name: Its own, by default the model's.
        model_display_name: The model's, for prediction responses.
        resources: What it asks of the machine.
        kept: Known fields that have no effect here, returned as they came.
        state: Between wish and fact.
        create_time: UTC.
    """

    id: str
    endpoint: EndpointName
    version: ModelName
    display_name: str
    model_display_name: str
    resources: DedicatedResources
    kept: Mapping[str, Any]
    state: DeployState
    create_time: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """A stable address in front of deployed models.

    Attributes:
        name: Its full name.
        display_name: For people.
        description: For people.
        labels: The user's.
        deployed_models: Those that serve, oldest first.
        traffic_split: Percent by deployed-model id: sums to 100, or empty for no
            traffic.
        kept: Known fields that have no effect here, returned as they came.
        create_time: UTC.
        update_time: UTC.
        etag: Changes with every write.
    """

    name: EndpointName
    display_name: str
    description: str
    labels: Mapping[str, str]
    deployed_models: tuple[DeployedModel, ...]
    traffic_split: Mapping[str, int]
    kept: Mapping[str, Any]
    create_time: dt.datetime
    update_time: dt.datetime
    etag: str


def inference_timeout_s(kept: Mapping[str, Any]) -> float | None:
    """Return how long an endpoint lets a prediction take, None if it does not say."""
    value = _inference_timeout(kept)
    found = _SECONDS.fullmatch(value) if isinstance(value, str) else None
    return (float(found[1]) or None) if found else None


def check_connection(kept: Mapping[str, Any]) -> None:
    """Refuse connection settings that cannot be followed.

    Raises:
        InvalidArgumentError: The timeout is no duration over 0.
    """
    value = _inference_timeout(kept)
    if value is not None and inference_timeout_s(kept) is None:
        raise InvalidArgumentError(
            f"client_connection_config.inference_timeout is {value!r:.60}: expected "
            "seconds over 0, as in '30s'"
        )


def connection_warnings(kept: Mapping[str, Any], longest_s: float) -> tuple[str, ...]:
    """Return one warning for a timeout that the server does not keep as it is.

    Args:
        kept: Fields of an endpoint.
        longest_s: The server's own deadline.
    """
    timeout_s = inference_timeout_s(kept)
    if timeout_s is None or SHORTEST_DEADLINE_S <= timeout_s <= longest_s:
        return ()
    said = f"client_connection_config.inference_timeout is {timeout_s:g} s"
    if timeout_s > longest_s:
        return (
            f"{said}, and predictions have {longest_s:g} s here: the server's "
            "--request-deadline holds, start it with a longer one",
        )
    return (
        f"{said}, and the server looks at deadlines every {SHORTEST_DEADLINE_S:g} s: "
        "a prediction may take that long",
    )


def _inference_timeout(kept: Mapping[str, Any]) -> object:
    settings = kept.get("client_connection_config")
    if not isinstance(settings, Mapping):
        return None
    # As it came: proto3 JSON has both spellings.
    return settings.get("inferenceTimeout", settings.get("inference_timeout"))


def with_traffic(split: Mapping[str, int]) -> dict[str, int]:
    """Return a split without those that get nothing, which says the same."""
    return {deployed_id: percent for deployed_id, percent in split.items() if percent}


def check_split(split: Mapping[str, int], deployed_ids: frozenset[str]) -> None:
    """Refuse a traffic split that cannot be served; the empty split is fine.

    Args:
        split: Percent by deployed-model id.
        deployed_ids: The ids that may take part.

    Raises:
        InvalidArgumentError: An unknown id, a share outside 0..100, or a sum other
            than 100.
    """
    unknown = sorted(set(split) - deployed_ids)
    if unknown:
        raise InvalidArgumentError(
            f"The following DeployedModel ID(s) {unknown} do not exist; "
            f"this endpoint has {sorted(deployed_ids - {PLACEHOLDER_ID})}"
        )
    for deployed_id, percent in split.items():
        if not 0 <= percent <= 100:  # noqa: PLR2004  # percent
            raise InvalidArgumentError(
                f"traffic_split[{deployed_id}] is {percent}: a share is 0 to 100"
            )
    total = sum(split.values())
    if split and total != 100:  # noqa: PLR2004  # percent
        raise InvalidArgumentError(
            f"traffic_split adds up to {total}: the shares must add up to 100"
        )
