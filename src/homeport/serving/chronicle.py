"""What the history keeps of endpoints and of what is deployed to them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from homeport.metadata import traffic_rows
from homeport.registry.journal import Journal, of_endpoint
from homeport.resources.change import ChangeKind, Subject
from homeport.resources.endpoint import DeployedModel, Endpoint, with_traffic
from homeport.resources.names import EndpointName


def note(
    journal: Journal,
    name: EndpointName,
    before: Endpoint | None,
    after: Endpoint | None,
) -> None:
    """Write that an endpoint is not as before; None for where it is not there.

    Its traffic, where that changed, becomes a state that can be rolled back to.
    """
    split = {} if before is None else with_traffic(before.traffic_split)
    if after is not None and with_traffic(after.traffic_split) != split:
        traffic_rows.insert(journal.transaction, after, journal.now, journal.caller)
    subject = of_endpoint(name, ChangeKind.ENDPOINT)
    journal.note(
        subject,
        None if before is None else _words(before),
        None if after is None else _words(after),
    )


def note_deployed(
    journal: Journal, deployed: DeployedModel, split: Mapping[str, int]
) -> None:
    """Write that a version is wanted at an endpoint, with this split once it is."""
    after = {**_deployed(deployed), "trafficSplit": dict(split)}
    journal.note(_subject(deployed), None, after)


def note_mutated(journal: Journal, before: DeployedModel, after: DeployedModel) -> None:
    """Write that a deployed model asks something else of the machine."""
    journal.note(_subject(after), _sized(before), _sized(after))


def note_undeployed(journal: Journal, deployed: DeployedModel) -> None:
    """Write that a deployed model is not wanted any more."""
    journal.note(_subject(deployed), _deployed(deployed), None)


def _subject(deployed: DeployedModel) -> Subject:
    return of_endpoint(deployed.endpoint, ChangeKind.DEPLOYED_MODEL, deployed.id)


def _words(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "displayName": endpoint.display_name,
        "description": endpoint.description,
        "labels": dict(endpoint.labels),
        "trafficSplit": dict(endpoint.traffic_split),
    }


def _deployed(deployed: DeployedModel) -> dict[str, str]:
    return {"model": str(deployed.version), "displayName": deployed.display_name}


def _sized(deployed: DeployedModel) -> dict[str, Any]:
    resources = dataclasses.asdict(deployed.resources)
    return {**_deployed(deployed), "resources": resources, "kept": dict(deployed.kept)}
