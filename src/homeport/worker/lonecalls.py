"""Calls that hold one request alone: raw, stream and explain.

Their headers reach the handler through its context, as TorchServe hands them on.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

from homeport.errors import FailedPreconditionError
from homeport.worker import predictions, rawbodies, results
from homeport.worker.context import Context
from homeport.worker.envelopes import Envelope
from homeport.worker.handler import EntryPoint
from homeport.worker.handlers import PredictionException
from homeport.worker.instances import EXPLAIN_FIELDS
from homeport.worker.protocol import Head, Reply
from homeport.worker.requests import Request, RequestKind

_HTTP_FAILURES: Final = 400


@dataclasses.dataclass(frozen=True, slots=True)
class Handler:
    """The author's handler, asked with one request.

    Attributes:
        entry_point: Called with the rows of the request, and the context.
        context: What the handler is given.
        envelope: How a :predict body becomes rows, and results predictions.
    """

    entry_point: EntryPoint
    context: Context
    envelope: Envelope

    def answer(
        self, request: Request, request_id: str, emit: Callable[[Reply], None]
    ) -> Reply:
        """Return the reply to `request`.

        Args:
            request: Raw, stream or explain.
            request_id: For the handler.
            emit: Takes the pieces of a stream.

        Raises:
            Exception: Whatever the handler raises, or the request's own fault.
        """
        if request.kind is RequestKind.EXPLAIN:
            return self._explain(request, request_id)
        pieces = _Pieces(self.context, emit)
        if request.kind is RequestKind.RAW:
            # Who cannot read pieces gets them as one body.
            pieces = _Pieces(self.context, None)
        headers = _headers(request)
        if rawbodies.instances_of(request):
            rows = self.envelope.rows(request.body, fields=None)
            found = self._call(rows, request_id, headers, pieces.add)
            document = {"predictions": self.envelope.predictions(found)}
            return pieces.last(*rawbodies.render(document))
        row: Any = rawbodies.row(request)
        if self.envelope.unit == "request":
            row = row.get("data") or row.get("body") or row
        (found,) = self._call([row], request_id, headers, pieces.add)
        return pieces.last(*rawbodies.render(found))

    def _explain(self, request: Request, request_id: str) -> Reply:
        """Return predictions and explanations, from a call for each."""
        owner = getattr(self.entry_point, "__self__", None)
        if not callable(getattr(owner, "explain_handle", None)):
            raise FailedPreconditionError(
                "the handler cannot explain: give its class explain_handle, or derive "
                "it from BaseHandler and give it get_insights, and deploy that version"
            )
        headers = _headers(request)
        rows = self.envelope.rows(request.body, EXPLAIN_FIELDS)
        predicted = self._call(rows, request_id, headers, None)
        # Read again: the first call may have changed the rows.
        rows = self.envelope.rows(request.body, EXPLAIN_FIELDS)
        explain = {**headers, "explain": "True"}
        explained = self._call(rows, request_id, explain, None)
        document = {
            "explanations": [_explanation(one) for one in explained],
            "predictions": self.envelope.predictions(predicted),
        }
        return Reply(0, predictions.render(document))

    def _call(
        self,
        rows: list[Any],
        request_id: str,
        headers: Mapping[str, str],
        emit: Callable[[object], None] | None,
    ) -> list[Any]:
        self.context.begin_lone_call(request_id, headers, emit)
        expected = len(rows)
        found = self.entry_point(rows, self.context)
        status, phrase = self.context.get_response_status(0)
        if self.context.explain and status >= _HTTP_FAILURES:
            raise PredictionException(phrase or f"the status is {status}", status)
        return results.checked(found, expected, self.envelope.unit, rows)


class _Pieces:
    """What a handler answers before it returns, and the rest.

    Args:
        context: Has the status and headers of the answer.
        emit: Where each piece goes at once; None keeps them for the answer.
    """

    def __init__(self, context: Context, emit: Callable[[Reply], None] | None) -> None:
        self._context = context
        self._emit = emit
        self._kept: list[bytes] = []
        self._content_type = ""

    def add(self, result: object) -> None:
        """Take one piece."""
        content_type, piece = rawbodies.render(result)
        self._content_type = self._content_type or content_type
        if self._emit is None:
            self._kept.append(piece)
        else:
            self._emit(Reply(0, piece, self._head()))

    def last(self, content_type: str, body: bytes) -> Reply:
        """Return the answer, which ends with `body`."""
        self._content_type = self._content_type or content_type
        return Reply(0, b"".join((*self._kept, body)), self._head())

    def _head(self) -> Head:
        headers = {
            "content-type": self._content_type,
            **self._context.get_response_headers(0),
        }
        return Head(self._context.get_response_status(0)[0], headers)


def _headers(request: Request) -> dict[str, str]:
    headers = dict(request.headers)
    # No client decides by a header that an answer is an explanation.
    headers.pop("explain", None)
    return headers | {"url_path": request.path} if request.path else headers


def _explanation(result: object) -> object:
    """Return what a handler said of one instance as Vertex's Explanation."""
    if isinstance(result, dict) and "attributions" in result:
        return result
    return {"attributions": [{"featureAttributions": result}]}
