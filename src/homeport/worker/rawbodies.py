"""A raw body as the row that TorchServe makes of it, and a result as a raw body.

The row is a dict: the fields of a form by their names, else the body under `body`.
"""

import email
import email.policy
import json
import urllib.parse
from typing import Any, Final

from homeport.errors import InvalidArgumentError
from homeport.worker import predictions
from homeport.worker.requests import Request

_JSON: Final = "application/json"
_FORM: Final = "multipart/form-data"
_URLENCODED: Final = "application/x-www-form-urlencoded"
_Body = Any  # what JSON holds, or a str or a bytearray


def instances_of(request: Request) -> bool:
    """Tell whether a raw request is a :predict body: JSON with a list of instances."""
    if request.content_type != _JSON:
        return False
    document = _value(request.body, _JSON)
    return isinstance(document, dict) and isinstance(document.get("instances"), list)


def row(request: Request) -> dict[str, _Body]:
    """Return the one row of a raw request.

    JSON is decoded, text is str, everything else a bytearray.

    Raises:
        InvalidArgumentError: The body is not what its content type says.
    """
    if request.content_type == _FORM:
        return _form(request)
    if request.content_type == _URLENCODED:
        pairs = urllib.parse.parse_qsl(_text(request.body), keep_blank_values=True)
        return dict(pairs)
    return {"body": _value(request.body, request.content_type)}


def render(result: object) -> tuple[str, bytes]:
    """Return the content type and the bytes of one result of a raw request.

    Raises:
        HandlerError: It is neither bytes nor text nor what JSON can hold.
    """
    if isinstance(result, bytes | bytearray | memoryview):
        return "application/octet-stream", bytes(result)
    if isinstance(result, str):
        return "text/plain; charset=utf-8", result.encode()
    # As an element of an array it is rendered as any prediction.
    return _JSON, predictions.render([result])[1:-1]


def _form(request: Request) -> dict[str, _Body]:
    """Return the fields of a multipart body by their names."""
    head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + request.body, policy=email.policy.HTTP)
    if not message.is_multipart():
        raise InvalidArgumentError(
            "the body is no multipart/form-data with the boundary that its content "
            "type names: send it as an HTTP library writes a form"
        )
    fields: dict[str, _Body] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if not name:
            raise InvalidArgumentError(
                'a part of the form has no name: give each name="..." in its '
                "content-disposition"
            )
        given = part.get_content_type() if "content-type" in part else ""
        payload = part.get_payload(decode=True)
        body = payload if isinstance(payload, bytes) else b""
        fields[str(name)] = _value(body, given)
    return fields


def _value(body: bytes, content_type: str) -> _Body:
    if content_type == _JSON:
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise InvalidArgumentError(
                f"the body is not valid JSON: {error}"
            ) from error
    if content_type.startswith("text/"):
        return _text(body)
    return bytearray(body)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            "the body is text and not UTF-8: send UTF-8, or another content type"
        ) from error
