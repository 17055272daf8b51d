"""Two versions side by side, over REST: ours, not Vertex AI's."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from homeport.api import provenance, requests
from homeport.errors import InvalidArgumentError
from homeport.registry.comparisons import Comparisons
from homeport.resources.comparison import Comparison, Differences, Side
from homeport.resources.names import ModelName


def routes(comparisons: Comparisons) -> list[Route]:
    """Return the route of comparisons."""
    path = f"/homeport/v1{requests.MODEL}/comparison"

    async def get_comparison(request: Request) -> Response:
        first = requests.model_name(request)
        other = _other(first, requests.query_value(request, "with"))
        found = await asyncio.to_thread(comparisons.compare, first, other)
        return requests.answer(_document(found))

    return [Route(path, get_comparison, methods=["GET"])]


def _other(first: ModelName, text: str) -> ModelName:
    """Return the version that `text` means beside another.

    Raises:
        InvalidArgumentError: Nothing, or no such name.
    """
    if not text:
        raise InvalidArgumentError(
            "with is missing: name the other version, as 2, production, models/ID@2 or "
            "in full"
        )
    if text.startswith("projects/"):
        return ModelName.parse(text)
    if text.startswith("models/"):
        return ModelName.parse(f"{first.parent}/{text}")
    return ModelName.parse(f"{first.unversioned}@{text}")


def _document(found: Comparison) -> dict[str, Any]:
    return {
        "first": _side(found.first),
        "second": _side(found.second),
        **{what: _differences(one) for what, one in found.differences.items()},
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        **provenance.document(side.provenance),
        "labels": dict(side.provenance.version.labels),
        "metrics": dict(side.metrics),
    }


def _differences(found: Differences) -> dict[str, Any]:
    return {
        "same": found.same,
        "different": found.different,
        "differences": [
            {"key": one.key, "first": one.first, "second": one.second}
            for one in found.told
        ],
    }
