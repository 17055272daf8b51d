"""ModelService over REST: copy and export."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homeport.api import requests
from homeport.edge import translate, translate_warnings
from homeport.edge.messages_transfers import CopyModelRequest, ExportModelRequest
from homeport.errors import InvalidArgumentError
from homeport.registry.exports import Exports
from homeport.registry.operations import Operations
from homeport.registry.targets import Target
from homeport.registry.transfers import Transfers


def routes(
    transfers: Transfers, exports: Exports, operations: Operations
) -> list[Route]:
    """Return the routes of copy and export, without the version prefix."""

    async def copy_model(request: Request) -> Response:
        parent = requests.parent(request)
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
            translate_warnings.no_effect(message),
            caller=requests.caller(request),
        )
        return requests.told(request, operation)

    async def export_model(request: Request) -> Response:
        message = await requests.read(request, ExportModelRequest)
        operation = await asyncio.to_thread(
            exports.export,
            requests.model_name(request),
            _prefix(message),
            message.output_config.export_format_id if message.output_config else "",
        )
        return await requests.promised(request, operations, operation)

    return [
        Route(requests.PARENT + "/models:copy", copy_model, methods=["POST"]),
        Route(requests.MODEL + ":export", export_model, methods=["POST"]),
    ]


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
