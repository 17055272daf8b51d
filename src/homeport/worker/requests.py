"""Requests that are more than a :predict body, and how they lie in a frame.

Such a request has headers and perhaps a path; its answer has a status and headers. In a
frame the JSON of these goes first, behind its length::

    +--------+--------------+---------- - -
    | u32    | JSON         | the body's own bytes
    +--------+--------------+---------- - -
"""

import dataclasses
import enum
import json
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

from homeport.worker import protocol
from homeport.worker.protocol import Frame, Head, Kind, ProtocolError, Reply

_LENGTH: Final = struct.Struct("<I")


class RequestKind(enum.StrEnum):
    """What is asked of a model."""

    PREDICT = "predict"
    RAW = "raw"
    EXPLAIN = "explain"
    STREAM = "stream"


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One request to a model.

    Attributes:
        kind: What is asked. A raw or stream request is answered with a `Head`; a
            predict or explain request is a body as :predict takes it.
        body: As it came.
        headers: The client's, names in lower case, without credentials.
        path: What followed the model's own route, without the leading slash.
        on_piece: Of a stream: called on the event loop with each piece, in order,
            before the reply, which then holds the last piece alone.
    """

    kind: RequestKind
    body: bytes
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    path: str = ""
    on_piece: Callable[[Reply], None] | None = None

    @property
    def content_type(self) -> str:
        """The body's type without its parameters, in lower case; "" if not said."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def encode(request: Request, id_: int) -> bytes:
    """Return the frame of a request.

    Raises:
        ProtocolError: It is over the limit of a frame.
    """
    kind = Kind.EXPLAIN if request.kind is RequestKind.EXPLAIN else Kind.RAW
    head = {
        "kind": request.kind,
        "headers": dict(request.headers),
        "path": request.path,
    }
    return protocol.encode(kind, _join(head, request.body), id_=id_)


def decode(frame: Frame) -> Request:
    """Return the request in a frame.

    Raises:
        ProtocolError: There is none.
    """
    head, body = _split(frame.payload)
    try:
        return Request(
            RequestKind(head["kind"]), body, dict(head["headers"]), str(head["path"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable("request") from error


def encode_answer(kind: Kind, reply: Reply, id_: int) -> bytes:
    """Return the frame of a reply with a head, or of one piece of it.

    Raises:
        ProtocolError: It is over the limit of a frame.
    """
    head = reply.head or Head()
    document = {"status": head.status, "headers": dict(head.headers)}
    return protocol.encode(
        kind, _join(document, reply.payload), status=reply.code, id_=id_
    )


def decode_answer(frame: Frame) -> Reply:
    """Return the reply, or the piece, in a frame.

    Raises:
        ProtocolError: There is none.
    """
    head, body = _split(frame.payload)
    try:
        headers = {str(name): str(value) for name, value in head["headers"].items()}
        return Reply(frame.status, body, Head(int(head["status"]), headers))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _unreadable("answer") from error


def _join(head: Mapping[str, Any], body: bytes) -> bytes:
    text = json.dumps(head).encode()
    return b"".join((_LENGTH.pack(len(text)), text, body))


def _split(payload: bytes) -> tuple[dict[str, Any], bytes]:
    if len(payload) < _LENGTH.size:
        raise _unreadable("frame")
    end = _LENGTH.size + _LENGTH.unpack_from(payload)[0]
    return protocol.decode_json(payload[_LENGTH.size : end]), payload[end:]


def _unreadable(what: str) -> ProtocolError:
    return ProtocolError(
        f"a {what} of the worker's socket cannot be read: "
        "one side was changed without raising the protocol version"
    )
