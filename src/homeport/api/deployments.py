"""EndpointService over REST: what is deployed, changed and undeployed."""

import asyncio
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homeport.api import requests
from homeport.edge import messages, translate, translate_warnings
from homeport.errors import InvalidArgumentError
from homeport.registry.operations import Operations
from homeport.resources.endpoint import DeployedModel
from homeport.resources.names import EndpointName
from homeport.serving.deployments import Deployments
from homeport.serving.endpoints import Endpoints
from homeport.serving.specs import DeployedModelPatch, DeploySpec

_LOGGING: Final = "disable_container_logging"
# MutateDeployedModelRequest.update_mask (aiplatform v1).
_MUTABLE: Final = (
    "dedicated_resources.min_replica_count",
    "dedicated_resources.max_replica_count",
    "dedicated_resources.required_replica_count",
    "dedicated_resources.autoscaling_metric_specs",
    "automatic_resources.min_replica_count",
    "automatic_resources.max_replica_count",
    _LOGGING,
)
_KINDS: Final = ("dedicated_resources", "automatic_resources")
_METRICS: Final = "autoscaling_metric_specs"
_FEWEST: Final = "min_replica_count"
_MOST: Final = "max_replica_count"
_COUNTS: Final = frozenset({_FEWEST, _MOST})


def routes(
    deployments: Deployments, endpoints: Endpoints, operations: Operations
) -> list[Route]:
    """Return the routes of deployed models, without the version prefix."""
    return [*_deploy(deployments, operations), *_mutate(deployments, endpoints)]


def _deploy(deployments: Deployments, operations: Operations) -> list[Route]:
    async def deploy_model(request: Request) -> Response:
        name = requests.endpoint_name(request)
        message = await requests.read(request, messages.DeployModelRequest)
        deployed = message.deployed_model
        if deployed is None or not deployed.model:
            raise InvalidArgumentError(
                "deployed_model.model is missing: name the model or version to deploy"
            )
        spec = DeploySpec(
            model=translate.model_name(deployed.model, name.parent),
            traffic_split=message.traffic_split,
            deployed_model_id=deployed.id,
            display_name=deployed.display_name,
            resources=translate.dedicated_resources(deployed),
            kept=deployed.kept_values(),
            warnings=translate_warnings.of_deployment(message),
        )
        operation = await asyncio.to_thread(
            deployments.deploy, name, spec, caller=requests.caller(request)
        )
        return await requests.promised(request, operations, operation)

    async def undeploy_model(request: Request) -> Response:
        message = await requests.read(request, messages.UndeployModelRequest)
        if not message.deployed_model_id:
            raise InvalidArgumentError(
                "deployed_model_id is missing: name the deployed model to undeploy"
            )
        operation = await asyncio.to_thread(
            deployments.undeploy,
            requests.endpoint_name(request),
            message.deployed_model_id,
            message.traffic_split,
            caller=requests.caller(request),
        )
        return await requests.promised(request, operations, operation)

    return [
        Route(requests.ENDPOINT + ":deployModel", deploy_model, methods=["POST"]),
        Route(requests.ENDPOINT + ":undeployModel", undeploy_model, methods=["POST"]),
    ]


def _mutate(deployments: Deployments, endpoints: Endpoints) -> list[Route]:
    async def mutate_deployed_model(request: Request) -> Response:
        name = requests.endpoint_name(request)
        asked = await requests.read(request, messages.MutateDeployedModelRequest)
        message = asked.deployed_model
        if message is None or not message.id:
            raise InvalidArgumentError(
                "deployed_model.id is missing: name the deployed model to change"
            )
        operation = await asyncio.to_thread(
            deployments.mutate,
            name,
            message.id,
            _patch(message, asked.update_mask or ()),
            caller=requests.caller(request),
        )
        made = await asyncio.to_thread(_deployed, endpoints, name, message.id)
        told = None if made is None else translate.deployed_model_message(made)
        return requests.told(request, operation, told)

    return [
        Route(
            requests.ENDPOINT + ":mutateDeployedModel",
            mutate_deployed_model,
            methods=["POST"],
        )
    ]


def _deployed(
    endpoints: Endpoints, name: EndpointName, deployed_id: str
) -> DeployedModel | None:
    models = endpoints.get(name).deployed_models
    return next((one for one in models if one.id == deployed_id), None)


def _patch(
    message: messages.DeployedModelMessage, mask: tuple[str, ...]
) -> DeployedModelPatch:
    """Return what the mask names; AIP-134: none means what is set."""
    given = _given(message)
    paths = set(mask) or {path for path, value in given.items() if value}
    if paths == {"*"}:
        # Of the two kinds of resources it has one.
        paths = {_LOGGING, *(kind for kind in _KINDS if getattr(message, kind))}
    for whole in paths & set(_KINDS):
        paths.remove(whole)
        paths |= {path for path in _MUTABLE if path.startswith(f"{whole}.")}
    unknown = sorted(paths - set(_MUTABLE))
    if unknown or not paths:
        named = ", ".join(unknown) or "nothing"
        raise InvalidArgumentError(
            f"update_mask names {named}: of a deployed model {', '.join(_MUTABLE)} can "
            "be changed"
        )
    resources, kept_resources = dict[str, Any](), dict[str, Any]()
    for path in paths - {_LOGGING}:
        field = path.rpartition(".")[2]
        if field == _METRICS:
            targets = translate.dedicated_resources(message).metric_targets
            resources["metric_targets"] = targets
        else:
            (resources if field in _COUNTS else kept_resources)[field] = given[path]
    if resources.get(_MOST) == 0:
        # As of a deployment: the minimum, where no maximum is given.
        resources[_MOST] = resources.get(_FEWEST, 0)
    kept = {_LOGGING: given[_LOGGING]} if _LOGGING in paths else {}
    return DeployedModelPatch(resources, kept_resources, kept)


def _given(message: messages.DeployedModelMessage) -> dict[str, Any]:
    """Return the value of each path that can be changed."""
    dedicated = message.dedicated_resources or messages.DedicatedResourcesMessage()
    automatic = message.automatic_resources or messages.AutomaticResources()
    parts = dict(zip(_KINDS, (dedicated, automatic), strict=True))
    values: dict[str, Any] = {}
    for path in _MUTABLE:
        part, _, field = path.rpartition(".")
        values[path] = getattr(parts[part] if part else message, field)
    return values
