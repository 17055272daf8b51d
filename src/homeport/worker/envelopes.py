"""From a :predict body to what the author's handler is given, and back.

TorchServe's service envelopes, for a request that always asks with `instances` and is
always answered with `predictions`.
"""

import json
from typing import Any, Protocol, final

from homeport.errors import HandlerError
from homeport.worker import instances
from homeport.worker.instances import PREDICT_FIELDS, Fields
from homeport.worker.serverconfig import Envelope as Name


class Envelope(Protocol):
    """One way to open a request and to close its answer."""

    unit: str
    """What one row is, for people."""

    def rows(self, body: bytes, fields: Fields = PREDICT_FIELDS) -> list[Any]:
        """Return what the handler is given for one request.

        Args:
            body: As it came.
            fields: Those that it may have, where the handler is not given them all.

        Raises:
            InvalidArgumentError: The body is no :predict request.
        """

    def predictions(self, results: list[Any]) -> list[Any]:
        """Return the predictions from what the handler returned for these rows.

        Raises:
            HandlerError: It returned something else.
        """


@final
class JsonEnvelope:
    """One row for each instance, one result for each prediction."""

    unit = "instance"

    def rows(self, body: bytes, fields: Fields = PREDICT_FIELDS) -> list[Any]:
        """Return the instances, binary ones decoded."""
        return instances.decode_binary(instances.parse(body, fields))

    def predictions(self, results: list[Any]) -> list[Any]:
        """Return the results as they are."""
        return results


@final
class BodyEnvelope:
    """One row for each request: its whole body, `parameters` included."""

    unit = "request"

    def rows(self, body: bytes, fields: Fields = PREDICT_FIELDS) -> list[Any]:
        """Return the one object that the body is, whatever its fields."""
        del fields
        return [instances.parse_body(body)]

    def predictions(self, results: list[Any]) -> list[Any]:
        """Return the list in the one result: `{"predictions": [...]}`, or it alone."""
        (result,) = results
        if isinstance(result, str | bytes | bytearray):
            result = _parse(result)
        if isinstance(result, dict) and "predictions" in result:
            result = result["predictions"]
        if not isinstance(result, list):
            raise HandlerError(
                f"the handler returned a {type(result).__name__} for a request: with "
                'service_envelope=body return {"predictions": [...]} for each'
            )
        return result


def make(name: Name) -> Envelope:
    """Return the envelope of that name."""
    return BodyEnvelope() if name is Name.BODY else JsonEnvelope()


def _parse(text: str | bytes | bytearray) -> Any:  # noqa: ANN401  # any JSON value
    try:
        return json.loads(text)
    except ValueError as error:
        raise HandlerError(
            f"the handler returned text that is no JSON: {error}"
        ) from error
