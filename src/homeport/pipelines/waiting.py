"""Waiting for what a service does for long."""

import concurrent.futures
import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Final

import requests
from google.api_core import exceptions
from google.api_core.operation import Operation
from google.api_core.retry import Retry
from google.api_core.timeout import ConstantTimeout
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport.requests import AuthorizedSession

from homeport.errors import Code, DeadlineExceededError
from homeport.pipelines.googleerrors import translated
from homeport.pipelines.place import Place
from homeport.pipelines.registry import EndedError

# What one call may take, if it does not begin something.
CALL_S: Final = 60.0
_CANCELLING_S: Final = 10.0
_FIRST_PAUSE_S: Final = 1.0
# A service that starts again is away for so long at most.
_AWAY_S: Final = 600.0
_PASSING: Final = (
    exceptions.TooManyRequests,
    exceptions.InternalServerError,
    exceptions.BadGateway,
    exceptions.ServiceUnavailable,
    exceptions.GatewayTimeout,
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    TransportError,
)

_Call = Callable[..., Any]


def persistent(what: str, timeout_s: float) -> Callable[[_Call], _Call]:
    """Return how to ask for a state: again, while the service or the way is away.

    It decorates a call of Google's that has a timeout, which it sets; their methods
    take it as `retry`.

    Args:
        what: What is waited for, for the message.
        timeout_s: How long to wait for that; for an answer at most 10 minutes.
    """
    again = Retry(
        predicate=_is_passing, initial=_FIRST_PAUSE_S, timeout=min(_AWAY_S, timeout_s)
    )

    def decorated(call: _Call) -> _Call:
        asking = again(ConstantTimeout(min(CALL_S, timeout_s))(call))

        @functools.wraps(call)
        def asked(*words: object, **named: object) -> Any:  # noqa: ANN401  # the call's
            with translated(what):
                return asking(*words, **named)

        return asked

    return decorated


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
        return operation.result(timeout=timeout_s, retry=persistent(what, timeout_s))
    except exceptions.GoogleAPICallError as error:
        raise EndedError(
            _code(operation.operation.error.code), f"{what}: {error.message}"
        ) from error
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


def _is_passing(error: Exception) -> bool:
    """Return whether asking again may help; a token may be fetched for the call."""
    if isinstance(error, GoogleAuthError) and error.retryable:
        return True
    return isinstance(error, _PASSING) or isinstance(error.__cause__, TransportError)


def _code(number: int) -> Code:
    known = {code.value for code in Code}
    return Code(number) if number in known else Code.INTERNAL
