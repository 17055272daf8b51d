"""What TorchServe 0.12 hands a handler for the body of a request.

First the parameters of the request become one dictionary, then a service envelope may
open it. tests/conformance asks a real TorchServe whether this is so.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from homeport.checking import openinference
from homeport.errors import InvalidArgumentError

Rows = list[Any]


def parameter(name: str, content_type: str, body: bytes) -> dict[str, Any]:
    """Return the element of `data` for a request of one parameter.

    Args:
        name: `body`, or that of a form's field.
        content_type: Of the body, or of the form's part.
        body: Its bytes.
    """
    return {name: _decoded(content_type, body)}


def opened(envelope: str, row: dict[str, Any]) -> Rows:
    """Return what the handler receives of one request, through an envelope.

    Args:
        envelope: `body`, `json`, `kserve` or `kservev2`; "" for none.
        row: What `parameter` returned.

    Raises:
        InvalidArgumentError: TorchServe fails on it before the handler is called.
    """
    return _ENVELOPES[envelope](row)


def _decoded(content_type: str, body: bytes) -> Any:  # noqa: ANN401  # any JSON value
    try:
        if content_type == "application/json":
            return json.loads(body)
        if content_type.startswith("text"):
            return body.decode()
    except ValueError:
        pass  # it hands on what it cannot decode
    return bytearray(body)


def _body(row: dict[str, Any]) -> Rows:
    return [_content(row)]


def _json(row: dict[str, Any]) -> Rows:
    rows = _instances("json", _content(row))
    if not rows:
        raise _failure("json", '"instances" is empty')
    # It looks for binary values only where the first row is an object.
    if isinstance(rows[0], dict):
        return [_without_base64(each) for each in rows]
    return rows


def _kserve(row: dict[str, Any]) -> Rows:
    return _instances("kserve", _parsed("kserve", _content(row)))


def _kservev2(row: dict[str, Any]) -> Rows:
    body = _parsed("kservev2", _content(row))
    if not isinstance(body, dict) or not isinstance(body.get("inputs"), list):
        raise _failure("kservev2", 'there is no list of "inputs"')
    return [_tensor(each) for each in body["inputs"]]


def _tensor(element: dict[str, Any]) -> dict[str, Any]:
    tensor = openinference.tensor(element)
    if tensor.datatype != "BYTES":
        return {**element, "data": openinference.shaped(tensor.data, tensor.shape)}
    if not tensor.data:
        raise _failure("kservev2", f"{tensor.name} has no data")
    # All but the first are lost.
    return {**element, "data": tensor.data[0]}


_ENVELOPES: Final[Mapping[str, Callable[[dict[str, Any]], Rows]]] = {
    "": lambda row: [row],
    "body": _body,
    "json": _json,
    "kserve": _kserve,
    "kservev2": _kservev2,
}


def _content(row: dict[str, Any]) -> Any:  # noqa: ANN401  # any JSON value
    return row.get("data") or row.get("body")


def _parsed(envelope: str, content: object) -> object:
    if not isinstance(content, bytearray):
        return content
    try:
        return json.loads(content)
    except ValueError as error:
        raise _failure(envelope, "the body is no JSON") from error


def _instances(envelope: str, content: object) -> Rows:
    match content:
        case {"instances": list() as rows}:
            return rows
        case bytearray():
            raise _failure(envelope, "the body was not sent as application/json")
        case _:
            raise _failure(envelope, 'there is no list of "instances"')


def _without_base64(row: object) -> object:
    if not isinstance(row, dict):
        raise _failure("json", "the first row is an object and another is none")
    if list(row) == ["b64"]:
        return _binary(row["b64"])
    return {
        name: _binary(cell["b64"])
        if isinstance(cell, dict) and list(cell) == ["b64"]
        else cell
        for name, cell in row.items()
    }


def _binary(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, TypeError) as error:
        raise _failure("json", 'what is under "b64" is no base64') from error


def _failure(envelope: str, reason: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{reason}, so the {envelope} envelope fails: TorchServe answers 503 "
        '"Prediction failed", and the handler is not called'
    )
