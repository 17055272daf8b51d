"""The frames between a worker process and its parent. They must never change silently.

A Unix stream socket carries frames in both directions; a frame is a header of 16
bytes, little-endian, and a payload::

    0        4      5       6        8                16
    +--------+------+-------+--------+----------------+---------- - -
    | length | kind | flags | status | id             | payload
    | u32    | u8   | u8    | u16    | u64            | length bytes
    +--------+------+-------+--------+----------------+---------- - -

`flags` is 0. `status` is 0 or a google.rpc.Code, and 0 in all but REPLY. `id` is the
request's in PREDICT, RAW, EXPLAIN, CANCEL and what answers them, chosen by the parent,
and 0 elsewhere::

    child                                parent
      HELLO {"protocol": 3}        ->
                                   <-      LOAD {"model_dir": ..., "gpu_id": ...}
      IMPORTED {"import_s": ...}   ->
      LOADED {...}                 ->
        or LOAD_FAILED {...}, also without IMPORTED
                                   <-      PREDICT, the body of a :predict request
      REPLY, a JSON array          ->
        or, status > 0, a message
                                   <-      RAW, headers and the client's own body
      PIECE, of a stream, any number of times
      ANSWER, status, headers, body ->
        or REPLY, status > 0, a message
                                   <-      EXPLAIN, headers and a :predict body
      REPLY, a JSON object         ->
        or, status > 0, a message
                                   <-      CANCEL, of a request above
                                   <-      EXAMINE {"bodies": [...]}
      EXAMINED {...}               ->
                                   <-      SHUTDOWN

EXAMINE asks for one call with all of its bodies, and is sent while no request is
without its reply. A request that is cancelled before its call has begun is answered
with the status CANCELLED; else CANCEL has no effect. Payloads are JSON, but PREDICT's
(the client's bytes, unparsed), those of RAW, EXPLAIN, PIECE and ANSWER (see
`worker.requests`) and the UTF-8 message of a REPLY with a status. There is no pickle.
Whoever changes a frame's meaning raises `PROTOCOL_VERSION`: a parent refuses a child of
another version at HELLO.
"""

import dataclasses
import enum
import json
import math
import struct
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from homeport.errors import Code, HomeportError

PROTOCOL_VERSION: Final = 3
HEADER: Final = struct.Struct("<IBBHQ")
HEADER_BYTES: Final = 16
MAX_PAYLOAD_BYTES: Final = 256 * 1024 * 1024
_FIRST_CAPACITY: Final = 256 * 1024


class Kind(enum.IntEnum):
    """What a frame is."""

    HELLO = 1
    LOAD = 2
    LOADED = 3
    LOAD_FAILED = 4
    PREDICT = 5
    REPLY = 6
    SHUTDOWN = 7
    IMPORTED = 8
    EXAMINE = 9
    RAW = 10
    EXPLAIN = 11
    CANCEL = 12
    EXAMINED = 13
    ANSWER = 14
    PIECE = 15


class ProtocolError(HomeportError):
    """The other side sent what is no frame, or a frame out of turn."""

    code = Code.INTERNAL


