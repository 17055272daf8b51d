"""The methods of this server as an OpenAPI 3.1 document: ours and Vertex AI's.

Made from the routes themselves and `described`. The object store is not in it: its API
is Google Cloud Storage's, whose clients have their own descriptions.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import homeport
from homeport.api import described
from homeport.api.described import Described, Shape
from homeport.edge.schemas import Schema, Schemas

_PARAMETER: Final = re.compile(r"\{(\w+)\}")
Prefixed = tuple[str, Sequence[Route]]
"""Routes, and what stands before their paths."""

_NOTE: Final = (
    "Requests are read as proto3-JSON has it: names in camelCase or snake_case, null "
    "for absence, numbers as strings, enums by number."
)


def routes(answering: Sequence[Prefixed]) -> list[Route]:
    """Return the route of the document, which is made when it is first asked for.

    Args:
        answering: The routes that answer.
    """
    made: list[bytes] = []

    async def show(_: Request) -> Response:
        if not made:
            whole = [*answering, ("", own)]
            made.append(orjson.dumps(await asyncio.to_thread(document, whole)))
        return Response(made[0], media_type="application/json; charset=UTF-8")

    own = [Route("/openapi.json", show, methods=["GET"])]
    return own


def document(answering: Iterable[Prefixed]) -> dict[str, Any]:
    """Return the description of these routes and of what is past the framework."""
    schemas = Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for verb, path, method in (*_past_the_framework(), *_routed(answering)):
        operation = _operation(path, method, schemas)
        paths.setdefault(path, {})[verb.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Homeport",
            "version": homeport.__version__,
            "description": _NOTE,
        },
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": schemas.components},
    }


def _past_the_framework() -> Iterator[tuple[str, str, Described]]:
    for version in ("/v1", "/v1beta1"):
        for (verb, path), method in described.PAST_THE_FRAMEWORK.items():
            yield verb, version + path, method


def _routed(answering: Iterable[Prefixed]) -> Iterator[tuple[str, str, Described]]:
    for prefix, routes_there in answering:
        for route in routes_there:
            # Where GET is answered, so is HEAD: it goes without saying.
            for verb in sorted(set(route.methods or ()) - {"HEAD"}):
                method = described.BY_FUNCTION[route.name]
                yield verb, prefix + route.path, method


def _operation(path: str, method: Described, schemas: Schemas) -> dict[str, Any]:
    words = re.findall(r"\w+", _PARAMETER.sub("", path))
    told = {
        "operationId": "_".join([method.rpc, *words]),
        "summary": method.rpc,
        "parameters": [
            *({"in": "path", **_required(name)} for name in _PARAMETER.findall(path)),
            *(
                {"in": "query", "name": name, "schema": schema}
                for name, schema in method.query.items()
            ),
        ],
        "responses": {
            "200": _response("Success", method.gives, method.answer, schemas),
            "default": _response(
                "Failure", "application/json", method.failure, schemas
            ),
        },
    }
    if method.request is not None:
        content = _content(method.takes, method.request, schemas)
        told["requestBody"] = {"content": content}
    return told


def _required(name: str) -> dict[str, Any]:
    return {"name": name, "required": True, "schema": {"type": "string"}}


def _response(text: str, media: str, shape: Shape, schemas: Schemas) -> dict[str, Any]:
    return {"description": text, "content": _content(media, shape, schemas)}


def _content(media: str, shape: Shape, schemas: Schemas) -> dict[str, Any]:
    schema: Schema
    schema = schemas.reference(shape) if isinstance(shape, type) else dict(shape)
    return {media: {"schema": schema}}
