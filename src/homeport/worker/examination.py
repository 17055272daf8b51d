"""One call of a handler, looked at step by step: which step failed, and where.

The same reading, handler and rendering as any prediction, but several requests are one
call whatever the model's batch size, and are never tried one by one after it failed.
"""

import dataclasses
import enum
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from homeport.errors import HomeportError
from homeport.worker import loading, places, protocol
from homeport.worker.protocol import Kind, Reply

_Part = TypeVar("_Part")
_Output = TypeVar("_Output")


class Step(enum.StrEnum):
    """What a call is made of, in order."""

    REQUEST = "request"
    HANDLER = "handler"
    RESULT = "result"


@dataclasses.dataclass(frozen=True, slots=True)
class Steps(Generic[_Part, _Output]):
    """How a predictor takes each step.

    Attributes:
        read: From the bodies to what the handler is given, a part for each.
        compute: The one call; from all parts to an output for each.
        render: From the index of a request and its output to its reply.
    """

    read: Callable[[Sequence[bytes]], list[_Part]]
    compute: Callable[[list[_Part]], list[_Output]]
    render: Callable[[int, _Output], Reply]


@dataclasses.dataclass(frozen=True, slots=True)
class Examination:
    """What one call came to.

    Attributes:
        failed_in: The step that failed, None if none did.
        cause: Of a failure: one sentence without the final full stop.
        remedy: Of a failure: what to do, "" where the cause says it.
        traceback: Of a failure: the author's frames, "" if there are none.
        predictions: Without a failure: a JSON array for each request.
        handler_s: Seconds for reading the requests and calling the handler.
        result_s: Seconds for making JSON of what it returned.
    """

    failed_in: Step | None = None
    cause: str = ""
    remedy: str = ""
    traceback: str = ""
    predictions: tuple[str, ...] = ()
    handler_s: float = 0.0
    result_s: float = 0.0


def run(
    steps: Steps[_Part, _Output], bodies: Sequence[bytes], model_dir: pathlib.Path
) -> Examination:
    """Return what one call with all of `bodies` comes to; never raises an Exception."""
    step = Step.REQUEST
    began = computed = time.perf_counter()
    try:
        parts = steps.read(bodies)
        step = Step.HANDLER
        outputs = steps.compute(parts)
        computed = time.perf_counter()
        step = Step.RESULT
        replies = [steps.render(index, output) for index, output in enumerate(outputs)]
    except Exception as error:  # noqa: BLE001  # the edge of the author's code
        return _failed(step, error, model_dir)
    for reply in replies:
        if reply.code:
            # The handler set the status of its answer.
            return Examination(Step.HANDLER, reply.payload.decode())
    return Examination(
        predictions=tuple(reply.payload.decode() for reply in replies),
        handler_s=computed - began,
        result_s=time.perf_counter() - computed,
    )


def encode(examined: Examination) -> bytes:
    """Return the frame for the parent."""
    try:
        return protocol.encode_json(Kind.EXAMINED, dataclasses.asdict(examined))
    except protocol.ProtocolError as error:
        failed = Examination(Step.RESULT, error.message)
        return protocol.encode_json(Kind.EXAMINED, dataclasses.asdict(failed))


def decode(payload: bytes) -> Examination:
    """Return what the child sent.

    Raises:
        ProtocolError: It is no examination.
    """
    said: Mapping[str, Any] = protocol.decode_json(payload)
    try:
        step = said["failed_in"]
        return Examination(
            failed_in=None if step is None else Step(step),
            cause=str(said["cause"]),
            remedy=str(said["remedy"]),
            traceback=str(said["traceback"]),
            predictions=tuple(str(one) for one in said["predictions"]),
            handler_s=protocol.read_seconds(said["handler_s"]),
            result_s=protocol.read_seconds(said["result_s"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise protocol.ProtocolError(
            f"the worker's examination cannot be read ({type(error).__name__}): "
            "its environment holds another Homeport"
        ) from error


def _failed(step: Step, error: Exception, model_dir: pathlib.Path) -> Examination:
    if isinstance(error, HomeportError):
        cause = places.without_server_paths(error.message, model_dir)
        return Examination(step, cause)
    failure = loading.explain(error, model_dir, doing="the prediction")
    return Examination(step, failure.cause, failure.remedy, failure.traceback)
