"""What a job writes: a line for each instance, with its prediction or its error."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import orjson

from homeport.errors import HandlerError
from homeport.jobs import rows
from homeport.jobs.rows import Failed, Rows
from homeport.resources.batch_job import PredictionsFormat

# As real jobs of the service name them; samples look for the first word.
RESULTS: Final = "prediction.results-00000-of-00001"
ERRORS: Final = "prediction.errors_stats-00000-of-00001"


@dataclasses.dataclass(frozen=True, slots=True)
class Answered:
    """Rows that were answered together.

    Attributes:
        rows: In the order of the input.
        predictions: JSON, one for each.
    """

    rows: Rows
    predictions: Sequence[bytes]

    @property
    def size_bytes(self) -> int:
        """About how many bytes its lines have."""
        return sum(map(len, self.rows.told)) + sum(map(len, self.predictions))


def split(payload: bytes, expected: int) -> Sequence[bytes]:
    """Return the predictions of one answer, a JSON list, each by itself.

    Raises:
        HandlerError: There is another number of them than of instances, or no list.
    """
    found = _split_vectors(payload, expected)
    if found is not None:
        return found
    try:
        predictions: Any = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise HandlerError(
            f"the model's answer is no JSON: {error}; return a list of predictions"
        ) from error
    if not isinstance(predictions, list):
        raise HandlerError(
            "the model's answer is no JSON list: return one prediction for each "
            "instance"
        )
    if len(predictions) != expected:
        raise HandlerError(
            f"the model answered with {len(predictions)} predictions for {expected} "
            "instances: return one for each"
        )
    return [orjson.dumps(prediction) for prediction in predictions]


def header(columns: Sequence[str], *, keyed: bool) -> bytes:
    """Return the first line of predictions as csv."""
    # InstanceConfig.key_field (aiplatform v1): "a `key` column".
    names = ("key",) if keyed else columns
    return b",".join(rows.cell(name) for name in (*names, "prediction")) + b"\n"


def results(answered: Answered, kind: PredictionsFormat) -> bytes:
    """Return the lines of rows that have predictions."""
    if kind is PredictionsFormat.CSV:
        pairs = zip(answered.rows.columns, answered.predictions, strict=True)
        lines = [
            b"%b,%b\n" % (columns, rows.cell(orjson.loads(prediction)))
            for columns, prediction in pairs
        ]
        return b"".join(lines)
    line = b'{"%b":%%b,"prediction":%%b}\n' % _word(answered.rows.keyed)
    pairs = zip(answered.rows.told, answered.predictions, strict=True)
    return b"".join([line % pair for pair in pairs])


def error(failed: Failed) -> bytes:
    """Return the line of an instance that failed."""
    # google.rpc.Status; only these two of its fields are told.
    status = {"code": int(failed.failure.code), "message": failed.failure.message}
    line = b'{"%b":%b,"error":%b}\n'
    return line % (_word(failed.keyed), failed.told, orjson.dumps(status))


def _split_vectors(payload: bytes, expected: int) -> Sequence[bytes] | None:
    """Split a list of lists of numbers at its brackets; None if it is something else.

    Most models answer so, and their numbers need not be read to be written again.
    """
    plain = (
        payload.startswith(b"[[")
        and payload.endswith(b"]]")
        and payload.count(b"[") == expected + 1
        and b'"' not in payload
        and b"{" not in payload
    )
    if not plain:
        return None
    vectors = payload[2:-2].split(b"],[")
    if len(vectors) != expected:
        return None
    return [b"[%b]" % vector for vector in vectors]


def _word(keyed: bool) -> bytes:  # noqa: FBT001  # which of two words
    return b"key" if keyed else b"instance"
