"""What callers ask of endpoints: to be made, changed, or given a model."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from homeport.resources.endpoint import DedicatedResources
from homeport.resources.names import ModelName


@dataclasses.dataclass(frozen=True, slots=True)
class EndpointSpec:
    """What a new endpoint is to be.

    Attributes:
        display_name: For people.
        description: For people.
        labels: The user's.
        kept: Known fields that have no effect here.
        warnings: Sentences for the operation.
    """

    display_name: str
    description: str = ""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    kept: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class DeploySpec:
    """What is to be deployed.

    Attributes:
        model: A version by id or alias; without either, the default version now.
        traffic_split: The endpoint's split once it answers, with "0" for the new one;
            empty leaves the endpoint's split alone.
        deployed_model_id: A chosen id, "" to have one made.
        display_name: Its own, "" for the model's.
        resources: What it asks of the machine.
        kept: Known fields that have no effect here.
        warnings: Sentences for the operation.
    """

    model: ModelName
    traffic_split: Mapping[str, int]
    deployed_model_id: str = ""
    display_name: str = ""
    resources: DedicatedResources = dataclasses.field(
        default_factory=DedicatedResources
    )
    kept: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class EndpointPatch:
    """Fields of an endpoint to be replaced; None leaves one alone.

    Attributes:
        display_name: For people.
        description: For people.
        labels: The user's.
        traffic_split: Percent by deployed-model id; empty takes all traffic away.
        etag: The one read before, "" to overwrite whatever is there.
    """

    display_name: str | None = None
    description: str | None = None
    labels: Mapping[str, str] | None = None
    traffic_split: Mapping[str, int] | None = None
    etag: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class DeployedModelPatch:
    """What is to change of a deployed model that serves.

    Attributes:
        resources: Fields of `DedicatedResources`, by their names.
        kept_resources: Known fields of them that have no effect here.
        kept: Known fields of the deployed model that have none.
        warnings: Sentences for the operation.
    """

    resources: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    kept_resources: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    kept: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()
