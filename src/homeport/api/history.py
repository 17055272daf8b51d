"""The history over REST: ours, not Vertex AI's."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homeport.api import requests
from homeport.edge import scalars
from homeport.errors import InvalidArgumentError
from homeport.registry.history import History
from homeport.resources.change import Change, ChangeKind
from homeport.resources.names import Parent

_PARENT = "/homeport/v1" + requests.PARENT
_MODEL = "/homeport/v1" + requests.MODEL
_ENDPOINT = "/homeport/v1" + requests.ENDPOINT


def routes(history: History) -> list[Route]:
    """Return the routes about the history."""

    async def get_alias(request: Request) -> Response:
        name = requests.model_name(request)
        alias = request.path_params["alias"]
        time = requests.time_value(request, "at")
        point = await asyncio.to_thread(history.alias_at, name.unversioned, alias, time)
        version = {"versionId": point.version} if point.version else {}
        return requests.answer(
            {
                "model": str(name.unversioned),
                "alias": alias,
                **version,
                "change": _document(point.change),
            }
        )

    return [
        *_lists(history),
        Route(_MODEL + "/aliases/{alias}", get_alias, methods=["GET"]),
    ]


def _lists(history: History) -> list[Route]:
    async def list_all(request: Request) -> Response:
        parent = requests.parent(request)
        return await _page(request, history, parent, "")

    async def list_of_model(request: Request) -> Response:
        name = requests.model_name(request)
        if name.version:
            raise InvalidArgumentError(
                f"{name} names a version: name the model and filter by its key"
            )
        return await _page(request, history, name.parent, f"models/{name.model}")

    async def list_of_endpoint(request: Request) -> Response:
        name = requests.endpoint_name(request)
        return await _page(request, history, name.parent, f"endpoints/{name.endpoint}")

    return [
        Route(_PARENT + "/history", list_all, methods=["GET"]),
        Route(_MODEL + "/history", list_of_model, methods=["GET"]),
        Route(_ENDPOINT + "/history", list_of_endpoint, methods=["GET"]),
    ]


async def _page(
    request: Request, history: History, parent: Parent, resource: str
) -> Response:
    page = requests.page_request(request, "ListChanges", f"{parent}/{resource}")
    changes, token = await asyncio.to_thread(
        history.list_changes, parent, resource, page
    )
    return requests.page("changes", [_document(one) for one in changes], token)


def _document(change: Change) -> dict[str, Any]:
    subject = change.subject
    name = f"{subject.parent}/{subject.resource}"
    if subject.kind is ChangeKind.VERSION:
        name = f"{name}@{subject.key}"
    states = {"before": change.before, "after": change.after}
    return {
        "sequence": str(change.sequence),
        "time": scalars.write_timestamp(change.time),
        "caller": change.caller,
        "resource": name,
        "kind": subject.kind.value,
        **({"key": subject.key} if subject.key else {}),
        "action": change.action.value,
        **{key: state for key, state in states.items() if state is not None},
    }
