"""ModelService over REST: evaluations of versions and their slices."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homeport.api import requests
from homeport.edge import masks, messages_evaluations, translate_evaluations
from homeport.errors import InvalidArgumentError
from homeport.registry.evaluations import Evaluations
from homeport.resources.evaluation import EvaluationName, SliceName
from homeport.resources.names import ModelName

_EVALUATIONS = requests.MODEL + "/evaluations"
_EVALUATION = _EVALUATIONS + "/{evaluation}"
_SLICES = _EVALUATION + "/slices"


def routes(evaluations: Evaluations) -> list[Route]:
    """Return the routes of evaluations, without the version prefix."""
    return [*_evaluations(evaluations), *_slices(evaluations)]


def _evaluations(evaluations: Evaluations) -> list[Route]:
    async def import_evaluation(request: Request) -> Response:
        model = ModelName.parse(_name(request, "/evaluations:import"))
        message = await requests.read(
            request, messages_evaluations.ImportModelEvaluationRequest
        )
        if message.model_evaluation is None:
            raise InvalidArgumentError(
                "model_evaluation is missing: say what was measured"
            )
        measured = translate_evaluations.measured(message.model_evaluation)
        made = await asyncio.to_thread(
            evaluations.add, model, measured, caller=requests.caller(request)
        )
        return requests.answer(translate_evaluations.evaluation_message(made))

    async def list_evaluations(request: Request) -> Response:
        model = ModelName.parse(_name(request, "/evaluations"))
        page = requests.page_request(request, "ListModelEvaluations", str(model))
        found, token = await asyncio.to_thread(
            evaluations.list_evaluations, model, page
        )
        shown = masks.shown(
            messages_evaluations.ModelEvaluationMessage,
            (translate_evaluations.evaluation_message(one) for one in found),
            requests.query_value(request, "read_mask"),
        )
        return requests.answer(
            messages_evaluations.ListModelEvaluationsResponse(
                model_evaluations=shown, next_page_token=token
            )
        )

    async def get_evaluation(request: Request) -> Response:
        name = EvaluationName.parse(_name(request))
        found = await asyncio.to_thread(evaluations.get, name)
        return requests.answer(translate_evaluations.evaluation_message(found))

    return [
        Route(_EVALUATIONS + ":import", import_evaluation, methods=["POST"]),
        Route(_EVALUATIONS, list_evaluations, methods=["GET"]),
        Route(_EVALUATION, get_evaluation, methods=["GET"]),
    ]


def _slices(evaluations: Evaluations) -> list[Route]:
    async def import_slices(request: Request) -> Response:
        name = EvaluationName.parse(_name(request, "/slices:batchImport"))
        message = await requests.read(
            request, messages_evaluations.BatchImportModelEvaluationSlicesRequest
        )
        measured = [
            translate_evaluations.measured_slice(one)
            for one in message.model_evaluation_slices
        ]
        made = await asyncio.to_thread(
            evaluations.add_slices, name, measured, caller=requests.caller(request)
        )
        return requests.answer(
            messages_evaluations.BatchImportModelEvaluationSlicesResponse(
                imported_model_evaluation_slices=tuple(str(one.name) for one in made)
            )
        )

    async def list_slices(request: Request) -> Response:
        name = EvaluationName.parse(_name(request, "/slices"))
        page = requests.page_request(request, "ListModelEvaluationSlices", str(name))
        found, token = await asyncio.to_thread(evaluations.list_slices, name, page)
        shown = masks.shown(
            messages_evaluations.ModelEvaluationSliceMessage,
            (translate_evaluations.slice_message(one) for one in found),
            requests.query_value(request, "read_mask"),
        )
        return requests.answer(
            messages_evaluations.ListModelEvaluationSlicesResponse(
                model_evaluation_slices=shown, next_page_token=token
            )
        )

    async def get_slice(request: Request) -> Response:
        name = SliceName.parse(_name(request))
        found = await asyncio.to_thread(evaluations.get_slice, name)
        return requests.answer(translate_evaluations.slice_message(found))

    return [
        Route(_SLICES + ":batchImport", import_slices, methods=["POST"]),
        Route(_SLICES, list_slices, methods=["GET"]),
        Route(_SLICES + "/{slice}", get_slice, methods=["GET"]),
    ]


def _name(request: Request, without: str = "") -> str:
    """Return the resource a request names, without the end of its path."""
    return requests.below_version(request).removesuffix(without)
