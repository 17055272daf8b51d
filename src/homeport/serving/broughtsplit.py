"""The traffic split that a deployment brings once it answers."""

import json
from collections.abc import Mapping

from homeport.errors import AbortedError, InvalidArgumentError
from homeport.metadata.endpoint_rows import Deployment
from homeport.resources.endpoint import (
    PLACEHOLDER_ID,
    Endpoint,
    check_split,
    with_traffic,
)
from homeport.serving import desk


def applied(
    deployment: Deployment, endpoint: Endpoint, coming: frozenset[str]
) -> Mapping[str, int]:
    """Return the endpoint's split once the deployment answers.

    Args:
        deployment: It serves already.
        endpoint: As it stands.
        coming: The ids of others that are wanted with the same split.

    Raises:
        AbortedError: Somebody else changed the split meanwhile.
        InvalidArgumentError: The split names what does not serve.
    """
    if not deployment.wanted_split:
        return endpoint.traffic_split
    _check_found(deployment, endpoint)
    own_id = deployment.deployed_model.id
    split = {
        own_id if key == PLACEHOLDER_ID else key: percent
        for key, percent in deployment.wanted_split.items()
    }
    serving = desk.serving_ids(endpoint)
    if split.keys() - serving and split.keys() <= serving | coming:
        # Of several that come for one split, the last brings it.
        return endpoint.traffic_split
    try:
        check_split(split, serving)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"the endpoint changed during the deployment: {error.message}"
        ) from error
    return split


def _check_found(deployment: Deployment, endpoint: Endpoint) -> None:
    """Refuse to overwrite a split that the caller has never seen."""
    found = deployment.found_split
    if found is None or with_traffic(found) == with_traffic(endpoint.traffic_split):
        return
    raise AbortedError(
        f"the traffic split of {endpoint.name} was changed from "
        f"{json.dumps(dict(found))} to {json.dumps(dict(endpoint.traffic_split))} "
        "during the deployment: read the endpoint again and deploy with a split that "
        "fits",
        resource=str(endpoint.name),
    )
