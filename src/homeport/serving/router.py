"""Router: from an endpoint's name to the deployed model that takes the next request.

The table is replaced entry by entry on the event loop; looking up a request touches
neither the database nor a lock.
"""

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Final

from homeport.resources.names import EndpointName
from homeport.serving.pool import Pool
from homeport.telemetry import PredictionMeter

_HASH_BYTES: Final = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Share:
    """One deployed model's part in an endpoint's traffic.

    Attributes:
        deployed_id: The deployed model's id.
        percent: Of the endpoint's requests.
        pool: Its replicas.
        tail: What follows the predictions in a response: the JSON of the fields that
            name the deployed model, from the first comma to the closing brace.
        headers: What names the deployed model in a raw response.
        meter: Counts its predictions.
        environment: The deployment's variables; no error repeats their values.
    """

    deployed_id: str
    percent: int
    pool: Pool
    tail: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    meter: PredictionMeter
    environment: Mapping[str, str]


class Route:
    """Shares an endpoint's requests out as its split says, without drawing lots.

    Over any 100 requests in a row each deployed model gets its percentage exactly, and
    its turns are spread evenly (smooth weighted round-robin).

    Args:
        shares: Those that serve; all at 0 percent for an endpoint without traffic.
    """

    def __init__(self, shares: Sequence[Share]) -> None:
        self._by_id = {share.deployed_id: share for share in shares}
        self._shares = tuple(share for share in shares if share.percent > 0)
        self._credit = [0] * len(self._shares)
        self._total = sum(share.percent for share in self._shares)
        self.is_split = len(self._shares) > 1
        """Whether more than one deployed model has traffic."""

    @property
    def has_traffic(self) -> bool:
        """Whether any deployed model has traffic."""
        return bool(self._shares)

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

    def stuck_to(self, key: bytes) -> Share | None:
        """Return whose `key` always is, None if nobody has traffic.

        Of many keys each deployed model has its percentage. When the split changes, a
        key moves only to one whose share has grown against that of the one it leaves
        (weighted rendezvous hashing), so a small change moves few.
        """
        return max(self._shares, key=lambda share: _pull(share, key), default=None)

    def of(self, deployed_id: str) -> Share | None:
        """Return a deployed model, whatever its traffic; None if it does not serve."""
        return self._by_id.get(deployed_id)


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


def _pull(share: Share, key: bytes) -> float:
    """Return how much a deployed model attracts a key."""
    named = b"%b %b" % (share.deployed_id.encode(), key)
    hashed = hashlib.blake2b(named, digest_size=_HASH_BYTES)
    # Inside 0 and 1: neither end has a logarithm that divides.
    point = (int.from_bytes(hashed.digest()) + 0.5) / 2 ** (8 * _HASH_BYTES)
    return share.percent / -math.log(min(point, 1 - 2**-53))
