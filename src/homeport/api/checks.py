"""What came of checking a version: ours, not Vertex AI's."""

import asyncio
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homeport.api import requests
from homeport.edge import scalars
from homeport.registry.catalog import Catalog
from homeport.resources.check import Check
from homeport.resources.names import ModelName


def routes(catalog: Catalog) -> list[Route]:
    """Return the routes about checks."""
    path = f"/homeport/v1{requests.MODEL}/check"

    async def get_check(request: Request) -> Response:
        name = requests.model_name(request)
        version, found = await asyncio.to_thread(catalog.check, name)
        return requests.answer(_document(version, found))

    return [Route(path, get_check, methods=["GET"])]


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
