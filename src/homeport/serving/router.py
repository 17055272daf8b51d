"""Router: from an endpoint's name to the deployed model that takes the next request.

The table is replaced entry by entry on the event loop; looking up a request touches
neither the database nor a lock.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from homeport.resources.names import EndpointName
from homeport.serving.pool import Pool
from homeport.telemetry import PredictionMeter


@dataclasses.dataclass(frozen=True, slots=True)
class Share:
    """One deployed model's part in an endpoint's traffic.

    Attributes:
        percent: Of the endpoint's requests, above 0.
        pool: Its replicas.
        tail: What follows the predictions in a response: the JSON of the fields that
            name the deployed model, from the first comma to the closing brace.
        meter: Counts its predictions.
        environment: The deployment's variables; no error repeats their values.
    """

    percent: int
    pool: Pool
    tail: bytes
    meter: PredictionMeter
    environment: Mapping[str, str]


class Route:
    """Shares an endpoint's requests out as its split says, without drawing lots.

    Over any 100 requests in a row each deployed model gets its percentage exactly, and
    its turns are spread evenly (smooth weighted round-robin).

    Args:
        shares: Those above 0 percent; empty for an endpoint without traffic.
    """

    def __init__(self, shares: Sequence[Share]) -> None:
        self._shares = tuple(shares)
        self._credit = [0] * len(shares)
        self._total = sum(share.percent for share in shares)

    def next(self) -> Share | None:
        """Return whose turn it is, None if nobody has traffic."""
        shares = self._shares
        if len(shares) <= 1:
            return shares[0] if shares else None
        credit = self._credit
        best = 0
        for index, share in enumerate(shares):
            credit[index] += share.percent
            if credit[index] > credit[best]:
                best = index
        credit[best] -= self._total
        return shares[best]


class Router:
    """The routes of all endpoints."""

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}

    def find(self, endpoint: str) -> Route | None:
        """Return the route of the endpoint with this full name, None if unknown."""
        return self._routes.get(endpoint)

    def put(self, endpoint: EndpointName, route: Route) -> None:
        """Set or replace an endpoint's route."""
        self._routes[str(endpoint)] = route

    def drop(self, endpoint: EndpointName) -> None:
        """Forget an endpoint; one that is not known is fine."""
        self._routes.pop(str(endpoint), None)