class Frame(NamedTuple):
    """One frame as it arrived.

    Attributes:
        kind: A `Kind`, or a number that this version does not know.
        status: 0 or a google.rpc.Code.
        id: The request's, 0 where there is none.
        payload: What followed the header.
    """

    kind: int
    status: int
    id: int
    payload: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Head:
    """What goes before the body of a raw answer.

    Attributes:
        status: HTTP's.
        headers: HTTP's, names in lower case.
    """

    status: int = 200
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request.

    Attributes:
        code: 0, or the google.rpc.Code of the failure.
        payload: With code 0 what was asked for: a JSON array, the predictions; a JSON
            object, the explanations; the body of a raw answer. Else a UTF-8 message.
        head: Of a raw answer, None for the others.
        metadata: What a program of an author's own said of its predictions, as JSON;
            empty where it said nothing.
        is_redacted: Whether a failure's message repeats no value of the deployment's
            variables, or only such as are of our own words.
    """

    code: int
    payload: bytes
    head: Head | None = None
    metadata: bytes = b""
    is_redacted: bool = False


def encode(kind: Kind, payload: bytes = b"", *, status: int = 0, id_: int = 0) -> bytes:
    """Return the bytes of one frame.

    Raises:
        ProtocolError: The payload is over `MAX_PAYLOAD_BYTES`.
    """
    _check_length(len(payload))
    return HEADER.pack(len(payload), kind, 0, status, id_) + payload


def payload_error(length: int) -> ProtocolError:
    """Return the error for a payload over the limit."""
    return ProtocolError(
        f"a frame of {length} bytes is over the limit of {MAX_PAYLOAD_BYTES}: "
        "send fewer instances in one request"
    )


def encode_json(kind: Kind, document: dict[str, Any]) -> bytes:
    """Return the bytes of one frame with a JSON payload."""
    return encode(kind, json.dumps(document).encode())


def decode_json(payload: bytes) -> dict[str, Any]:
    """Return the JSON object in a payload.

    Raises:
        ProtocolError: There is none.
    """
    try:
        document = json.loads(payload)
    except ValueError as error:
        raise ProtocolError(
            f"a frame of {len(payload)} bytes holds no JSON: "
            "one side was changed without raising the protocol version"
        ) from error
    if not isinstance(document, dict):
        raise ProtocolError(
            f"a frame holds a JSON {type(document).__name__}, not an object: "
            "one side was changed without raising the protocol version"
        )
    return document


def read_seconds(value: object) -> float:
    """Return what a payload holds where seconds belong.

    Raises:
        ValueError: It is no finite number of at least 0.
    """
    if not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{type(value).__name__} where seconds belong")
    return float(value)


def check_hello(frame: Frame) -> None:
    """Refuse a child whose first frame is not HELLO of this version.

    Raises:
        ProtocolError: Another frame, or another version.
    """
    if frame.kind != Kind.HELLO:
        raise ProtocolError(
            f"the worker began with a frame of kind {frame.kind} instead of HELLO: "
            "its environment holds another Homeport"
        )
    version = decode_json(frame.payload).get("protocol")
    if version != PROTOCOL_VERSION:
        raise ProtocolError(
            f"the worker speaks protocol {version!r:.20}, "
            f"this server speaks {PROTOCOL_VERSION}: "
            "install the same Homeport version in the worker's environment"
        )


class Decoder:
    """Cuts a byte stream into frames; owns the buffer the stream is received into.

    Receive into `writable()`, then say how much came with `received()`. The buffer
    grows as bytes arrive, never by what a header only promises.
    """

    __slots__ = ("_buffer", "_end", "_view")

    def __init__(self, capacity: int = _FIRST_CAPACITY) -> None:
        self._buffer = bytearray(max(capacity, HEADER_BYTES))
        self._view = memoryview(self._buffer)
        self._end = 0

    def writable(self) -> memoryview:
        """Return the free part of the buffer, never empty."""
        return self._view[self._end :]

    def received(self, count: int) -> list[Frame]:
        """Return the frames that `count` more bytes completed, in order.

        Raises:
            ProtocolError: A header promises more than `MAX_PAYLOAD_BYTES`. The stream
                cannot be read on after that.
        """
        self._end += count
        frames: list[Frame] = []
        view, end, start = self._view, self._end, 0
        while end - start >= HEADER_BYTES:
            length, kind, _, status, id_ = HEADER.unpack_from(view, start)
            if length > MAX_PAYLOAD_BYTES:
                _check_length(length)
            begin = start + HEADER_BYTES
            if end - begin < length:
                break
            start = begin + length
            frames.append(Frame(kind, status, id_, bytes(view[begin:start])))
        self._keep_from(start)
        return frames

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the frames that the bytes of `chunk` completed, in order.

        Raises:
            ProtocolError: As `received` does.
        """
        frames: list[Frame] = []
        source = memoryview(chunk)
        while source:
            free = self.writable()
            count = min(len(free), len(source))
            free[:count] = source[:count]
            source = source[count:]
            frames += self.received(count)
        return frames

    def _keep_from(self, start: int) -> None:
        """Move the incomplete rest to the front, into a buffer of fitting size."""
        rest = self._end - start
        capacity = len(self._buffer)
        if rest == capacity:
            capacity *= 2
        elif capacity > _FIRST_CAPACITY and rest < _FIRST_CAPACITY // 2:
            capacity = _FIRST_CAPACITY
        if capacity != len(self._buffer):
            grown = bytearray(capacity)
            grown[:rest] = self._view[start : self._end]
            self._buffer, self._view = grown, memoryview(grown)
        elif start and rest:
            self._view[:rest] = bytes(self._view[start : self._end])
        self._end = rest


def _check_length(length: int) -> None:
    if length > MAX_PAYLOAD_BYTES:
        raise payload_error(length)
