"""Waiting for what a service does for long."""

import concurrent.futures
from typing import Any

from google.api_core import exceptions
from google.api_core.operation import Operation

from homeport.errors import Code, DeadlineExceededError
from homeport.pipelines.googleerrors import translated
from homeport.pipelines.registry import EndedError


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


def cancel(operation: Operation, what: str) -> None:
    """Ask the service to end an operation, which may be too late.

    Raises:
        HomeportError: The service cannot be asked.
    """
    with translated(what):
        operation.cancel()


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
