"""One call of a handler: bodies in, one reply for each, whatever the handler does.

This is the edge where an author's exceptions end: they become replies here.
"""

import logging
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from homeport.errors import Code, HandlerError, HomeportError
from homeport.worker import (
    examination,
    loading,
    lonecalls,
    places,
    predictions,
    results,
)
from homeport.worker.context import Context
from homeport.worker.envelopes import Envelope, JsonEnvelope
from homeport.worker.examination import Examination, Steps
from homeport.worker.handler import EntryPoint
from homeport.worker.handlers import PredictionException
from homeport.worker.protocol import Reply
from homeport.worker.requests import Request

_LOG: Final = logging.getLogger("homeport.worker")
_MAX_MESSAGE_CHARACTERS: Final = 2000
_HTTP_OK_LIMIT: Final = 400
_HTTP_SERVER_ERROR: Final = 500
_CODE_BY_HTTP: Final = {
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    409: Code.ABORTED,
    429: Code.RESOURCE_EXHAUSTED,
    499: Code.CANCELLED,
    501: Code.UNIMPLEMENTED,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
    507: Code.RESOURCE_EXHAUSTED,
}


class Predictor(Protocol):
    """Whatever answers requests."""

    def predict(self, bodies: Sequence[bytes]) -> list[Reply]:
        """Return one reply for each body, in order; never raises an Exception."""

    def examine(self, bodies: Sequence[bytes]) -> Examination:
        """Return what one call with all of them comes to; never raises an Exception."""

    def call(self, request: Request, emit: Callable[[Reply], None]) -> Reply:
        """Return the reply to a raw, stream or explain request.

        Never raises an Exception but those of `emit`, which takes the pieces before the
        reply.
        """


class HandlerPredictor:
    """Answers through the author's handler.

    Args:
        entry_point: Called with all rows of all requests, and the context.
        context: What the handler is given.
        envelope: How a body becomes rows, and results predictions.
    """

    def __init__(
        self,
        entry_point: EntryPoint,
        context: Context,
        envelope: Envelope | None = None,
    ) -> None:
        self._entry_point = entry_point
        self._context = context
        self._model_dir = pathlib.Path(context.system_properties["model_dir"])
        self._envelope = envelope or JsonEnvelope()
        self._calls = 0

    def predict(self, bodies: Sequence[bytes]) -> list[Reply]:
        """Return one reply for each body; a bad request fails alone.

        Several bodies are one call. If that call fails in any way they are called one
        by one, so a handler may see a row a second time.
        """
        if len(bodies) > 1:
            replies = self._predict_together(bodies)
            if replies is not None:
                return replies
        return [self._predict_one(body) for body in bodies]

    def examine(self, bodies: Sequence[bytes]) -> Examination:
        """Return what one call with all of them comes to."""
        steps = Steps(self._read, self._call, self._reply)
        return examination.run(steps, bodies, self._model_dir)

    def call(self, request: Request, emit: Callable[[Reply], None]) -> Reply:
        """Return the reply to a raw, stream or explain request."""
        handler = lonecalls.Handler(self._entry_point, self._context, self._envelope)
        self._calls += 1
        try:
            return handler.answer(request, str(self._calls), emit)
        except Exception as error:  # noqa: BLE001  # the edge of the author's code
            return reply_for(error, self._model_dir)

    def _predict_one(self, body: bytes) -> Reply:
        try:
            (found,) = self._call(self._read([body]))
            return self._reply(0, found)
        except Exception as error:  # noqa: BLE001  # the edge of the author's code
            return reply_for(error, self._model_dir)

    def _predict_together(self, bodies: Sequence[bytes]) -> list[Reply] | None:
        """Return the replies of one combined call, None if it has to be split."""
        try:
            outputs = self._call(self._read(bodies))
            return [self._reply(index, part) for index, part in enumerate(outputs)]
        except Exception as error:  # noqa: BLE001  # each request is tried by itself
            _LOG.debug("a batch of %d failed: %s", len(bodies), type(error).__name__)
            return None

    def _read(self, bodies: Sequence[bytes]) -> list[list[Any]]:
        return [self._envelope.rows(body) for body in bodies]

    def _call(self, parts: list[list[Any]]) -> list[list[Any]]:
        """Return the results of each request, from one call with the rows of all."""
        self._calls += 1
        self._context.begin_call(
            [f"{self._calls}-{index}" for index in range(len(parts))]
        )
        rows = [row for part in parts for row in part]
        expected, unit = len(rows), self._envelope.unit
        answer = self._entry_point(rows, self._context)
        found = results.checked(answer, expected, unit, rows)
        outputs, start = [], 0
        for part in parts:
            outputs.append(found[start : start + len(part)])
            start += len(part)
        return outputs

    def _reply(self, index: int, found: list[Any]) -> Reply:
        status, phrase = self._context.get_response_status(index)
        if status >= _HTTP_OK_LIMIT:
            message = phrase or f"the handler set the response status {status}"
            return _without_paths(
                _refusal(_code_of_http(status), message), self._model_dir
            )
        return Reply(0, predictions.render(self._envelope.predictions(found)))


def reply_for(error: Exception, model_dir: pathlib.Path) -> Reply:
    """Return the reply for an exception of one call; the traceback goes to the log."""
    return _without_paths(_reply_for(error, model_dir), model_dir)


def _without_paths(reply: Reply, model_dir: pathlib.Path) -> Reply:
    text = places.without_server_paths(reply.payload.decode(), model_dir)
    return Reply(reply.code, text.encode())


def _reply_for(error: Exception, model_dir: pathlib.Path) -> Reply:
    match error:
        case HandlerError():
            _LOG.error("%s", error.message)
            return _refusal(error.code, error.message)
        case HomeportError():
            return _refusal(error.code, error.message)
        case PredictionException():
            return _refusal(_code_of_http(error.error_code), str(error.message))
        case _:
            return _unexpected(error, model_dir)


def _unexpected(error: Exception, model_dir: pathlib.Path) -> Reply:
    _log(error, model_dir)
    text = " ".join(str(error).split())
    name = type(error).__name__
    said = (
        f"the handler raised {name}: {text}" if text else f"the handler raised {name}"
    )
    if isinstance(error, MemoryError) or _is_device_memory_error(error):
        return _refusal(Code.RESOURCE_EXHAUSTED, said)
    return _refusal(Code.INTERNAL, said)


def _log(error: Exception, model_dir: pathlib.Path) -> None:
    """Log what was raised: the author's frames, or ours where there are no others."""
    authors = loading.authors_traceback(error, model_dir).rstrip()
    name = type(error).__name__
    if authors:
        _LOG.error("the handler raised %s\n%s", name, authors)
    else:
        _LOG.error("the handler raised %s", name, exc_info=error)


def _refusal(code: Code, message: str) -> Reply:
    return Reply(code, message[:_MAX_MESSAGE_CHARACTERS].encode("utf-8", "replace"))


def _code_of_http(status: object) -> Code:
    if not isinstance(status, int):
        return Code.INTERNAL
    if status in _CODE_BY_HTTP:
        return _CODE_BY_HTTP[status]
    below = _HTTP_OK_LIMIT <= status < _HTTP_SERVER_ERROR
    return Code.INVALID_ARGUMENT if below else Code.INTERNAL


def _is_device_memory_error(error: Exception) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.OutOfMemoryError)
