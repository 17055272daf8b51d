"""Whose turn it is to answer a prediction request, or why it is nobody's."""

import asyncio
from collections.abc import Iterable
from typing import Final

from homeport.errors import FailedPreconditionError, NotFoundError, UnavailableError
from homeport.resources.names import EndpointName
from homeport.serving.endpoints import Endpoints
from homeport.serving.router import Router, Share

STICKY_HEADER: Final = b"x-homeport-sticky-key"
Headers = Iterable[tuple[bytes, bytes]]


class Turns:
    """Gives the turn to a deployed model.

    Args:
        router: Who answers.
        endpoints: Says why nobody does.
    """

    def __init__(self, router: Router, endpoints: Endpoints) -> None:
        self._router = router
        self._endpoints = endpoints

    async def next(self, endpoint: str, headers: Headers) -> Share:
        """Return who answers a request on an endpoint.

        Args:
            endpoint: Its full name.
            headers: The request's, names in lower case.

        Raises:
            NotFoundError: No such endpoint.
            FailedPreconditionError: It has no traffic.
            UnavailableError: Its models are not there yet.
        """
        route = self._router.find(endpoint)
        share = None
        if route is not None:
            key = value_of(STICKY_HEADER, headers) if route.is_split else None
            share = route.next() if key is None else route.stuck_to(key)
        if share is not None:
            return share
        name = EndpointName.parse(endpoint)
        found = await asyncio.to_thread(self._endpoints.get, name)
        if not found.traffic_split:
            # The service's own sentence; clients match it.
            raise FailedPreconditionError(
                f"Endpoint {name} doesn't have traffic_split. Give what is deployed "
                "there a share with `homeport traffic` (trafficSplit of the endpoint), "
                "or deploy a model with one: `homeport deploy --traffic 100`, "
                'trafficSplit {"0": 100} over REST.',
                resource=endpoint,
            )
        raise UnavailableError(
            f"endpoint {name} is starting its models: retry in a moment",
            resource=endpoint,
        )

    async def of(self, endpoint: str, deployed_id: str) -> Share:
        """Return a deployed model that a request names, with or without traffic.

        Raises:
            NotFoundError: No such endpoint or deployed model.
            UnavailableError: The model is not there yet.
        """
        route = self._router.find(endpoint)
        share = route.of(deployed_id) if route is not None else None
        if share is not None:
            return share
        name = EndpointName.parse(endpoint)
        found = await asyncio.to_thread(self._endpoints.get, name)
        ids = sorted(one.id for one in found.deployed_models)
        if deployed_id not in ids:
            raise NotFoundError(
                f"{name} has no deployed model {deployed_id!r:.80}; it has {ids}"
            )
        raise UnavailableError(
            f"deployed model {deployed_id} is being started: retry in a moment",
            resource=endpoint,
        )


def value_of(name: bytes, headers: Headers) -> bytes | None:
    """Return the value of a header, None without it.

    Args:
        name: In lower case.
        headers: Names in lower case.
    """
    for found, value in headers:
        if found == name:
            return value
    return None
