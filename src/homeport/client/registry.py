"""Models, endpoints and predictions, as the command line uses them."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from homeport.client import resources
from homeport.client.connection import Connection
from homeport.errors import HomeportError

_REGISTER_TIMEOUT_S: Final = 3600.0


@dataclasses.dataclass(frozen=True, slots=True)
class Model:
    """A model as a list shows it.

    Attributes:
        name: Full name, without version.
        display_name: For people.
        version: The id of the version shown, the default one in a list of models.
        aliases: Of that version.
        labels: Of model and version.
        update_time: RFC 3339.
    """

    name: str
    display_name: str
    version: str
    aliases: tuple[str, ...]
    labels: Mapping[str, str]
    update_time: str

    @property
    def id(self) -> str:
        """The last segment of its name."""
        return self.name.rpartition("/")[2]


@dataclasses.dataclass(frozen=True, slots=True)
class Registered:
    """A version that was registered.

    Attributes:
        name: Full, with the version's id.
        warnings: What had no effect or failed its check, one sentence each.
    """

    name: str
    warnings: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Deployed:
    """A deployed model as an endpoint shows it."""

    id: str
    model: str
    version: str
    percent: int


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as a list shows it."""

    name: str
    display_name: str
    deployed: tuple[Deployed, ...]

    @property
    def id(self) -> str:
        """The last segment of its name."""
        return self.name.rpartition("/")[2]


def register(connection: Connection, model: Mapping[str, Any]) -> Registered:
    """Register a version and wait until it is there, checked if the server does.

    It becomes a version of the model that has its display name, or makes that model.
    """
    operation = begin_registering(connection, model)
    # Checks take their turns, and build environments.
    return registered(connection.ended(operation, _REGISTER_TIMEOUT_S))


