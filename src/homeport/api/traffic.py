"""Our own routes of endpoints: traffic states, rolling back, a deployment's stages."""

import asyncio
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homeport.api import requests
from homeport.edge import scalars
from homeport.edge.messages_traffic import RollbackRequest
from homeport.registry.operations import Operations
from homeport.resources.names import OperationName
from homeport.resources.operation import Operation
from homeport.resources.traffic import TrafficState
from homeport.serving.deployments import Deployments
from homeport.serving.endpoints import Endpoints

_ENDPOINT: Final = "/homeport/v1" + requests.ENDPOINT


def routes(
    deployments: Deployments, endpoints: Endpoints, operations: Operations
) -> list[Route]:
    """Return the routes."""

    async def stages(request: Request) -> Response:
        name = requests.endpoint_name(request)
        operation = request.path_params["operation"]
        asked = OperationName.parse(f"{name}/operations/{operation}")
        found = await asyncio.to_thread(operations.get, asked)
        return requests.answer({"stages": _stages(found)})

    return [
        *_traffic(deployments, endpoints),
        Route(_ENDPOINT + "/operations/{operation}/stages", stages, methods=["GET"]),
    ]


def _traffic(deployments: Deployments, endpoints: Endpoints) -> list[Route]:
    async def list_states(request: Request) -> Response:
        name = requests.endpoint_name(request)
        page = requests.page_request(request, "ListTrafficStates", str(name))
        found, token = await asyncio.to_thread(endpoints.traffic_states, name, page)
        states = [_document(one) for one in found]
        return requests.page("trafficStates", states, token)

    async def roll_back(request: Request) -> Response:
        name = requests.endpoint_name(request)
        wanted = await requests.read(request, RollbackRequest)
        state, promised = await asyncio.to_thread(
            deployments.roll_back, name, wanted.state, caller=requests.caller(request)
        )
        told = [requests.operation(request, one) for one in promised]
        return requests.answer({"state": _document(state), "operations": told})

    return [
        Route(_ENDPOINT + "/trafficStates", list_states, methods=["GET"]),
        Route(_ENDPOINT + ":rollback", roll_back, methods=["POST"]),
    ]


def _document(state: TrafficState) -> dict[str, Any]:
    return {
        "state": str(state.number),
        "time": scalars.write_timestamp(state.time),
        "caller": state.caller,
        "trafficSplit": dict(state.split),
        "models": {
            deployed_id: str(placed.version)
            for deployed_id, placed in state.models.items()
        },
    }


def _stages(operation: Operation) -> list[dict[str, str]]:
    return [
        {"stage": one.stage.value, "time": scalars.write_timestamp(one.time)}
        for one in operation.stages
    ]
