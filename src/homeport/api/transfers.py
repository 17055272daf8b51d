"""ModelService over REST: copy and export."""

import asyncio

from fastapi import APIRouter, Request, Response

from homeport.api import requests
from homeport.edge import translate
from homeport.edge.messages_transfers import CopyModelRequest, ExportModelRequest
from homeport.errors import InvalidArgumentError
from homeport.registry.exports import Exports
from homeport.registry.operations import Operations
from homeport.registry.targets import Target
from homeport.registry.transfers import Transfers
from homeport.resources.names import ModelName, Parent

_PARENT = "/projects/{project}/locations/{location}"


def router(transfers: Transfers, exports: Exports, operations: Operations) -> APIRouter:
    """Return the routes of copy and export, without the version prefix."""
    routes = APIRouter()

    @routes.post(_PARENT + "/models:copy")
    async def copy_model(request: Request, project: str, location: str) -> Response:
        parent = Parent.parse(f"projects/{project}/locations/{location}")
        message = await requests.read(request, CopyModelRequest)
        if not message.source_model:
            raise InvalidArgumentError(
                "source_model is missing: name the model or version to copy"
            )
        target = Target(
            parent,
            (
                translate.model_name(message.parent_model, parent)
                if message.parent_model
                else None
            ),
            message.model_id or "",
        )
        operation = await asyncio.to_thread(
            transfers.copy,
            translate.model_name(message.source_model, parent),
            target,
            translate.no_effect(message),
            caller=requests.caller(request),
        )
        return requests.told(request, operation)

    @routes.post(_PARENT + "/models/{model}:export")
    async def export_model(
        request: Request, project: str, location: str, model: str
    ) -> Response:
        message = await requests.read(request, ExportModelRequest)
        operation = await asyncio.to_thread(
            exports.export,
            ModelName.parse(f"{Parent(project, location)}/models/{model}"),
            _prefix(message),
            message.output_config.export_format_id if message.output_config else "",
        )
        return await requests.promised(request, operations, operation)

    return routes


def _prefix(message: ExportModelRequest) -> str:
    output = message.output_config
    if output is not None and output.image_destination is not None:
        raise InvalidArgumentError(
            "output_config.image_destination: only the artifact of a version is "
            "exported, not its image; give artifact_destination"
        )
    if output is None or output.artifact_destination is None:
        raise InvalidArgumentError(
            "output_config.artifact_destination is missing: give its output_uri_prefix"
        )
    return output.artifact_destination.output_uri_prefix
