"""JobService's batch predictions over REST."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homeport.api import requests
from homeport.edge import masks, messages_jobs, translate_jobs
from homeport.jobs.batch_jobs import BatchJobs
from homeport.registry.operations import Operations
from homeport.resources.batch_job import BatchJobName

_JOBS = requests.PARENT + "/batchPredictionJobs"
_JOB = _JOBS + "/{job}"
_OWN = "/homeport/v1" + _JOB


def routes(jobs: BatchJobs, operations: Operations) -> list[Route]:
    """Return the routes of batch prediction jobs, without the version prefix."""
    return [*_readers(jobs), *_writers(jobs, operations)]


def own_routes(jobs: BatchJobs) -> list[Route]:
    """Return the routes about jobs that are ours, not Vertex AI's."""

    async def job_logs(request: Request) -> Response:
        name = _job_name(request)
        lines = requests.log_lines(request)
        return requests.answer(
            {"lines": await asyncio.to_thread(jobs.log_tail, name, lines)}
        )

    async def resume_job(request: Request) -> Response:
        name = _job_name(request)
        caller = requests.caller(request)
        found = await asyncio.to_thread(jobs.resume, name, caller=caller)
        return requests.answer(translate_jobs.job_message(found))

    return [
        Route(_OWN + "/logs", job_logs, methods=["GET"]),
        Route(_OWN + ":resume", resume_job, methods=["POST"]),
    ]


def _readers(jobs: BatchJobs) -> list[Route]:
    async def list_jobs(request: Request) -> Response:
        parent = requests.parent(request)
        page = requests.page_request(request, "ListBatchPredictionJobs", str(parent))
        found, token = await asyncio.to_thread(jobs.list_jobs, parent, page)
        shown = masks.shown(
            messages_jobs.BatchPredictionJobMessage,
            (translate_jobs.job_message(job) for job in found),
            requests.query_value(request, "read_mask"),
        )
        return requests.answer(
            messages_jobs.ListBatchPredictionJobsResponse(
                batch_prediction_jobs=shown, next_page_token=token
            )
        )

    async def get_job(request: Request) -> Response:
        found = await asyncio.to_thread(jobs.get, _job_name(request))
        return requests.answer(translate_jobs.job_message(found))

    return [
        Route(_JOBS, list_jobs, methods=["GET"]),
        Route(_JOB, get_job, methods=["GET"]),
    ]


def _writers(jobs: BatchJobs, operations: Operations) -> list[Route]:
    async def create_job(request: Request) -> Response:
        message = await requests.read(request, messages_jobs.BatchPredictionJobMessage)
        spec = translate_jobs.job_spec(message)
        made = await asyncio.to_thread(
            jobs.create, requests.parent(request), spec, caller=requests.caller(request)
        )
        return requests.answer(translate_jobs.job_message(made))

    async def cancel_job(request: Request) -> Response:
        caller = requests.caller(request)
        await asyncio.to_thread(jobs.cancel, _job_name(request), caller=caller)
        return requests.answer({})

    async def delete_job(request: Request) -> Response:
        operation = await asyncio.to_thread(
            jobs.delete, _job_name(request), caller=requests.caller(request)
        )
        return await requests.promised(request, operations, operation)

    return [
        Route(_JOBS, create_job, methods=["POST"]),
        Route(_JOB + ":cancel", cancel_job, methods=["POST"]),
        Route(_JOB, delete_job, methods=["DELETE"]),
    ]


def _job_name(request: Request) -> BatchJobName:
    return BatchJobName.parse(requests.named(_JOB, request))