def begin_registering(
    connection: Connection, model: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the operation that registers a version, see `register`."""
    path = f"/v1/{connection.address.parent}/models:upload?upsert=true"
    return connection.post(path, {"model": dict(model)})


def registered(ended: Mapping[str, Any]) -> Registered:
    """Return what an operation of `begin_registering` has registered."""
    generic = ended["metadata"]["genericMetadata"]
    response = ended["response"]
    return Registered(
        name=f"{response['model']}@{response['modelVersionId']}",
        warnings=tuple(one["message"] for one in generic.get("partialFailures", ())),
    )


def check(connection: Connection, version: str) -> dict[str, Any]:
    """Return what came of checking a version: model, state, detail, time, report.

    Args:
        connection: The server.
        version: Full name, with `@ID` or `@alias`; without, the default version.
    """
    return connection.get(f"/homeport/v1/{version}/check")


def find_version(connection: Connection, wanted: str, version: str) -> Model:
    """Return a version by its id or alias, of the model that is meant.

    Raises:
        NotFoundError: No such model.
        NotFoundError: It has no such version.
        InvalidArgumentError: Several models have this display name.
    """
    model = resources.find(connection, "models", wanted)
    found = _model(connection.get(f"/v1/{model}@{version}"))
    return dataclasses.replace(found, name=model)


def make_default(connection: Connection, version: str) -> None:
    """Make the version with this full name the one that its model's name means."""
    path = f"/v1/{version}:mergeVersionAliases"
    connection.post(path, {"versionAliases": ["default"]})


def create_endpoint(connection: Connection, display_name: str) -> Endpoint:
    """Create an endpoint."""
    path = f"/v1/{connection.address.parent}/endpoints"
    operation = connection.post(path, {"displayName": display_name})
    return _endpoint(connection.wait(operation))


def find_endpoint(connection: Connection, wanted: str) -> Endpoint:
    """Return the endpoint with this full name, id or display name.

    Raises:
        NotFoundError: None has it.
        InvalidArgumentError: Several have this display name.
    """
    name = resources.find(connection, "endpoints", wanted)
    return _endpoint(resources.get(connection, name))


def deploy(
    connection: Connection,
    endpoint: Endpoint,
    version: str,
    split: Mapping[str, int],
    replicas: int,
) -> Deployed:
    """Deploy a version and wait until it answers; see `begin_deploying`."""
    operation = begin_deploying(connection, endpoint, version, split, replicas)
    return deployed(connection.ended(operation), split)


def begin_deploying(
    connection: Connection,
    endpoint: Endpoint,
    version: str,
    split: Mapping[str, int],
    replicas: int,
) -> dict[str, Any]:
    """Return the operation that deploys a version.

    Args:
        connection: The server.
        endpoint: Where to.
        version: Full name with `@ID`.
        split: The endpoint's split, with "0" for the new one.
        replicas: How many.
    """
    wanted = {
        "machineSpec": {},
        "minReplicaCount": replicas,
        "maxReplicaCount": replicas,
    }
    request = {
        "deployedModel": {"model": version, "dedicatedResources": wanted},
        "trafficSplit": dict(split),
    }
    return connection.post(f"/v1/{endpoint.name}:deployModel", request)


def deployed(ended: Mapping[str, Any], split: Mapping[str, int]) -> Deployed:
    """Return what an operation of `begin_deploying` has deployed."""
    made = ended["response"]["deployedModel"]
    return Deployed(made["id"], made["model"], made["modelVersionId"], split["0"])


def undeploy(
    connection: Connection,
    endpoint: Endpoint,
    deployed_id: str,
    split: Mapping[str, int] | None = None,
) -> None:
    """Undeploy a model and wait until it is gone.

    Args:
        connection: The server.
        endpoint: Where it is deployed.
        deployed_id: Which.
        split: The split of the others; may be left out if it has no traffic or is the
            last one.
    """
    path = f"/v1/{endpoint.name}:undeployModel"
    request = {"deployedModelId": deployed_id, "trafficSplit": dict(split or {})}
    connection.wait(connection.post(path, request))


def set_traffic(
    connection: Connection, endpoint: Endpoint, split: Mapping[str, int]
) -> None:
    """Replace an endpoint's split."""
    connection.patch(
        f"/v1/{endpoint.name}", {"trafficSplit": dict(split)}, updateMask="trafficSplit"
    )


def roll_back(connection: Connection, endpoint: Endpoint, state: int) -> str:
    """Bring back an earlier traffic state and wait for it; return its number.

    Args:
        connection: The server.
        endpoint: Whose traffic.
        state: Its number, 0 for the one before the newest.
    """
    path = f"/homeport/v1/{endpoint.name}:rollback"
    answer = connection.post(path, {"state": str(state)})
    for operation in answer["operations"]:
        connection.wait(operation)
    return str(answer["state"]["state"])


def traffic_states(connection: Connection, endpoint: Endpoint) -> list[dict[str, Any]]:
    """Return the traffic states of an endpoint, the newest first."""
    path = f"/homeport/v1/{endpoint.name}/trafficStates"
    return [dict(one) for one in resources.paged(connection, path)]


def delete_endpoint(connection: Connection, endpoint: Endpoint) -> None:
    """Delete an endpoint to which nothing is deployed."""
    connection.wait(connection.delete(f"/v1/{endpoint.name}"))


def remove_empty(connection: Connection, endpoint: Endpoint) -> bool:
    """Delete an endpoint made for a deployment that failed; tell whether it is gone.

    It stays where something is deployed to it, or still being deployed.
    """
    try:
        delete_endpoint(connection, endpoint)
    except HomeportError:
        return False
    return True


def predict(connection: Connection, endpoint: Endpoint, body: bytes) -> bytes:
    """Return the response to a prediction request, both as JSON text."""
    return connection.post_bytes(f"/v1/{endpoint.name}:predict", body)


def job_logs(connection: Connection, job: str, lines: int) -> list[str]:
    """Return the last log lines of the batch job with this full name."""
    found: list[str] = connection.get(f"/homeport/v1/{job}/logs", lines=lines)["lines"]
    return found


def logs(connection: Connection, endpoint: str, lines: int) -> dict[str, list[str]]:
    """Return the last log lines of what is deployed to an endpoint, by their ids."""
    found = connection.get(f"/homeport/v1/{endpoint}/logs", lines=lines)
    tails: dict[str, list[str]] = found["deployedModels"]
    return tails


def _model(found: Mapping[str, Any]) -> Model:
    return Model(
        name=found["name"].partition("@")[0],
        display_name=found["displayName"],
        version=found["versionId"],
        aliases=tuple(found.get("versionAliases", ())),
        labels=found.get("labels", {}),
        update_time=found["versionUpdateTime"],
    )


def _endpoint(found: Mapping[str, Any]) -> Endpoint:
    split = found.get("trafficSplit", {})
    return Endpoint(
        name=found["name"],
        display_name=found.get("displayName", ""),
        deployed=tuple(
            Deployed(
                one["id"], one["model"], one["modelVersionId"], split.get(one["id"], 0)
            )
            for one in found.get("deployedModels", ())
        ),
    )
