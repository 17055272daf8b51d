"""What came of checking a version: ours, not Vertex AI's."""

import asyncio
import json
from typing import Any

from fastapi import APIRouter, Response

from homeport.api import requests
from homeport.edge import scalars
from homeport.registry.catalog import Catalog
from homeport.resources.check import Check
from homeport.resources.names import ModelName, Parent


def router(catalog: Catalog) -> APIRouter:
    """Return the routes about checks."""
    routes = APIRouter()
    path = "/homeport/v1/projects/{project}/locations/{location}/models/{model}/check"

    @routes.get(path)
    async def get_check(project: str, location: str, model: str) -> Response:
        name = ModelName.parse(f"{Parent(project, location)}/models/{model}")
        version, found = await asyncio.to_thread(catalog.check, name)
        return requests.answer(_document(version, found))

    return routes


def _document(version: ModelName, check: Check) -> dict[str, Any]:
    document = {
        "model": str(version),
        "state": check.state.value,
        "detail": check.detail,
    }
    if check.time is not None:
        document["time"] = scalars.write_timestamp(check.time)
    report = {"report": json.loads(check.report)} if check.report else {}
    return {**document, **report}
