"""Between the messages of evaluations and the values of `resources`."""

from homeport.edge import codec
from homeport.edge.messages_evaluations import (
    ModelEvaluationMessage,
    ModelEvaluationSliceMessage,
)
from homeport.errors import InvalidArgumentError
from homeport.resources.evaluation import Evaluation, EvaluationSlice, Measured


def measured(message: ModelEvaluationMessage) -> Measured:
    """Return what an evaluation to be imported says.

    Raises:
        InvalidArgumentError: It has no metrics.
    """
    _require_metrics(message)
    return Measured(
        message.display_name, message.metrics_schema_uri, codec.encode(message)
    )


def measured_slice(message: ModelEvaluationSliceMessage) -> Measured:
    """Return what a slice to be imported says.

    Raises:
        InvalidArgumentError: It has no metrics.
    """
    _require_metrics(message)
    return Measured("", message.metrics_schema_uri, codec.encode(message))


def evaluation_message(evaluation: Evaluation) -> ModelEvaluationMessage:
    """Return an evaluation as clients read it."""
    content = codec.decode_object(
        ModelEvaluationMessage, dict(evaluation.measured.content)
    )
    server = {"name": str(evaluation.name), "create_time": evaluation.create_time}
    return content.model_copy(update=server)


def slice_message(one: EvaluationSlice) -> ModelEvaluationSliceMessage:
    """Return a slice of an evaluation as clients read it."""
    content = codec.decode_object(
        ModelEvaluationSliceMessage, dict(one.measured.content)
    )
    server = {"name": str(one.name), "create_time": one.create_time}
    return content.model_copy(update=server)


def _require_metrics(
    message: ModelEvaluationMessage | ModelEvaluationSliceMessage,
) -> None:
    if message.metrics is None:
        raise InvalidArgumentError(
            "metrics is missing: give the numbers, in the form of metrics_schema_uri"
        )
