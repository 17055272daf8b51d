"""google.cloud.location.Locations over REST: every location there could be."""

import asyncio

from fastapi import APIRouter, Response

from homeport.api import requests
from homeport.edge import messages
from homeport.registry.locations import Locations
from homeport.resources.names import Parent


def router(locations: Locations) -> APIRouter:
    """Return the routes of locations, without the version prefix."""
    routes = APIRouter()

    @routes.get("/projects/{project}/locations")
    async def list_locations(project: str) -> Response:
        found = await asyncio.to_thread(locations.list_locations, project)
        shown = tuple(_location(one) for one in found)
        return requests.answer(messages.ListLocationsResponse(locations=shown))

    @routes.get("/projects/{project}/locations/{location}")
    async def get_location(project: str, location: str) -> Response:
        return requests.answer(
            _location(Parent.parse(f"projects/{project}/locations/{location}"))
        )

    return routes


def _location(parent: Parent) -> messages.Location:
    return messages.Location(name=str(parent), location_id=parent.location)
