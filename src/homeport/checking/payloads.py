"""What a handler receives for one request, through each way that it may come.

The request is written as each surface wants it, and what the author's `handle(data,
context)` is given is shown. Homeport's own shapes come from the code that serves.
"""

import base64
import contextlib
import dataclasses
import enum
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from homeport.checking import openinference, torchservepayloads
from homeport.errors import InvalidArgumentError
from homeport.worker import envelopes
from homeport.worker.serverconfig import Envelope

JSON: Final = "application/json"
BINARY: Final = "application/octet-stream"
TEXT: Final = "text/plain"
FORM: Final = "multipart/form-data"

_KSERVE_NOTE: Final = "binary rows stay base64 text"
_KSERVEV2_NOTE: Final = "one row for each tensor, not for each instance"


class Surface(enum.StrEnum):
    """Whose server the request is sent to."""

    HOMEPORT = "Homeport"
    VERTEX = "Vertex AI"
    TORCHSERVE = "TorchServe"
    KSERVE = "KServe"


@dataclasses.dataclass(frozen=True, slots=True)
class Payload:
    """One request, as its file has it and as rows.

    Attributes:
        content: The file's bytes.
        is_json: Whether they are JSON.
        document: The JSON value they are, None where they are none.
        instances: The rows it stands for, as JSON values.
    """

    content: bytes
    is_json: bool
    document: Any
    instances: list[Any]

    @property
    def kind(self) -> str:
        """What the file holds, for people."""
        match self.document:
            case {"instances": [_, *_]}:
                return 'JSON with "instances"'
            case {"inputs": [_, *_]}:
                return 'JSON with "inputs"'
            case _ if self.is_json:
                return "JSON, taken as one instance"
            case _:
                return f"{len(self.content)} bytes, taken as one instance"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One way to send the request, and what comes of it.

    Attributes:
        surface: Whose server.
        path: What the body is POSTed to, with MODEL and ENDPOINT for names.
        envelope: TorchServe's `service_envelope`, "" for none.
        content_type: Of the body, or of a form.
        body: What is sent: the body, or the content of the form's field `data`.
        data: The handler's `data`; None where the handler is not called.
        refusal: Why it is not called, else "".
        note: What surprises here, else "".
    """

    surface: Surface
    path: str
    envelope: str = ""
    content_type: str = JSON
    body: bytes
    data: list[Any] | None = None
    refusal: str = ""
    note: str = ""


def read(content: bytes) -> Payload:
    """Return the request that a file's bytes stand for.

    JSON with a list of `instances` or of `inputs` is a request already; other JSON is
    one instance, and any other file the instance `{"data": {"b64": ...}}`, as with
    `--sample`.

    Raises:
        InvalidArgumentError: Nothing is there, it is nested too deeply, or `inputs`
            are no tensors.
    """
    if not content:
        raise InvalidArgumentError("the request is empty: give a file with a body")
    with _depth_told():
        return _read(content)


def _read(content: bytes) -> Payload:
    try:
        document = json.loads(content)
    except ValueError:
        row = {"data": {"b64": base64.b64encode(content).decode()}}
        return Payload(content=content, is_json=False, document=None, instances=[row])
    match document:
        case {"instances": [_, *_] as rows}:
            return _json(content, document, rows)
        case {"inputs": [_, *_] as inputs}:
            rows = openinference.to_instances(inputs)
            return _json(content, document, rows)
        case _:
            return _json(content, document, [document])


def _json(content: bytes, document: object, rows: list[Any]) -> Payload:
    return Payload(content=content, is_json=True, document=document, instances=rows)


def explain(payload: Payload) -> tuple[Shape, ...]:
    """Return every way the request may reach a handler, Homeport's first.

    Raises:
        InvalidArgumentError: It is nested too deeply.
    """
    with _depth_told():
        shapes = (
            *_homeport(payload),
            *map(_through_torchserve, _vertex(payload)),
            *map(_through_torchserve, _torchserve(payload)),
            *_tensors(payload),
        )
    order = list(Surface)
    return tuple(sorted(shapes, key=lambda shape: order.index(shape.surface)))


@contextlib.contextmanager
def _depth_told() -> Iterator[None]:
    try:
        yield
    except RecursionError as error:
        raise InvalidArgumentError(
            "the request is nested too deeply to be shown: give one of fewer lists in "
            "lists"
        ) from error


def _homeport(payload: Payload) -> Iterator[Shape]:
    body = _predict_body(payload)
    for name in (Envelope.JSON, Envelope.BODY):
        shape = Shape(
            surface=Surface.HOMEPORT,
            path="ENDPOINT:predict",
            envelope=name.value,
            body=body,
        )
        yield _answered(shape, envelopes.make(name).rows)


def _vertex(payload: Payload) -> Iterator[Shape]:
    predict = Shape(
        surface=Surface.VERTEX,
        path="ENDPOINT:predict",
        envelope="json",
        body=_predict_body(payload),
        note="with the prebuilt PyTorch image; a container of your own gets the body "
        "as it is sent",
    )
    yield predict
    yield dataclasses.replace(
        predict,
        path="ENDPOINT:rawPredict",
        content_type=_own_type(payload),
        body=payload.content,
        note="the file as it is; Homeport does not answer rawPredict yet",
    )


def _torchserve(payload: Payload) -> Iterator[Shape]:
    plain = Shape(
        surface=Surface.TORCHSERVE,
        path="/predictions/MODEL",
        body=_json_body(payload),
    )
    predict = dataclasses.replace(plain, body=_predict_body(payload))
    yield plain
    yield dataclasses.replace(
        plain, content_type=_raw_type(payload), body=payload.content
    )
    yield dataclasses.replace(plain, content_type=FORM, body=payload.content)
    yield dataclasses.replace(predict, envelope="json")
    yield dataclasses.replace(plain, envelope="body")
    rows = dataclasses.replace(predict, envelope="kserve", note=_KSERVE_NOTE)
    yield rows
    yield dataclasses.replace(
        rows, surface=Surface.KSERVE, path="/v1/models/MODEL:predict"
    )


def _tensors(payload: Payload) -> Iterator[Shape]:
    for surface, path in (
        (Surface.TORCHSERVE, "/predictions/MODEL"),
        (Surface.KSERVE, "/v2/models/MODEL/infer"),
    ):
        shape = Shape(surface=surface, path=path, envelope="kservev2", body=b"")
        try:
            body = _tensor_body(payload)
        except InvalidArgumentError as error:
            yield dataclasses.replace(shape, refusal=error.message)
        else:
            yield _through_torchserve(
                dataclasses.replace(shape, body=body, note=_KSERVEV2_NOTE)
            )


def _through_torchserve(shape: Shape) -> Shape:
    if shape.content_type == FORM:
        # As curl sends a file that is no text or picture.
        name, content_type = "data", BINARY
    else:
        name, content_type = "body", shape.content_type
    return _answered(
        shape,
        lambda body: torchservepayloads.opened(
            shape.envelope, torchservepayloads.parameter(name, content_type, body)
        ),
    )


def _answered(shape: Shape, rows: Callable[[bytes], list[Any]]) -> Shape:
    try:
        return dataclasses.replace(shape, data=rows(shape.body))
    except InvalidArgumentError as error:
        return dataclasses.replace(shape, refusal=error.message)


def _predict_body(payload: Payload) -> bytes:
    match payload.document:
        case {"instances": [_, *_]}:
            return payload.content
        case _:
            return _text({"instances": payload.instances})


def _json_body(payload: Payload) -> bytes:
    if payload.is_json:
        return payload.content
    return _predict_body(payload)


def _tensor_body(payload: Payload) -> bytes:
    match payload.document:
        case {"inputs": [_, *_]}:
            return payload.content
        case _:
            return _text({"inputs": openinference.to_inputs(payload.instances)})


def _own_type(payload: Payload) -> str:
    return JSON if payload.is_json else _raw_type(payload)


def _raw_type(payload: Payload) -> str:
    """Return the type of the file sent as it is, which is not as JSON."""
    try:
        payload.content.decode()
    except UnicodeDecodeError:
        return BINARY
    return BINARY if payload.is_json else TEXT


def _text(document: object) -> bytes:
    return json.dumps(document).encode()
