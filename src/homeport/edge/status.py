"""Failures to the google.rpc.Status JSON that Google's clients read.

The only module that knows which HTTP status a `Code` has.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, assert_never

import orjson
from starlette.types import Send

from homeport.errors import Code, HomeportError

JSON_HEADER: Final = (b"content-type", b"application/json; charset=UTF-8")

# What a caller learns of an exception that is a bug of ours: its text may hold paths
# or credentials.
_INTERNAL_MESSAGE: Final = "internal error; the server's log says more"


def http_status(code: Code) -> int:  # noqa: C901, PLR0911, PLR0912  # one case each
    """Return the HTTP status of a code, as google/rpc/code.proto maps them."""
    match code:
        case Code.INVALID_ARGUMENT | Code.FAILED_PRECONDITION:
            return HTTPStatus.BAD_REQUEST
        case Code.UNAUTHENTICATED:
            return HTTPStatus.UNAUTHORIZED
        case Code.PERMISSION_DENIED:
            return HTTPStatus.FORBIDDEN
        case Code.NOT_FOUND:
            return HTTPStatus.NOT_FOUND
        case Code.ABORTED | Code.ALREADY_EXISTS:
            return HTTPStatus.CONFLICT
        case Code.RESOURCE_EXHAUSTED:
            return HTTPStatus.TOO_MANY_REQUESTS
        case Code.CANCELLED:
            return 499  # client closed request; not in the standard library
        case Code.INTERNAL | Code.DATA_LOSS:
            return HTTPStatus.INTERNAL_SERVER_ERROR
        case Code.UNIMPLEMENTED:
            return HTTPStatus.NOT_IMPLEMENTED
        case Code.UNAVAILABLE:
            return HTTPStatus.SERVICE_UNAVAILABLE
        case Code.DEADLINE_EXCEEDED:
            return HTTPStatus.GATEWAY_TIMEOUT
        case _:
            assert_never(code)


def status(code: Code, message: str) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and JSON body of one failure."""
    http = int(http_status(code))
    return http, {"error": {"code": http, "message": message, "status": code.name}}


def from_exception(error: BaseException) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and JSON body for any exception.

    An exception that is not a `HomeportError` gives INTERNAL with a fixed message.
    """
    if isinstance(error, HomeportError):
        return status(error.code, error.message)
    return status(Code.INTERNAL, _INTERNAL_MESSAGE)


async def send_exception(
    send: Send, error: BaseException, headers: Mapping[bytes, bytes] | None = None
) -> None:
    """Answer a request with an exception, outside any framework.

    Args:
        send: The request's, with no response begun.
        error: What happened.
        headers: Further headers, names in lower case.
    """
    http, document = from_exception(error)
    body = orjson.dumps(document)
    lines = [JSON_HEADER, (b"content-length", b"%d" % len(body))]
    lines.extend((headers or {}).items())
    await send({"type": "http.response.start", "status": http, "headers": lines})
    await send({"type": "http.response.body", "body": body})
