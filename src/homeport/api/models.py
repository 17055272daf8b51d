"""ModelService over REST: upload, update, aliases, delete; `model_reads` reads."""

import asyncio

from fastapi import APIRouter, Request, Response

from homeport.api import requests
from homeport.edge import messages, translate
from homeport.errors import InvalidArgumentError
from homeport.registry.catalog import Catalog
from homeport.registry.operations import Operations
from homeport.registry.targets import Target
from homeport.registry.upload import Uploads
from homeport.resources.names import ModelName, Parent

_PARENT = "/projects/{project}/locations/{location}"
_MODEL = _PARENT + "/models/{model}"


def router(catalog: Catalog, uploads: Uploads, operations: Operations) -> APIRouter:
    """Return the routes of ModelService, without the version prefix."""
    routes = APIRouter()
    _add_readers(routes, catalog)
    _add_upload(routes, uploads, operations)
    _add_writers(routes, catalog)
    return routes


def _add_readers(routes: APIRouter, catalog: Catalog) -> None:
    @routes.get(_MODEL + ":listCheckpoints")
    async def list_checkpoints(project: str, location: str, model: str) -> Response:
        name = _name(project, location, model)
        # Only tuning makes checkpoints, and nothing is tuned here.
        await asyncio.to_thread(catalog.get, name)
        return requests.answer({})


def _add_upload(routes: APIRouter, uploads: Uploads, operations: Operations) -> None:
    @routes.post(_PARENT + "/models:upload")
    async def upload_model(request: Request, project: str, location: str) -> Response:
        parent = _parent(project, location)
        message = await requests.read(request, messages.UploadModelRequest)
        if message.model is None:
            raise InvalidArgumentError("model is missing: say what to register")
        parent_model = (
            translate.model_name(message.parent_model, parent)
            if message.parent_model
            else None
        )
        operation = await asyncio.to_thread(
            uploads.upload,
            Target(parent, parent_model, message.model_id, upsert=_upsert(request)),
            translate.version_spec(message.model),
            translate.upload_warnings(message),
            caller=requests.caller(request),
        )
        return await requests.promised(request, operations, operation)


def _add_writers(routes: APIRouter, catalog: Catalog) -> None:
    @routes.patch(_MODEL)
    async def update_model(
        request: Request, project: str, location: str, model: str
    ) -> Response:
        name = _name(project, location, model.removesuffix("@-"))
        message = await requests.read(request, messages.ModelMessage)
        mask = requests.query_value(request, "update_mask")
        patch = translate.model_patch(message, mask, versioned=bool(name.version))
        updated = await asyncio.to_thread(
            catalog.update, name, patch, caller=requests.caller(request)
        )
        versioned = bool(name.version)
        return requests.answer(translate.model_message(updated, versioned=versioned))

    @routes.post(_MODEL + ":mergeVersionAliases")
    async def merge_version_aliases(
        request: Request, project: str, location: str, model: str
    ) -> Response:
        message = await requests.read(request, messages.MergeVersionAliasesRequest)
        version = await asyncio.to_thread(
            catalog.merge_aliases,
            _name(project, location, model),
            message.version_aliases,
            caller=requests.caller(request),
        )
        return requests.answer(translate.model_message(version, versioned=True))

    @routes.delete(_MODEL + ":deleteVersion")
    async def delete_model_version(
        request: Request, project: str, location: str, model: str
    ) -> Response:
        name = _name(project, location, model)
        operation = await asyncio.to_thread(
            catalog.delete_version, name, caller=requests.caller(request)
        )
        return requests.told(request, operation)

    @routes.delete(_MODEL)
    async def delete_model(
        request: Request, project: str, location: str, model: str
    ) -> Response:
        name = _name(project, location, model)
        operation = await asyncio.to_thread(
            catalog.delete_model, name, caller=requests.caller(request)
        )
        return requests.told(request, operation)


def _upsert(request: Request) -> bool:
    """Tell whether an upload asks for what Vertex AI does not have; see `Target`."""
    told = requests.query_value(request, "upsert")
    if told not in {"", "true", "false"}:
        raise InvalidArgumentError(f"upsert is {told!r:.40}: expected true or false")
    return told == "true"


def _name(project: str, location: str, model: str) -> ModelName:
    return ModelName.parse(f"{Parent(project, location)}/models/{model}")


def _parent(project: str, location: str) -> Parent:
    return Parent.parse(f"projects/{project}/locations/{location}")
