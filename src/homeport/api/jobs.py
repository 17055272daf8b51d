"""JobService's batch predictions over REST."""

import asyncio

from fastapi import APIRouter, Request, Response

from homeport.api import requests
from homeport.edge import masks, messages_jobs, translate_jobs
from homeport.jobs.batch_jobs import BatchJobs
from homeport.registry.operations import Operations
from homeport.resources.batch_job import BatchJobName
from homeport.resources.names import Parent

_JOBS = "/projects/{project}/locations/{location}/batchPredictionJobs"
_OWN = f"/homeport/v1{_JOBS}/{{job}}"


def router(jobs: BatchJobs, operations: Operations) -> APIRouter:
    """Return the routes of batch prediction jobs, without the version prefix."""
    routes = APIRouter()
    _add_readers(routes, jobs)
    _add_writers(routes, jobs, operations)
    return routes


def own_router(jobs: BatchJobs) -> APIRouter:
    """Return the routes about jobs that are ours, not Vertex AI's."""
    routes = APIRouter()

    @routes.get(_OWN + "/logs")
    async def job_logs(
        request: Request, project: str, location: str, job: str
    ) -> Response:
        name = BatchJobName(Parent(project, location), job)
        lines = requests.log_lines(request)
        return requests.answer(
            {"lines": await asyncio.to_thread(jobs.log_tail, name, lines)}
        )

    @routes.post(_OWN + ":resume")
    async def resume_job(
        request: Request, project: str, location: str, job: str
    ) -> Response:
        name = BatchJobName(Parent(project, location), job)
        caller = requests.caller(request)
        found = await asyncio.to_thread(jobs.resume, name, caller=caller)
        return requests.answer(translate_jobs.job_message(found))

    return routes


def _add_readers(routes: APIRouter, jobs: BatchJobs) -> None:
    @routes.get(_JOBS)
    async def list_jobs(request: Request) -> Response:
        parent = _parent(request)
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

    @routes.get(_JOBS + "/{job}")
    async def get_job(request: Request) -> Response:
        found = await asyncio.to_thread(jobs.get, _name(request))
        return requests.answer(translate_jobs.job_message(found))


def _add_writers(routes: APIRouter, jobs: BatchJobs, operations: Operations) -> None:
    @routes.post(_JOBS)
    async def create_job(request: Request) -> Response:
        message = await requests.read(request, messages_jobs.BatchPredictionJobMessage)
        spec = translate_jobs.job_spec(message)
        made = await asyncio.to_thread(
            jobs.create, _parent(request), spec, caller=requests.caller(request)
        )
        return requests.answer(translate_jobs.job_message(made))

    @routes.post(_JOBS + "/{job}:cancel")
    async def cancel_job(request: Request) -> Response:
        caller = requests.caller(request)
        await asyncio.to_thread(jobs.cancel, _name(request), caller=caller)
        return requests.answer({})

    @routes.delete(_JOBS + "/{job}")
    async def delete_job(request: Request) -> Response:
        operation = await asyncio.to_thread(
            jobs.delete, _name(request), caller=requests.caller(request)
        )
        return await requests.promised(request, operations, operation)


def _parent(request: Request) -> Parent:
    path = requests.below_version(request)
    return Parent.parse(path.removesuffix("/batchPredictionJobs"))


def _name(request: Request) -> BatchJobName:
    return BatchJobName.parse(requests.below_version(request).removesuffix(":cancel"))
