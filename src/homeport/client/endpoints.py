"""Endpoints as a Python program uses them: deployments, traffic and predictions."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, final

import orjson

from homeport.client import instances as requests
from homeport.client import registry, resources, results
from homeport.client import traffic as splits
from homeport.client.connection import Answer, Connection
from homeport.client.results import Endpoint, ModelVersion, TrafficState
from homeport.client.tables import Listing
from homeport.errors import (
    FailedPreconditionError,
    HomeportError,
    InvalidArgumentError,
    NotFoundError,
)

if TYPE_CHECKING:
    import numpy as np

_JSON: Final = {"content-type": "application/json"}
# Replicas of a large model take their time.
_DEPLOY_TIMEOUT_S: Final = 3600.0
_STICKY: Final = "X-Homeport-Sticky-Key"

Wanted = str | Endpoint


@dataclasses.dataclass(frozen=True, slots=True)
class Prediction:
    """What a model predicted.

    Attributes:
        predictions: One for each instance, in their order.
        explanations: One for each instance, where they were asked for.
        deployed_model_id: Which deployed model answered.
        model: Its full name, without version.
        version_id: Which version.
    """

    predictions: list[Any]
    explanations: list[Any]
    deployed_model_id: str
    model: str
    version_id: str

    def numpy(self) -> "np.ndarray[Any, Any]":
        """Return the predictions as one array; numpy must be installed.

        Raises:
            InvalidArgumentError: They are not of one shape.
        """
        # Deferred: an extra, and who only sends texts needs none.
        import numpy as np  # noqa: PLC0415

        try:
            return np.asarray(self.predictions)
        except ValueError as error:
            raise InvalidArgumentError(
                f"the {len(self.predictions)} predictions are not of one shape: read "
                "them from .predictions"
            ) from error


@final
class Endpoints:
    """The endpoints of one server.

    An endpoint is named by an `Endpoint`, or by its full name, id or display name as
    text; a deployed model by its id, or by its version: "2" or "v2".
    `ModelRegistry.endpoints` is one of these.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self,
        display_name: str,
        *,
        description: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> Endpoint:
        """Make an endpoint."""
        request = {
            "displayName": display_name,
            "description": description,
            "labels": dict(labels or {}),
        }
        path = f"/v1/{self._connection.address.parent}/endpoints"
        made = self._connection.wait(self._connection.post(path, request))
        return results.endpoint(self._connection.get(f"/v1/{made['name']}"))

    def list_endpoints(
        self,
        filter: str = "",  # noqa: A002  # Vertex AI's name for it
    ) -> Listing[Endpoint]:
        """Return the endpoints; a filter is AIP-160, such as `labels.team=a`."""
        path = f"{self._connection.address.parent}/endpoints"
        found = resources.listed(self._connection, path, resources.Listing(filter))
        return Listing(tuple(map(results.endpoint, found)))

    def get(self, endpoint: Wanted) -> Endpoint:
        """Return an endpoint as it is now.

        Raises:
            NotFoundError: There is none.
            InvalidArgumentError: Several have this display name.
        """
        name = endpoint.resource_name if isinstance(endpoint, Endpoint) else endpoint
        return results.endpoint(resources.found(self._connection, "endpoints", name))

    def update(
        self,
        endpoint: Wanted,
        *,
        display_name: str | None = None,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Endpoint:
        """Change what is given, and nothing else; return the endpoint as it is then.

        Args:
            endpoint: Which.
            display_name: For people.
            description: Of it.
            labels: All of them, in place of those there are.
        """
        changed = {
            "displayName": display_name,
            "description": description,
            "labels": labels,
        }
        name = self._name(endpoint)
        return results.endpoint(resources.changed(self._connection, name, changed))

    def delete(self, endpoint: Wanted, *, force: bool = False) -> None:
        """Delete an endpoint; with `force` what is deployed there is undeployed first.

        Raises:
            FailedPreconditionError: Models are deployed to it.
        """
        found = self.get(endpoint)
        # Those without traffic first: the last one needs nobody to take its share.
        leaving = sorted(found.deployed, key=lambda one: one.traffic_percent)
        for one in leaving if force else ():
            self.undeploy(found, one.id)
        self._connection.wait(self._connection.delete(f"/v1/{found.resource_name}"))

    def deploy(
        self,
        endpoint: Wanted,
        version: ModelVersion,
        *,
        traffic_percent: int = 100,
        min_replica_count: int = 1,
        max_replica_count: int = 0,
        machine_spec: Mapping[str, Any] | None = None,
    ) -> Endpoint:
        """Deploy a version and wait until every replica answers; return the endpoint.

        Args:
            endpoint: Where to; made if no endpoint has this display name.
            version: Which; it is pinned, aliases that move later move no traffic.
            traffic_percent: For the new one, all of it where nothing else has traffic;
                the others keep their proportions.
            min_replica_count: So many replicas run always.
            max_replica_count: So many run under load; 0 for the minimum.
            machine_spec: What each replica asks of the machine, as Vertex AI's REST
                names it: `{"acceleratorType": "NVIDIA_L4", "acceleratorCount": 1}`.

        Raises:
            FailedPreconditionError: The version does not load; the sentence says why.
                An endpoint that was made for it is removed again.
        """
        _check_percent(traffic_percent)
        found, is_new = self._found_or_made(endpoint)
        machine = {
            "machineSpec": dict(machine_spec or {}),
            "minReplicaCount": min_replica_count,
            "maxReplicaCount": max_replica_count or min_replica_count,
        }
        request = {
            "deployedModel": {
                "model": version.versioned_name,
                "displayName": version.display_name,
                "dedicatedResources": machine,
            },
            "trafficSplit": splits.with_new(_plain(found), traffic_percent),
        }
        path = f"/v1/{found.resource_name}:deployModel"
        try:
            operation = self._connection.post(path, request)
            self._connection.wait(operation, _DEPLOY_TIMEOUT_S)
        except HomeportError:
            if is_new:
                registry.remove_empty(self._connection, _plain(found))
            raise
        return self.get(found)

    def undeploy(self, endpoint: Wanted, deployed: str) -> Endpoint:
        """Undeploy a model; its share goes to the others, as they share."""
        found = _plain(self.get(endpoint))
        leaving = splits.find_deployed(found, deployed)
        split = splits.without(found, leaving)
        registry.undeploy(self._connection, found, leaving.id, split)
        return self.get(found.name)

    def set_traffic(self, endpoint: Wanted, split: Mapping[str, int]) -> Endpoint:
        """Share the traffic anew; who is not named gets none.

        Args:
            endpoint: Whose.
            split: Percents that sum to 100, by deployed model or version: {"v2": 100}.
        """
        found = _plain(self.get(endpoint))
        shares = tuple(f"{wanted}={percent}" for wanted, percent in split.items())
        registry.set_traffic(self._connection, found, splits.of_shares(found, shares))
        return self.get(found.name)

    def rollback(self, endpoint: Wanted, state: int = 0) -> Endpoint:
        """Bring back the traffic before the newest change, or an earlier state."""
        found = _plain(self.get(endpoint))
        registry.roll_back(self._connection, found, state)
        return self.get(found.name)

    def traffic_states(self, endpoint: Wanted) -> Listing[TrafficState]:
        """Return every traffic an endpoint had, in the server's order."""
        found = registry.traffic_states(self._connection, _plain(self.get(endpoint)))
        return Listing(tuple(map(results.traffic_state, found)))

    def predict(
        self,
        endpoint: Wanted,
        instances: object,
        parameters: object = None,
        *,
        sticky_key: str = "",
    ) -> Prediction:
        """Return the predictions for some instances.

        Args:
            endpoint: Who is asked.
            instances: A list of them, or a numpy array or torch tensor whose first axis
                they are. Arrays may also stand within; bytes become `{"b64": ...}`.
            parameters: Of the model.
            sticky_key: The same key goes to the same deployed model.

        Raises:
            InvalidArgumentError: NaN, infinity or a dtype that JSON does not have; or
                the model refuses the instances.
        """
        body = requests.request(instances, parameters)
        headers = {**_JSON, **({_STICKY: sticky_key} if sticky_key else {})}
        return _prediction(self._post(endpoint, "predict", body, headers).content)

    def explain(
        self,
        endpoint: Wanted,
        instances: object,
        parameters: object = None,
        *,
        deployed_model_id: str = "",
    ) -> Prediction:
        """Return predictions with what the handler says led to each of them."""
        fields = {"deployedModelId": deployed_model_id} if deployed_model_id else {}
        body = requests.request(instances, parameters, fields)
        return _prediction(self._post(endpoint, "explain", body, _JSON).content)

    def raw_predict(
        self,
        endpoint: Wanted,
        body: bytes,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Hand bytes to the handler; return what it answers: status, headers, content.

        Args:
            endpoint: Who is asked.
            body: Whatever the handler reads.
            headers: `content-type` and whatever else it reads; JSON without.
        """
        return self._post(endpoint, "rawPredict", body, {**_JSON, **(headers or {})})

    def stream(
        self,
        endpoint: Wanted,
        body: bytes,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[bytes]:
        """Yield what a handler streams, as it comes; see `raw_predict`."""
        path = f"/v1/{self._name(endpoint)}:streamRawPredict"
        told = {**_JSON, **(headers or {})}
        with self._connection.stream(
            "POST", path, content=body, headers=told
        ) as pieces:
            yield from pieces

    def logs(self, endpoint: Wanted, lines: int = 100) -> Mapping[str, list[str]]:
        """Return the last lines of an endpoint's replicas, by deployed model."""
        name = self.get(endpoint).resource_name
        return registry.logs(self._connection, name, lines)

    def _post(
        self, endpoint: Wanted, verb: str, body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        path = f"/v1/{self._name(endpoint)}:{verb}"
        return self._connection.exchange("POST", path, content=body, headers=headers)

    def _name(self, endpoint: Wanted) -> str:
        """Return a full name, without asking the server where it is one already."""
        if isinstance(endpoint, Endpoint):
            return endpoint.resource_name
        if endpoint.startswith("projects/"):
            return resources.quoted(endpoint)
        return self.get(endpoint).resource_name

    def _found_or_made(self, endpoint: Wanted) -> tuple[Endpoint, bool]:
        """Return the endpoint that is wanted, and whether it was made for that."""
        try:
            return self.get(endpoint), False
        except NotFoundError:
            if isinstance(endpoint, Endpoint) or endpoint.startswith("projects/"):
                raise
            return self.create(endpoint), True


def _plain(endpoint: Endpoint) -> registry.Endpoint:
    """Return an endpoint as the sharing of traffic knows it."""
    deployed: Iterable[registry.Deployed] = (
        registry.Deployed(one.id, one.model, one.version_id, one.traffic_percent)
        for one in endpoint.deployed
    )
    return registry.Endpoint(
        endpoint.resource_name, endpoint.display_name, tuple(deployed)
    )


def _prediction(content: bytes) -> Prediction:
    try:
        found = orjson.loads(content)
        return Prediction(
            predictions=found["predictions"],
            explanations=found.get("explanations", []),
            deployed_model_id=found.get("deployedModelId", ""),
            model=found.get("model", "").partition("@")[0],
            version_id=found.get("modelVersionId", ""),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise FailedPreconditionError(
            "the endpoint answered no predictions: what it returns is read with "
            "raw_predict"
        ) from error


def _check_percent(percent: int) -> None:
    if not 0 < percent <= 100:  # noqa: PLR2004  # percent
        raise InvalidArgumentError(f"traffic_percent is {percent}: expected 1 to 100")
