"""EndpointService over REST: endpoints themselves; see `deployments` for the rest."""

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homeport.api import requests
from homeport.edge import codec, masks, messages, translate, translate_warnings
from homeport.errors import InvalidArgumentError
from homeport.resources.endpoint import Endpoint
from homeport.resources.names import EndpointName
from homeport.serving.endpoints import Endpoints
from homeport.serving.specs import EndpointPatch, EndpointSpec

_PATCHED = ("display_name", "description", "labels", "traffic_split")


def routes(endpoints: Endpoints, replicas: Callable[[str], int | None]) -> list[Route]:
    """Return the routes of endpoints, without the version prefix.

    Args:
        endpoints: What is wanted.
        replicas: How many replicas of a deployed model, by its id, answer now.
    """
    return [
        *_long_update(endpoints),
        *_writers(endpoints),
        *_readers(endpoints, replicas),
    ]


def _writers(endpoints: Endpoints) -> list[Route]:
    async def create_endpoint(request: Request) -> Response:
        message = await requests.read(request, messages.EndpointMessage)
        spec = _spec(request, message)
        operation = await asyncio.to_thread(
            endpoints.create,
            requests.parent(request),
            spec,
            requests.query_value(request, "endpoint_id"),
            caller=requests.caller(request),
        )
        name = EndpointName.parse(operation.result["endpoint"])
        made = await asyncio.to_thread(endpoints.get, name)
        return requests.told(request, operation, _told(request, made))

    async def update_endpoint(request: Request) -> Response:
        message = await requests.read(request, messages.EndpointMessage)
        patch = _patch(message, requests.query_value(request, "update_mask"))
        name = requests.endpoint_name(request)
        updated = await asyncio.to_thread(
            endpoints.update, name, patch, caller=requests.caller(request)
        )
        return requests.answer(_told(request, updated))

    async def delete_endpoint(request: Request) -> Response:
        name = requests.endpoint_name(request)
        operation = await asyncio.to_thread(
            endpoints.delete, name, caller=requests.caller(request)
        )
        return requests.told(request, operation)

    return [
        Route(requests.PARENT + "/endpoints", create_endpoint, methods=["POST"]),
        Route(requests.ENDPOINT, update_endpoint, methods=["PATCH"]),
        Route(requests.ENDPOINT, delete_endpoint, methods=["DELETE"]),
    ]


def _readers(
    endpoints: Endpoints, replicas: Callable[[str], int | None]
) -> list[Route]:
    async def list_endpoints(request: Request) -> Response:
        parent = requests.parent(request)
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

    async def get_endpoint(request: Request) -> Response:
        name = requests.endpoint_name(request)
        found = await asyncio.to_thread(endpoints.get, name)
        return requests.answer(_told(request, found, replicas))

    return [
        Route(requests.PARENT + "/endpoints", list_endpoints, methods=["GET"]),
        Route(requests.ENDPOINT, get_endpoint, methods=["GET"]),
    ]


def _long_update(endpoints: Endpoints) -> list[Route]:
    async def update_endpoint_long_running(request: Request) -> Response:
        asked = await requests.read(request, messages.UpdateEndpointLongRunningRequest)
        message = asked.endpoint or messages.EndpointMessage()
        name = requests.endpoint_name(request)
        operation = await asyncio.to_thread(
            endpoints.update_connection,
            name,
            _spec(request, message),
            message.etag,
            caller=requests.caller(request),
        )
        made = await asyncio.to_thread(endpoints.get, name)
        return requests.told(request, operation, _told(request, made))

    return [
        Route(
            requests.ENDPOINT + ":update",
            update_endpoint_long_running,
            methods=["POST"],
        )
    ]


def _told(
    request: Request,
    endpoint: Endpoint,
    replicas: Callable[[str], int | None] = lambda _: None,
) -> messages.EndpointMessage:
    dns = requests.dedicated_dns(request)
    return translate.endpoint_message(endpoint, dns, replicas)


def _spec(request: Request, message: messages.EndpointMessage) -> EndpointSpec:
    has_https = bool(requests.dedicated_dns(request))
    warnings = translate_warnings.of_endpoint(message, has_https=has_https)
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
