"""What every method of the REST surface reads from a request and answers with."""

import asyncio
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

from homeport.edge import codec, messages, scalars, translate_operations
from homeport.errors import InvalidArgumentError
from homeport.registry.operations import Operations
from homeport.registry.paging import PageRequest
from homeport.resources.change import check_caller
from homeport.resources.listing import ListQuery
from homeport.resources.names import EndpointName, ModelName, Parent
from homeport.resources.operation import Operation

# As routes name what stands in a path behind the version.
PARENT: Final = "/projects/{project}/locations/{location}"
MODEL: Final = PARENT + "/models/{model}"
ENDPOINT: Final = PARENT + "/endpoints/{endpoint}"

_M = TypeVar("_M", bound=codec.Message)
_CALLER_HEADER: Final = "x-homeport-caller"
# The only way in which JSON has it; PostgreSQL's texts have none.
_ESCAPED_NUL: Final = rb"\u0000"
_DEFAULT_LOG_LINES: Final = 100
_LINES_RE: Final = re.compile(r"[0-9]{1,9}")
_API_VERSIONS: Final = frozenset({"v1", "v1beta1"})


async def read(request: Request, message_type: type[_M]) -> _M:
    """Return the message in the request's body; an absent body is an empty message.

    Raises:
        InvalidArgumentError: The body is not such a message, or a text has NUL.
    """
    body = await request.body()
    message = codec.decode(message_type, body or b"{}")
    if _ESCAPED_NUL in body:
        _refuse_nul(orjson.loads(body))
    return message


def parent(request: Request) -> Parent:
    """Return the project and location in the path that a route took.

    Raises:
        InvalidArgumentError: One of them cannot be a name.
    """
    return Parent.parse(named(PARENT, request))


def model_name(request: Request) -> ModelName:
    """Return the model or version in the path that a route took.

    Raises:
        InvalidArgumentError: It cannot be the name of one.
    """
    return ModelName.parse(named(MODEL, request))


def endpoint_name(request: Request) -> EndpointName:
    """Return the endpoint in the path that a route took.

    Raises:
        InvalidArgumentError: It cannot be the name of one.
    """
    return EndpointName.parse(named(ENDPOINT, request))


def query_value(request: Request, name: str) -> str:
    """Return a query parameter given in camelCase or in snake_case, "" if absent.

    Raises:
        InvalidArgumentError: It has NUL, which PostgreSQL cannot compare with.
    """
    values = request.query_params
    value = values.get(scalars.camel_case(name)) or values.get(name) or ""
    if "\0" in value:
        raise InvalidArgumentError(f"{name} has NUL (%00): leave it out")
    return value


def time_value(request: Request, name: str) -> dt.datetime | None:
    """Return a query parameter that is a time, None if absent.

    Raises:
        InvalidArgumentError: It is no time.
    """
    text = query_value(request, name)
    if not text:
        return None
    try:
        return scalars.read_timestamp(text)
    except ValueError as error:
        raise InvalidArgumentError(
            f"{name} is {text!r:.80}: expected a time such as 2026-01-31T12:00:00Z"
        ) from error


def log_lines(request: Request) -> int:
    """Return how many lines of a log are asked for.

    Raises:
        InvalidArgumentError: It is no number.
    """
    lines = query_value(request, "lines") or str(_DEFAULT_LOG_LINES)
    if not _LINES_RE.fullmatch(lines):
        raise InvalidArgumentError(
            f"lines is {lines!r:.40}: expected a whole number below a billion"
        )
    return int(lines)


def caller(request: Request) -> str:
    """Return who asks, by their own account: there are no tokens to prove it.

    Raises:
        InvalidArgumentError: It cannot be a name.
    """
    # Headers are read as Latin-1 (ASGI); clients write UTF-8.
    told = request.headers.get(_CALLER_HEADER, "").encode("latin-1")
    return check_caller(told.decode("utf-8", "replace"))


def dedicated_dns(request: Request) -> str:
    """Return where HTTPS is answered, `host:port` as the client can reach it.

    "" where the server has no HTTPS. The certificate is the server's own, so that every
    dedicated endpoint has the same name.
    """
    if request.url.scheme == "https":
        return request.url.netloc
    port = getattr(request.app.state, "tls_port", None)
    host = request.url.hostname or ""
    if not port or not host:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def below_version(request: Request) -> str:
    """Return the path behind /v1, /v1beta1 or /ui, which names a resource."""
    return _version_and_rest(request)[1]


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


def page(field: str, rows: Sequence[Mapping[str, Any]], token: str) -> Response:
    """Return the response with one page of a list of our own.

    Args:
        field: What the list is called.
        rows: The page, which may be empty.
        token: Of the next page, "" after the last.
    """
    return answer({field: rows, **({"nextPageToken": token} if token else {})})


def operation(
    request: Request,
    told: Operation,
    made: messages.EndpointMessage | messages.DeployedModelMessage | None = None,
) -> dict[str, Any]:
    """Return an operation as clients of the request's API version read it.

    Args:
        request: What is answered.
        told: The operation.
        made: What a create or a deploy made, as it is now; None if it is gone.
    """
    version = _version_and_rest(request)[0]
    if version not in _API_VERSIONS:
        # The SDK polls under /ui, whichever version it asked.
        version = told.api_version
    return translate_operations.to_json(told, made, version=version)


def told(
    request: Request,
    told: Operation,
    made: messages.EndpointMessage | messages.DeployedModelMessage | None = None,
) -> Response:
    """Return the response that tells an operation; see `operation`."""
    return answer(operation(request, told, made))


async def promised(
    request: Request, operations: Operations, promise: Operation
) -> Response:
    """Return the response that tells an operation the client will poll."""
    version = _version_and_rest(request)[0]
    if version != promise.api_version:
        await asyncio.to_thread(operations.promise_to, promise.name, version)
    return told(request, promise)


def named(path: str, request: Request) -> str:
    """Return the resource in the path that a route took, by the route's own path."""
    return path.removeprefix("/").format_map(request.path_params)


def _version_and_rest(request: Request) -> tuple[str, str]:
    # Not of `request.url`: it drops tabs and line feeds, so that a path with one of
    # them would name another resource.
    _, version, rest = request.scope["path"].split("/", 2)
    return version, rest


def _refuse_nul(document: object) -> None:
    level = [document]
    while level:
        one = level.pop()
        if isinstance(one, str) and "\0" in one:
            raise InvalidArgumentError(
                f"the request body has NUL in the text {one!r:.80}: leave it out"
            )
        if isinstance(one, dict):
            level += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            level += one
