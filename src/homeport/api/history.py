"""The history over REST: ours, not Vertex AI's."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response

from homeport.api import requests
from homeport.edge import scalars
from homeport.errors import InvalidArgumentError
from homeport.registry.history import History
from homeport.resources.change import Change, ChangeKind
from homeport.resources.names import EndpointName, ModelName, Parent

_PARENT = "/homeport/v1/projects/{project}/locations/{location}"
_MODEL = _PARENT + "/models/{model}"


def router(history: History) -> APIRouter:
    """Return the routes about the history."""
    routes = APIRouter()
    _add_lists(routes, history)

    @routes.get(_MODEL + "/aliases/{alias}")
    async def get_alias(
        request: Request, project: str, location: str, model: str, alias: str
    ) -> Response:
        name = ModelName.parse(f"{Parent(project, location)}/models/{model}")
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

    return routes


def _add_lists(routes: APIRouter, history: History) -> None:
    @routes.get(_PARENT + "/history")
    async def list_all(request: Request, project: str, location: str) -> Response:
        parent = Parent.parse(f"projects/{project}/locations/{location}")
        return await _page(request, history, parent, "")

    @routes.get(_MODEL + "/history")
    async def list_of_model(
        request: Request, project: str, location: str, model: str
    ) -> Response:
        name = ModelName.parse(f"{Parent(project, location)}/models/{model}")
        if name.version:
            raise InvalidArgumentError(
                f"{name} names a version: name the model and filter by its key"
            )
        return await _page(request, history, name.parent, f"models/{name.model}")

    @routes.get(_PARENT + "/endpoints/{endpoint}/history")
    async def list_of_endpoint(
        request: Request, project: str, location: str, endpoint: str
    ) -> Response:
        name = EndpointName.parse(f"{Parent(project, location)}/endpoints/{endpoint}")
        return await _page(request, history, name.parent, f"endpoints/{name.endpoint}")


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
