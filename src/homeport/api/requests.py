"""What every method of the REST surface reads from a request and answers with."""

from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
from fastapi import Request, Response

from homeport.edge import codec, scalars
from homeport.errors import InvalidArgumentError
from homeport.registry.paging import PageRequest
from homeport.resources.listing import ListQuery

_M = TypeVar("_M", bound=codec.Message)


async def read(request: Request, message_type: type[_M]) -> _M:
    """Return the message in the request's body; an absent body is an empty message.

    Raises:
        InvalidArgumentError: The body is not such a message.
    """
    body = await request.body()
    return codec.decode(message_type, body or b"{}")


def query_value(request: Request, name: str) -> str:
    """Return a query parameter given in camelCase or in snake_case, "" if absent."""
    values = request.query_params
    return values.get(scalars.camel_case(name)) or values.get(name) or ""


def page_request(request: Request, method: str, parent: str) -> PageRequest:
    """Return which page of a list the request asks for.

    Raises:
        InvalidArgumentError: The page size is not a whole number.
    """
    size = query_value(request, "page_size") or "0"
    try:
        number = int(size)
    except ValueError as error:
        raise InvalidArgumentError(
            f"page_size is {size!r}: expected a whole number"
        ) from error
    query = ListQuery(
        method=method,
        parent=parent,
        filter=query_value(request, "filter"),
        order_by=query_value(request, "order_by"),
    )
    return PageRequest(query, query_value(request, "page_token"), number)


def answer(document: codec.Message | Mapping[str, Any]) -> Response:
    """Return the response that carries a message or ready-made JSON."""
    fields = codec.encode(document) if isinstance(document, codec.Message) else document
    return Response(orjson.dumps(fields), media_type="application/json; charset=UTF-8")
