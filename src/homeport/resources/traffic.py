"""Traffic states: who had which part of an endpoint's traffic, and since when."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

from homeport.resources.endpoint import DedicatedResources
from homeport.resources.names import ModelName


@dataclasses.dataclass(frozen=True, slots=True)
class Placement:
    """What it takes to deploy once more what was deployed.

    Attributes:
        version: By its id.
        display_name: The deployed model's.
        resources: What it asked of the machine.
        kept: Known fields that had no effect.
    """

    version: ModelName
    display_name: str
    resources: DedicatedResources
    kept: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class TrafficState:
    """An endpoint's traffic from one change of it to the next.

    Attributes:
        number: Counts the endpoint's states from 1.
        time: Since when, UTC.
        caller: Who asked for it, by their own account.
        split: Percent by deployed-model id; empty for no traffic.
        models: Those with traffic, by their ids.
    """

    number: int
    time: dt.datetime
    caller: str
    split: Mapping[str, int]
    models: Mapping[str, Placement]
