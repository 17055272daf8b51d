"""google.longrunning.Operations over REST, under every path clients poll."""

import asyncio

from fastapi import APIRouter, Request, Response

from homeport.api import requests
from homeport.edge import scalars, translate
from homeport.edge.messages import DeployedModelMessage, EndpointMessage
from homeport.errors import InvalidArgumentError, NotFoundError
from homeport.registry.operations import Operations
from homeport.resources.names import EndpointName, OperationName
from homeport.resources.operation import Operation, OperationKind
from homeport.serving.endpoints import Endpoints

_LONGEST_WAIT_S = 60.0
_PARENTS = (
    "/projects/{project}/locations/{location}",
    "/projects/{project}/locations/{location}/models/{resource}",
    "/projects/{project}/locations/{location}/endpoints/{resource}",
)


def router(operations: Operations, endpoints: Endpoints) -> APIRouter:
    """Return the routes of operations, without the version prefix."""
    routes = APIRouter()

    async def get_operation(request: Request) -> Response:
        name = _name(request)
        found = await asyncio.to_thread(operations.get, name)
        made = await asyncio.to_thread(_made, endpoints, found)
        return requests.told(request, found, made)

    async def wait_operation(request: Request) -> Response:
        name = _name(request)
        timeout_s = _timeout_s(requests.query_value(request, "timeout"))
        found = await operations.wait(name, timeout_s)
        made = await asyncio.to_thread(_made, endpoints, found)
        return requests.told(request, found, made)

    for parent in _PARENTS:
        path = parent + "/operations/{operation}"
        routes.add_api_route(path + ":wait", wait_operation, methods=["POST"])
        routes.add_api_route(path, get_operation, methods=["GET"])
    return routes


def _made(
    endpoints: Endpoints, operation: Operation
) -> EndpointMessage | DeployedModelMessage | None:
    """Return what an ended create or deploy made, None if it is gone again."""
    if not operation.result:
        return None
    parent, resource = operation.name.parent, operation.name.resource
    try:
        if operation.kind is OperationKind.CREATE_ENDPOINT:
            name = EndpointName.parse(operation.result["endpoint"])
            return translate.endpoint_message(endpoints.get(name))
        if operation.kind is OperationKind.DEPLOY_MODEL:
            endpoint = endpoints.get(EndpointName.parse(f"{parent}/{resource}"))
            for deployed in endpoint.deployed_models:
                if deployed.id == operation.result["deployed_model"]:
                    return translate.deployed_model_message(deployed)
    except NotFoundError:
        return None
    return None


def _name(request: Request) -> OperationName:
    path = request.url.path.removesuffix(":wait")
    # Without the version prefix: /v1, /v1beta1 or /ui.
    return OperationName.parse(path.split("/", 2)[2])


def _timeout_s(text: str) -> float:
    if not text:
        return _LONGEST_WAIT_S
    try:
        seconds = scalars.read_duration(text).total_seconds()
    except ValueError as error:
        raise InvalidArgumentError(
            f"timeout is {text!r}: expected seconds such as 10s"
        ) from error
    return min(max(seconds, 0.0), _LONGEST_WAIT_S)
