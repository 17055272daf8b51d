"""What the history keeps of endpoints and of what is deployed to them."""

from collections.abc import Mapping
from typing import Any

from homeport.registry.journal import Journal, of_endpoint
from homeport.resources.change import ChangeKind, Subject
from homeport.resources.endpoint import DeployedModel, Endpoint
from homeport.resources.names import EndpointName


def note(
    journal: Journal,
    name: EndpointName,
    before: Endpoint | None,
    after: Endpoint | None,
) -> None:
    """Write that an endpoint is not as before; None for where it is not there."""
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
