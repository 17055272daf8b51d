"""EndpointService over REST: endpoints themselves; see `deployments` for the rest."""

import asyncio
from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from homeport.api import requests
from homeport.edge import codec, masks, messages, translate
from homeport.errors import InvalidArgumentError
from homeport.resources.endpoint import Endpoint
from homeport.resources.names import EndpointName, Parent
from homeport.serving.endpoints import Endpoints
from homeport.serving.specs import EndpointPatch, EndpointSpec

_PARENT = "/projects/{project}/locations/{location}"
_ENDPOINT = _PARENT + "/endpoints/{endpoint}"
_PATCHED = ("display_name", "description", "labels", "traffic_split")


def router(endpoints: Endpoints, replicas: Callable[[str], int | None]) -> APIRouter:
    """Return the routes of endpoints, without the version prefix.

    Args:
        endpoints: What is wanted.
        replicas: How many replicas of a deployed model, by its id, answer now.
    """
    routes = APIRouter()
    _add_long_update(routes, endpoints)
    _add_writers(routes, endpoints)
    _add_readers(routes, endpoints, replicas)
    return routes


def endpoint_name(project: str, location: str, endpoint: str) -> EndpointName:
    """Return the endpoint that a path names.

    Raises:
        InvalidArgumentError: A part of it cannot be a name.
    """
    return EndpointName.parse(f"{Parent(project, location)}/endpoints/{endpoint}")


def _add_writers(routes: APIRouter, endpoints: Endpoints) -> None:
    @routes.post(_PARENT + "/endpoints")
    async def create_endpoint(
        request: Request, project: str, location: str
    ) -> Response:
        message = await requests.read(request, messages.EndpointMessage)
        spec = _spec(request, message)
        operation = await asyncio.to_thread(
            endpoints.create,
            _parent(project, location),
            spec,
            requests.query_value(request, "endpoint_id"),
            caller=requests.caller(request),
        )
        name = EndpointName.parse(operation.result["endpoint"])
        made = await asyncio.to_thread(endpoints.get, name)
        return requests.told(request, operation, _told(request, made))

    @routes.patch(_ENDPOINT)
    async def update_endpoint(
        request: Request, project: str, location: str, endpoint: str
    ) -> Response:
        message = await requests.read(request, messages.EndpointMessage)
        patch = _patch(message, requests.query_value(request, "update_mask"))
        name = endpoint_name(project, location, endpoint)
        updated = await asyncio.to_thread(
            endpoints.update, name, patch, caller=requests.caller(request)
        )
        return requests.answer(_told(request, updated))

    @routes.delete(_ENDPOINT)
    async def delete_endpoint(
        request: Request, project: str, location: str, endpoint: str
    ) -> Response:
        name = endpoint_name(project, location, endpoint)
        operation = await asyncio.to_thread(
            endpoints.delete, name, caller=requests.caller(request)
        )
        return requests.told(request, operation)


def _add_readers(
    routes: APIRouter, endpoints: Endpoints, replicas: Callable[[str], int | None]
) -> None:
    @routes.get(_PARENT + "/endpoints")
    async def list_endpoints(request: Request, project: str, location: str) -> Response:
        parent = _parent(project, location)
        page = requests.page_request(request, "ListEndpoints", str(parent))
        found, token = await asyncio.to_thread(endpoints.list_endpoints, parent, page)
        shown = masks.shown(
            messages.EndpointMessage,
            (_told(request, one, replicas) for one in found),
            requests.query_value(request, "read_mask"),
        )
        return requests.answer(
            messages.ListEndpointsResponse(endpoints=shown, next_page_token=token)
        )

    @routes.get(_ENDPOINT)
    async def get_endpoint(
        request: Request, project: str, location: str, endpoint: str
    ) -> Response:
        name = endpoint_name(project, location, endpoint)
        found = await asyncio.to_thread(endpoints.get, name)
        return requests.answer(_told(request, found, replicas))


def _add_long_update(routes: APIRouter, endpoints: Endpoints) -> None:
    @routes.post(_ENDPOINT + ":update")
    async def update_endpoint_long_running(
        request: Request, project: str, location: str, endpoint: str
    ) -> Response:
        asked = await requests.read(request, messages.UpdateEndpointLongRunningRequest)
        message = asked.endpoint or messages.EndpointMessage()
        name = endpoint_name(project, location, endpoint)
        operation = await asyncio.to_thread(
            endpoints.update_connection,
            name,
            _spec(request, message),
            message.etag,
            caller=requests.caller(request),
        )
        made = await asyncio.to_thread(endpoints.get, name)
        return requests.told(request, operation, _told(request, made))


def _told(
    request: Request,
    endpoint: Endpoint,
    replicas: Callable[[str], int | None] = lambda _: None,
) -> messages.EndpointMessage:
    dns = requests.dedicated_dns(request)
    return translate.endpoint_message(endpoint, dns, replicas)


def _spec(request: Request, message: messages.EndpointMessage) -> EndpointSpec:
    acting = ["client_connection_config"]
    if requests.dedicated_dns(request):
        acting.append("dedicated_endpoint_enabled")
    warnings = translate.no_effect(message, but=acting)
    return EndpointSpec(
        display_name=message.display_name,
        description=message.description,
        labels=message.labels,
        kept=message.kept_values(),
        warnings=warnings,
    )


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


def _parent(project: str, location: str) -> Parent:
    return Parent.parse(f"projects/{project}/locations/{location}")
