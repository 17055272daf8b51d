"""Our own routes of endpoints: traffic states, rolling back, a deployment's stages."""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from homeport.api import requests
from homeport.api.endpoints import endpoint_name
from homeport.edge import codec, scalars
from homeport.registry.operations import Operations
from homeport.resources.names import OperationName
from homeport.resources.operation import Operation
from homeport.resources.traffic import TrafficState
from homeport.serving.deployments import Deployments
from homeport.serving.endpoints import Endpoints

_ENDPOINT: Final = (
    "/homeport/v1/projects/{project}/locations/{location}/endpoints/{endpoint}"
)


class RollbackRequest(codec.Message):
    """Which traffic state is wanted again; 0 for the one before the newest."""

    state: codec.Int64 = 0


def router(
    deployments: Deployments, endpoints: Endpoints, operations: Operations
) -> APIRouter:
    """Return the routes."""
    routes = APIRouter()
    _add_traffic(routes, deployments, endpoints)

    @routes.get(_ENDPOINT + "/operations/{operation}/stages")
    async def stages(
        project: str, location: str, endpoint: str, operation: str
    ) -> Response:
        name = endpoint_name(project, location, endpoint)
        asked = OperationName.parse(f"{name}/operations/{operation}")
        found = await asyncio.to_thread(operations.get, asked)
        return requests.answer({"stages": _stages(found)})

    return routes


def _add_traffic(
    routes: APIRouter, deployments: Deployments, endpoints: Endpoints
) -> None:
    @routes.get(_ENDPOINT + "/trafficStates")
    async def list_states(
        request: Request, project: str, location: str, endpoint: str
    ) -> Response:
        name = endpoint_name(project, location, endpoint)
        page = requests.page_request(request, "ListTrafficStates", str(name))
        found, token = await asyncio.to_thread(endpoints.traffic_states, name, page)
        states = [_document(one) for one in found]
        return requests.page("trafficStates", states, token)

    @routes.post(_ENDPOINT + ":rollback")
    async def roll_back(
        request: Request, project: str, location: str, endpoint: str
    ) -> Response:
        name = endpoint_name(project, location, endpoint)
        wanted = await requests.read(request, RollbackRequest)
        state, promised = await asyncio.to_thread(
            deployments.roll_back, name, wanted.state, caller=requests.caller(request)
        )
        told = [requests.operation(request, one) for one in promised]
        return requests.answer({"state": _document(state), "operations": told})


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
