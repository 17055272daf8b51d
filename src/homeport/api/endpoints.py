"""EndpointService over REST: create, get, list, patch, delete, deploy, undeploy."""

import asyncio
from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from homeport.api import requests
from homeport.edge import codec, masks, messages, translate
from homeport.errors import InvalidArgumentError
from homeport.registry.operations import Operations
from homeport.resources.names import EndpointName, Parent
from homeport.serving.endpoints import Endpoints
from homeport.serving.specs import DeploySpec, EndpointPatch, EndpointSpec

_PARENT = "/projects/{project}/locations/{location}"
_ENDPOINT = _PARENT + "/endpoints/{endpoint}"
_PATCHED = ("display_name", "description", "labels", "traffic_split")


def router(
    endpoints: Endpoints,
    operations: Operations,
    replicas: Callable[[str], int | None],
) -> APIRouter:
    """Return the routes of EndpointService, without the version prefix.

    Args:
        endpoints: What is wanted.
        operations: The ledger of promises.
        replicas: How many replicas of a deployed model, by its id, answer now.
    """
    routes = APIRouter()
    _add_crud(routes, endpoints, replicas)
    _add_deployment(routes, endpoints, operations)
    return routes


def _add_crud(
    routes: APIRouter, endpoints: Endpoints, replicas: Callable[[str], int | None]
) -> None:
    @routes.post(_PARENT + "/endpoints")
    async def create_endpoint(
        request: Request, project: str, location: str
    ) -> Response:
        message = await requests.read(request, messages.EndpointMessage)
        spec = EndpointSpec(
            display_name=message.display_name,
            description=message.description,
            labels=message.labels,
            kept=message.kept_values(),
            warnings=translate.no_effect(message),
        )
        operation = await asyncio.to_thread(
            endpoints.create,
            _parent(project, location),
            spec,
            requests.query_value(request, "endpoint_id"),
            caller=requests.caller(request),
        )
        name = EndpointName.parse(operation.result["endpoint"])
        made = await asyncio.to_thread(endpoints.get, name)
        return requests.told(request, operation, translate.endpoint_message(made))

    @routes.get(_PARENT + "/endpoints")
    async def list_endpoints(request: Request, project: str, location: str) -> Response:
        parent = _parent(project, location)
        page = requests.page_request(request, "ListEndpoints", str(parent))
        found, token = await asyncio.to_thread(endpoints.list_endpoints, parent, page)
        shown = masks.shown(
            messages.EndpointMessage,
            (translate.endpoint_message(one, replicas) for one in found),
            requests.query_value(request, "read_mask"),
        )
        return requests.answer(
            messages.ListEndpointsResponse(endpoints=shown, next_page_token=token)
        )

    @routes.get(_ENDPOINT)
    async def get_endpoint(project: str, location: str, endpoint: str) -> Response:
        name = _name(project, location, endpoint)
        found = await asyncio.to_thread(endpoints.get, name)
        return requests.answer(translate.endpoint_message(found, replicas))

    @routes.patch(_ENDPOINT)
    async def update_endpoint(
        request: Request, project: str, location: str, endpoint: str
    ) -> Response:
        message = await requests.read(request, messages.EndpointMessage)
        patch = _patch(message, requests.query_value(request, "update_mask"))
        name = _name(project, location, endpoint)
        updated = await asyncio.to_thread(
            endpoints.update, name, patch, caller=requests.caller(request)
        )
        return requests.answer(translate.endpoint_message(updated))

    @routes.delete(_ENDPOINT)
    async def delete_endpoint(
        request: Request, project: str, location: str, endpoint: str
    ) -> Response:
        name = _name(project, location, endpoint)
        operation = await asyncio.to_thread(
            endpoints.delete, name, caller=requests.caller(request)
        )
        return requests.told(request, operation)


def _add_deployment(
    routes: APIRouter, endpoints: Endpoints, operations: Operations
) -> None:
    @routes.post(_ENDPOINT + ":deployModel")
    async def deploy_model(
        request: Request, project: str, location: str, endpoint: str
    ) -> Response:
        name = _name(project, location, endpoint)
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
            warnings=translate.no_effect(message),
        )
        operation = await asyncio.to_thread(
            endpoints.deploy, name, spec, caller=requests.caller(request)
        )
        return await requests.promised(request, operations, operation)

    @routes.post(_ENDPOINT + ":undeployModel")
    async def undeploy_model(
        request: Request, project: str, location: str, endpoint: str
    ) -> Response:
        message = await requests.read(request, messages.UndeployModelRequest)
        operation = await asyncio.to_thread(
            endpoints.undeploy,
            _name(project, location, endpoint),
            message.deployed_model_id,
            message.traffic_split,
            caller=requests.caller(request),
        )
        return await requests.promised(request, operations, operation)


def _patch(message: messages.EndpointMessage, mask: str) -> EndpointPatch:
    """Return the fields that the mask names; AIP-134: none means those that are set."""
    paths = set(codec.parse_field_mask(mask))
    if not paths:
        paths = {name for name in _PATCHED if getattr(message, name)}
    if paths == {"*"}:
        paths = set(_PATCHED)
    unknown = sorted(paths - set(_PATCHED))
    if unknown:
        raise InvalidArgumentError(
            f"update_mask names {', '.join(unknown)}: an endpoint's "
            f"{', '.join(_PATCHED)} can be updated"
        )
    return EndpointPatch(
        display_name=message.display_name if "display_name" in paths else None,
        description=message.description if "description" in paths else None,
        labels=message.labels if "labels" in paths else None,
        traffic_split=message.traffic_split if "traffic_split" in paths else None,
        etag=message.etag,
    )


def _name(project: str, location: str, endpoint: str) -> EndpointName:
    return EndpointName.parse(f"{Parent(project, location)}/endpoints/{endpoint}")


def _parent(project: str, location: str) -> Parent:
    return Parent.parse(f"projects/{project}/locations/{location}")
