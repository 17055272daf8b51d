"""ModelService over REST: upload, update, aliases, delete; `model_reads` reads."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homeport.api import requests
from homeport.edge import messages, translate, translate_warnings
from homeport.errors import InvalidArgumentError
from homeport.registry.catalog import Catalog
from homeport.registry.operations import Operations
from homeport.registry.targets import Target
from homeport.registry.upload import Uploads
from homeport.serving import engines

# The model itself, whose fields belong to all of its versions.
_EVERY_VERSION = "-"


def routes(catalog: Catalog, uploads: Uploads, operations: Operations) -> list[Route]:
    """Return the routes of ModelService, without the version prefix."""
    return [*_readers(catalog), *_upload(uploads, operations), *_writers(catalog)]


def _readers(catalog: Catalog) -> list[Route]:
    async def list_checkpoints(request: Request) -> Response:
        name = requests.model_name(request)
        # Only tuning makes checkpoints, and nothing is tuned here.
        await asyncio.to_thread(catalog.get, name)
        return requests.answer({})

    return [
        Route(requests.MODEL + ":listCheckpoints", list_checkpoints, methods=["GET"])
    ]


def _upload(uploads: Uploads, operations: Operations) -> list[Route]:
    async def upload_model(request: Request) -> Response:
        parent = requests.parent(request)
        message = await requests.read(request, messages.UploadModelRequest)
        if message.model is None:
            raise InvalidArgumentError("model is missing: say what to register")
        parent_model = (
            translate.model_name(message.parent_model, parent)
            if message.parent_model
            else None
        )
        spec = translate.version_spec(message.model)
        operation = await asyncio.to_thread(
            uploads.upload,
            Target(parent, parent_model, message.model_id, upsert=_upsert(request)),
            spec,
            translate_warnings.of_upload(message) + engines.warnings(spec.container),
            caller=requests.caller(request),
        )
        return await requests.promised(request, operations, operation)

    return [Route(requests.PARENT + "/models:upload", upload_model, methods=["POST"])]


def _writers(catalog: Catalog) -> list[Route]:
    async def update_model(request: Request) -> Response:
        name = requests.model_name(request)
        if name.version == _EVERY_VERSION:
            name = name.unversioned
        message = await requests.read(request, messages.ModelMessage)
        mask = requests.query_value(request, "update_mask")
        patch = translate.model_patch(message, mask, versioned=bool(name.version))
        updated = await asyncio.to_thread(
            catalog.update, name, patch, caller=requests.caller(request)
        )
        versioned = bool(name.version)
        return requests.answer(translate.model_message(updated, versioned=versioned))

    async def merge_version_aliases(request: Request) -> Response:
        message = await requests.read(request, messages.MergeVersionAliasesRequest)
        version = await asyncio.to_thread(
            catalog.merge_aliases,
            requests.model_name(request),
            message.version_aliases,
            caller=requests.caller(request),
        )
        return requests.answer(translate.model_message(version, versioned=True))

    async def delete_model_version(request: Request) -> Response:
        name = requests.model_name(request)
        operation = await asyncio.to_thread(
            catalog.delete_version, name, caller=requests.caller(request)
        )
        return requests.told(request, operation)

    async def delete_model(request: Request) -> Response:
        name = requests.model_name(request)
        operation = await asyncio.to_thread(
            catalog.delete_model, name, caller=requests.caller(request)
        )
        return requests.told(request, operation)

    return [
        Route(requests.MODEL, update_model, methods=["PATCH"]),
        Route(
            requests.MODEL + ":mergeVersionAliases",
            merge_version_aliases,
            methods=["POST"],
        ),
        Route(
            requests.MODEL + ":deleteVersion", delete_model_version, methods=["DELETE"]
        ),
        Route(requests.MODEL, delete_model, methods=["DELETE"]),
    ]


def _upsert(request: Request) -> bool:
    """Tell whether an upload asks for what Vertex AI does not have; see `Target`."""
    told = requests.query_value(request, "upsert")
    if told not in {"", "true", "false"}:
        raise InvalidArgumentError(f"upsert is {told!r:.40}: expected true or false")
    return told == "true"
