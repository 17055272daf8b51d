"""Health, readiness, metrics, and the logs of replicas: ours, not Vertex AI's."""

import asyncio

from fastapi import APIRouter, Request, Response

import homeport
from homeport.api import requests
from homeport.resources.names import EndpointName, Parent
from homeport.serving.endpoints import Endpoints
from homeport.serving.reconciler import Reconciler
from homeport.telemetry import Metrics


def router(
    reconciler: Reconciler,
    endpoints: Endpoints,
    metrics: Metrics,
    worker_sandbox: str,
) -> APIRouter:
    """Return the routes that are Homeport's own.

    Args:
        reconciler: Knows the replicas.
        endpoints: Knows what they are of.
        metrics: What is measured.
        worker_sandbox: What the kernel keeps from workers, for people.
    """
    routes = APIRouter()

    @routes.get("/")
    async def introduce() -> Response:
        return requests.answer(
            {
                "name": "homeport",
                "version": homeport.__version__,
                "models": "/v1/projects/{project}/locations/{location}/models",
                "endpoints": "/v1/projects/{project}/locations/{location}/endpoints",
                "buckets": "/storage/v1/b",
                "ready": "/readyz",
                "metrics": "/metrics",
                "workerSandbox": worker_sandbox,
            }
        )

    @routes.get("/healthz")
    async def healthy() -> Response:
        return requests.answer({"status": "ok"})

    @routes.get("/readyz")
    async def ready() -> Response:
        missing = reconciler.missing_replicas()
        if not missing:
            return requests.answer({"status": "ready"})
        told = requests.answer({"status": "starting", "deployedModels": missing})
        told.status_code = 503
        return told

    @routes.get("/metrics")
    async def show_metrics() -> Response:
        reconciler.update_gauges()
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    path = "/homeport/v1/projects/{project}/locations/{location}/endpoints/{endpoint}"

    @routes.get(path + "/logs")
    async def logs(
        request: Request, project: str, location: str, endpoint: str
    ) -> Response:
        name = EndpointName.parse(f"{Parent(project, location)}/endpoints/{endpoint}")
        await asyncio.to_thread(endpoints.get, name)
        tails = reconciler.log_tail(name, requests.log_lines(request))
        return requests.answer({"deployedModels": tails})

    return routes
