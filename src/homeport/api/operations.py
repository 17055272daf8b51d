"""google.longrunning.Operations over REST, under every path clients poll."""

import asyncio
import dataclasses

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homeport.api import requests
from homeport.edge import scalars, translate
from homeport.edge.messages import DeployedModelMessage, EndpointMessage
from homeport.errors import InvalidArgumentError, NotFoundError
from homeport.registry.operations import Operations
from homeport.resources.names import EndpointName, OperationName
from homeport.resources.operation import Operation, OperationKind
from homeport.serving.endpoints import Endpoints

_LONGEST_WAIT_S = 60.0
_OF_ENDPOINTS = frozenset(
    {OperationKind.CREATE_ENDPOINT, OperationKind.UPDATE_ENDPOINT}
)
_OF_DEPLOYED_MODELS = frozenset(
    {OperationKind.DEPLOY_MODEL, OperationKind.MUTATE_DEPLOYED_MODEL}
)
_PARENTS = (
    requests.PARENT,
    requests.PARENT + "/models/{resource}",
    requests.PARENT + "/endpoints/{resource}",
)
_OPERATION = "/operations/{operation}"


def routes(operations: Operations, endpoints: Endpoints) -> list[Route]:
    """Return the routes of operations, without the version prefix."""
    return [*_readers(operations, endpoints), *_writers(operations)]


def _readers(operations: Operations, endpoints: Endpoints) -> list[Route]:
    async def get_operation(request: Request) -> Response:
        # On one thread: this is polled.
        return await asyncio.to_thread(_get, operations, endpoints, request)

    async def wait_operation(request: Request) -> Response:
        name = _name(request)
        timeout_s = _timeout_s(requests.query_value(request, "timeout"))
        found = await operations.wait(name, timeout_s)
        made = await asyncio.to_thread(
            _made, endpoints, found, requests.dedicated_dns(request)
        )
        return requests.told(request, found, made)

    async def list_operations(request: Request) -> Response:
        return await asyncio.to_thread(_list, operations, endpoints, request)

    return [
        route
        for parent in _PARENTS
        for route in (
            Route(parent + _OPERATION, get_operation, methods=["GET"]),
            Route(parent + _OPERATION + ":wait", wait_operation, methods=["POST"]),
            Route(parent + "/operations", list_operations, methods=["GET"]),
        )
    ]


def _writers(operations: Operations) -> list[Route]:
    async def cancel_operation(request: Request) -> Response:
        await asyncio.to_thread(operations.cancel, _name(request))
        return requests.answer({})

    async def delete_operation(request: Request) -> Response:
        await asyncio.to_thread(operations.forget, _name(request))
        return requests.answer({})

    return [
        route
        for parent in _PARENTS
        for route in (
            Route(parent + _OPERATION + ":cancel", cancel_operation, methods=["POST"]),
            Route(parent + _OPERATION, delete_operation, methods=["DELETE"]),
        )
    ]


def _get(operations: Operations, endpoints: Endpoints, request: Request) -> Response:
    found = operations.get(_name(request))
    made = _made(endpoints, found, requests.dedicated_dns(request))
    return requests.told(request, found, made)


def _list(operations: Operations, endpoints: Endpoints, request: Request) -> Response:
    path = requests.below_version(request).removesuffix("/operations")
    # What a name below it would be parsed to.
    below = OperationName.parse(f"{path}/operations/1")
    page = requests.page_request(request, "ListOperations", path)
    newest_first = dataclasses.replace(page.query, order_by="create_time desc")
    found, token = operations.list_operations(
        below.parent, below.resource, dataclasses.replace(page, query=newest_first)
    )
    dns = requests.dedicated_dns(request)
    told = [
        requests.operation(request, one, _made(endpoints, one, dns)) for one in found
    ]
    pages = {"nextPageToken": token} if token else {}
    return requests.answer(({"operations": told} if told else {}) | pages)


def _made(
    endpoints: Endpoints, operation: Operation, dns: str
) -> EndpointMessage | DeployedModelMessage | None:
    """Return what an ended operation made or changed, None if it is gone again."""
    if not operation.result:
        return None
    parent, resource = operation.name.parent, operation.name.resource
    try:
        if operation.kind in _OF_ENDPOINTS:
            name = EndpointName.parse(operation.result["endpoint"])
            return translate.endpoint_message(endpoints.get(name), dns)
        if operation.kind in _OF_DEPLOYED_MODELS:
            endpoint = endpoints.get(EndpointName.parse(f"{parent}/{resource}"))
            for deployed in endpoint.deployed_models:
                if deployed.id == operation.result["deployed_model"]:
                    return translate.deployed_model_message(deployed)
    except NotFoundError:
        return None
    return None


def _name(request: Request) -> OperationName:
    path = requests.below_version(request)
    return OperationName.parse(path.removesuffix(":wait").removesuffix(":cancel"))


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
