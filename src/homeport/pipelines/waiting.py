"""Waiting for what a service does for long."""

import concurrent.futures
import dataclasses
from typing import Any, Final

from google.api_core import exceptions
from google.api_core.operation import Operation
from google.auth.credentials import Credentials
from google.auth.transport.requests import AuthorizedSession

from homeport.errors import Code, DeadlineExceededError
from homeport.pipelines.googleerrors import translated
from homeport.pipelines.place import Place
from homeport.pipelines.registry import EndedError

_CANCELLING_S: Final = 10.0


def result(operation: Operation, what: str, timeout_s: float) -> Any:  # noqa: ANN401  # a message of Google's
    """Return the message that an operation ends with.

    Args:
        operation: The operation.
        what: What it does, for the message.
        timeout_s: How long to wait.

    Raises:
        EndedError: It failed or was cancelled.
        DeadlineExceededError: It takes longer.
        HomeportError: The service cannot be asked.
    """
    try:
        with translated(what):
            return _result(operation, what, timeout_s)
    except concurrent.futures.TimeoutError as error:
        raise DeadlineExceededError(
            f"{what}: not done after {timeout_s:g} s; look at "
            f"{operation.operation.name}"
        ) from error


@dataclasses.dataclass(frozen=True, slots=True)
class Canceller:
    """Asks a service to end operations.

    Google's own method to cancel raises KeyError over REST, before it asks anybody.

    Attributes:
        place: Which service.
        credentials: As whom.
    """

    place: Place
    credentials: Credentials

    def cancel(self, operation: Operation, what: str) -> None:
        """Ask for the end of an operation, which may be too late.

        Raises:
            HomeportError: The service cannot be asked, or does not want to.
        """
        address = f"{self.place.url}/v1/{operation.operation.name}:cancel"
        with translated(what), AuthorizedSession(self.credentials) as session:
            answer = session.post(address, json={}, timeout=_CANCELLING_S)
            if not answer.ok:
                raise exceptions.from_http_response(answer)


def _result(operation: Operation, what: str, timeout_s: float) -> Any:  # noqa: ANN401  # the same
    try:
        return operation.result(timeout=timeout_s)
    except exceptions.GoogleAPICallError as error:
        if not operation.operation.done:
            raise
        raise EndedError(
            _code(operation.operation.error.code), f"{what}: {error.message}"
        ) from error


def _code(number: int) -> Code:
    known = {code.value for code in Code}
    return Code(number) if number in known else Code.INTERNAL
