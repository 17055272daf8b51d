"""Handover: a server that follows another one gives traffic to what answers here.

What was deployed through another server has proven itself there and begins to start
here only then. Until it answers here, or has failed to start, requests go where they
went, also to what is to be undeployed. What was undeployed and is deployed again
begins once its former replicas have ended.
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
    found = (running[id_] for id_ in takers if id_ in running)
    return any(one.awaited or one.ends for one in found)
