"""Health, readiness, metrics, and the logs of replicas: ours, not Vertex AI's."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import homeport
from homeport.api import requests
from homeport.serving.endpoints import Endpoints
from homeport.serving.reconciler import Reconciler
from homeport.telemetry import Metrics


def routes(
    reconciler: Reconciler,
    endpoints: Endpoints,
    metrics: Metrics,
    worker_sandbox: str,
) -> list[Route]:
    """Return the routes that are Homeport's own.

    Args:
        reconciler: Knows the replicas.
        endpoints: Knows what they are of.
        metrics: What is measured.
        worker_sandbox: What the kernel keeps from workers, for people.
    """

    async def introduce(_: Request) -> Response:
        return requests.answer(
            {
                "name": "homeport",
                "version": homeport.__version__,
                "models": f"/v1{requests.PARENT}/models",
                "endpoints": f"/v1{requests.PARENT}/endpoints",
                "buckets": "/storage/v1/b",
                "ready": "/readyz",
                "metrics": "/metrics",
                "workerSandbox": worker_sandbox,
            }
        )

    async def healthy(_: Request) -> Response:
        return requests.answer({"status": "ok"})

    async def ready(_: Request) -> Response:
        missing = reconciler.missing_replicas()
        if not missing:
            return requests.answer({"status": "ready"})
        told = requests.answer({"status": "starting", "deployedModels": missing})
        told.status_code = 503
        return told

    async def show_metrics(_: Request) -> Response:
        reconciler.update_gauges()
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    path = f"/homeport/v1{requests.ENDPOINT}/logs"

    async def logs(request: Request) -> Response:
        name = requests.endpoint_name(request)
        await asyncio.to_thread(endpoints.get, name)
        tails = reconciler.log_tail(name, requests.log_lines(request))
        return requests.answer({"deployedModels": tails})

    return [
        Route("/", introduce, methods=["GET"]),
        Route("/healthz", healthy, methods=["GET"]),
        Route("/readyz", ready, methods=["GET"]),
        Route("/metrics", show_metrics, methods=["GET"]),
        Route(path, logs, methods=["GET"]),
    ]
