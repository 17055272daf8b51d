"""The calls of a model whose archive names base_handler: tensors in, tensors out."""

import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch

from homeport.errors import (
    FailedPreconditionError,
    HandlerError,
    InvalidArgumentError,
)
from homeport.worker import (
    basehandler,
    calls,
    examination,
    optional,
    predictions,
    rawbodies,
    results,
    tensors,
)
from homeport.worker.examination import Examination, Steps
from homeport.worker.instances import PREDICT_FIELDS, Fields
from homeport.worker.protocol import Head, Reply
from homeport.worker.requests import Request, RequestKind

# What torch says of a model of floats that is given integers.
_TYPE_COMPLAINT: Final = re.compile(
    r"dtype|scalar type|Input type|not implemented for '(Long|Int)'", re.IGNORECASE
)


class TensorPredictor:
    """Answers through the model itself, with TorchServe's base_handler's meaning.

    Whole numbers reach the model as int64 and, where it refuses those, as float32: to
    a JSON writer 1.0 and 1 are the same number.

    Args:
        model: Takes one tensor, shape (instances, ...), and returns one with as many
            rows.
        device: Where it computes.
        model_dir: The archive, whose place no message tells.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401
        device: torch.device,
        model_dir: pathlib.Path,
    ) -> None:
        self._model = model
        self._model_dir = model_dir
        self._device = device
        self._on_cpu = device.type == "cpu"
        self._read = tensors.make_reader()
        self._has_numpy = optional.module("numpy") is not None
        self._wants_float = False

    def predict(self, bodies: Sequence[bytes]) -> list[Reply]:
        """Return one reply for each body; a bad request fails alone."""
        if len(bodies) > 1:
            replies = self._predict_together(bodies)
            if replies is not None:
                return replies
        return [self._predict_one(body) for body in bodies]

    def examine(self, bodies: Sequence[bytes]) -> Examination:
        """Return what one forward with all of them comes to."""
        steps = Steps(self._read_all, self._forward_all, self._reply)
        return examination.run(steps, bodies, self._model_dir)

    def call(self, request: Request, emit: Callable[[Reply], None]) -> Reply:
        """Return the reply to a raw or stream request, which has to hold instances."""
        del emit
        try:
            _check_understood(request)
        except (FailedPreconditionError, InvalidArgumentError) as error:
            return calls.reply_for(error, self._model_dir)
        reply = self._predict_one(request.body, fields=None)
        if reply.code:
            return reply
        body = b'{"predictions":' + reply.payload + b"}"
        return Reply(0, body, Head(200, {"content-type": "application/json"}))

    def _predict_one(self, body: bytes, fields: Fields = PREDICT_FIELDS) -> Reply:
        try:
            batch = self._read(body, fields)
            return Reply(0, self._render(self._forward(batch)))
        except Exception as error:  # noqa: BLE001  # the edge of the model's code
            return calls.reply_for(error, self._model_dir)

    def _predict_together(self, bodies: Sequence[bytes]) -> list[Reply] | None:
        """Return the replies of one forward, None if it has to be split."""
        try:
            outputs = self._forward_all(self._read_all(bodies))
            return [self._reply(index, rows) for index, rows in enumerate(outputs)]
        except Exception:  # noqa: BLE001  # each request is tried by itself
            return None

    def _read_all(self, bodies: Sequence[bytes]) -> list[torch.Tensor]:
        parts = [self._read(body) for body in bodies]
        first = parts[0]
        for part in parts:
            # cat would promote: a request's result must not depend on its company.
            if part.dtype != first.dtype or part.shape[1:] != first.shape[1:]:
                raise InvalidArgumentError(
                    f"instances of shape {tuple(first.shape[1:])} and "
                    f"{tuple(part.shape[1:])}, or of two types, are never put into one "
                    "call: give instances of one shape and type"
                )
        return parts

    def _forward_all(self, parts: list[torch.Tensor]) -> list[torch.Tensor]:
        output = self._forward(torch.cat(parts))
        return list(torch.split(output, [len(part) for part in parts]))

    def _reply(self, index: int, output: torch.Tensor) -> Reply:
        del index
        return Reply(0, self._render(output))

    def _forward(self, batch: torch.Tensor) -> torch.Tensor:
        if not self._on_cpu:
            batch = batch.to(self._device)
        with torch.inference_mode():
            if batch.is_floating_point():
                output = self._run(batch)
            else:
                output = self._run_integers(batch)
        if not isinstance(output, torch.Tensor):
            raise HandlerError(
                f"the model returned a value of type {type(output).__name__}, and "
                "base_handler serves one tensor: pack your own handler file"
            )
        if output.dim() == 0 or output.shape[0] != batch.shape[0]:
            returned = output.shape[0] if output.dim() else 1
            bare = batch.dim() == 1
            raise results.count_error("model", returned, len(batch), bare=bare)
        return output

    def _run(self, batch: torch.Tensor) -> Any:  # noqa: ANN401  # models may do anything
        try:
            return self._model(batch)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, IndexError) as error:
            raise basehandler.refused(batch, error) from error

    def _run_integers(self, batch: torch.Tensor) -> Any:  # noqa: ANN401
        if self._wants_float:
            return self._run(batch.float())
        try:
            return self._run(batch)
        except basehandler.InputRefusedError as refusal:
            output = self._run_as_floats(batch, refusal)
            self._wants_float = True
            return output

    def _run_as_floats(
        self, batch: torch.Tensor, refusal: basehandler.InputRefusedError
    ) -> Any:  # noqa: ANN401
        """Try floats after a refusal of integers; raise the telling one of the two."""
        try:
            return self._run(batch.float())
        except basehandler.InputRefusedError:
            if _TYPE_COMPLAINT.search(refusal.message):
                raise
            raise refusal from refusal.__cause__

    def _render(self, output: torch.Tensor) -> bytes:
        if not self._on_cpu:
            output = output.cpu()
        if output.dtype is torch.bfloat16:
            output = output.float()
        if not self._has_numpy:
            return predictions.render(output.tolist())
        if output.requires_grad:
            output = output.detach()
        return predictions.render(output.numpy())


def _check_understood(request: Request) -> None:
    if request.kind is RequestKind.EXPLAIN:
        raise FailedPreconditionError(
            "base_handler cannot explain: pack a handler file of your own, whose class "
            "has explain_handle, and deploy that version"
        )
    if not rawbodies.instances_of(request):
        raise InvalidArgumentError(
            f"base_handler understands application/json with a list of instances, not "
            f"{request.content_type or 'a body without a content type'!r}: pack a "
            "handler file of your own for other bodies"
        )
