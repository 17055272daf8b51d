"""Handover: a server that follows another one gives traffic to what answers here.

What was deployed through another server has proven itself there and begins to start
here only then. Until it answers here, or has failed to start, requests go where they
went, also to what is to be undeployed.
"""

from collections.abc import Mapping

from homeport.resources.endpoint import Endpoint
from homeport.serving.router import Route
from homeport.serving.starting import Running


def is_held(
    standing: Route | None, endpoint: Endpoint | None, running: Mapping[str, Running]
) -> bool:
    """Tell whether an endpoint's requests go on where they went.

    Args:
        standing: Where that is; None after a start.
        endpoint: As it is wanted now, None if it is gone.
        running: What runs, by the ids of deployed models.
    """
    if standing is None or endpoint is None or not standing.has_traffic:
        return False
    takers = (id_ for id_, percent in endpoint.traffic_split.items() if percent)
    return any(id_ in running and running[id_].awaited for id_ in takers)
