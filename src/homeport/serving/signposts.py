"""What the router knows of an endpoint: who answers, and how answers name him."""

from collections.abc import Mapping

import orjson

from homeport.resources.endpoint import DeployedModel, Endpoint
from homeport.serving.router import Route, Share
from homeport.serving.starting import Running
from homeport.telemetry import Metrics


def route(
    endpoint: Endpoint, running: Mapping[str, Running], metrics: Metrics
) -> Route:
    """Return how an endpoint's requests are shared out among those that run.

    Args:
        endpoint: Its split and its deployed models.
        running: What runs, by the ids of deployed models.
        metrics: Each share has its own.
    """
    shares = []
    for deployed in endpoint.deployed_models:
        found = running.get(deployed.id)
        if found is not None and found.pool is not None:
            shares.append(
                Share(
                    deployed.id,
                    endpoint.traffic_split.get(deployed.id, 0),
                    found.pool,
                    _tail(deployed),
                    _headers(deployed),
                    metrics.meter(endpoint.name.endpoint, deployed.id),
                    found.environment,
                )
            )
    return Route(shares)


def _tail(deployed: DeployedModel) -> bytes:
    fields = {
        "deployedModelId": deployed.id,
        "model": str(deployed.version.unversioned),
        "modelVersionId": deployed.version.version,
        "modelDisplayName": deployed.model_display_name,
    }
    return b"," + orjson.dumps(fields)[1:]


def _headers(deployed: DeployedModel) -> tuple[tuple[bytes, bytes], ...]:
    """Return what names a deployed model in a raw response, as the service does."""
    named = {
        b"x-vertex-ai-endpoint-id": deployed.endpoint.endpoint,
        b"x-vertex-ai-deployed-model-id": deployed.id,
        b"x-vertex-ai-model": str(deployed.version.unversioned),
        b"x-vertex-ai-model-version-id": deployed.version.version,
    }
    return tuple((name, value.encode()) for name, value in named.items())
