"""google.cloud.location.Locations over REST: every location there could be."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homeport.api import requests
from homeport.edge import messages
from homeport.registry.locations import Locations
from homeport.resources.names import Parent

_ALL = "/projects/{project}/locations"


def routes(locations: Locations) -> list[Route]:
    """Return the routes of locations, without the version prefix."""

    async def list_locations(request: Request) -> Response:
        project = request.path_params["project"]
        found = await asyncio.to_thread(locations.list_locations, project)
        shown = tuple(_location(one) for one in found)
        return requests.answer(messages.ListLocationsResponse(locations=shown))

    async def get_location(request: Request) -> Response:
        return requests.answer(_location(requests.parent(request)))

    return [
        Route(_ALL, list_locations, methods=["GET"]),
        Route(requests.PARENT, get_location, methods=["GET"]),
    ]


def _location(parent: Parent) -> messages.Location:
    return messages.Location(name=str(parent), location_id=parent.location)
