"""What a server refused, as the exception that says so here.

The sentence stays the server's own; its code chooses the class of `homeport.errors`.
"""

from collections.abc import Mapping
from typing import Any, Final

from homeport import errors
from homeport.errors import Code, HomeportError

_CLASSES: Final[Mapping[Code, type[HomeportError]]] = {
    one.code: one
    for one in (
        errors.CancelledError,
        errors.InvalidArgumentError,
        errors.DeadlineExceededError,
        errors.NotFoundError,
        errors.AlreadyExistsError,
        errors.PermissionDeniedError,
        errors.ResourceExhaustedError,
        errors.FailedPreconditionError,
        errors.AbortedError,
        errors.UnimplementedError,
        errors.UnavailableError,
        errors.DataLossError,
        errors.UnauthenticatedError,
    )
}
# The object store's errors are Google Cloud Storage's: they have no status.
_UNNAMED: Final = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    409: Code.ALREADY_EXISTS,
    412: Code.FAILED_PRECONDITION,
    429: Code.RESOURCE_EXHAUSTED,
    503: Code.UNAVAILABLE,
    507: Code.RESOURCE_EXHAUSTED,
}


def of_code(code: int, message: str) -> HomeportError:
    """Return the exception that a google.rpc code and a sentence mean."""
    # A newer server may have codes that are unknown here.
    named = next((one for one in Code if one == code), Code.INTERNAL)
    return _CLASSES.get(named, HomeportError)(message)


def of_operation(name: str, error: Mapping[str, Any]) -> HomeportError:
    """Return the exception that the error of an operation means.

    Its resource is the operation: a server has answered, whatever the code.
    """
    failure = of_code(error["code"], error["message"])
    failure.resource = name
    return failure


def of_answer(http: int, document: object) -> HomeportError | None:
    """Return the exception that an answer's status and JSON mean.

    Returns:
        None if the JSON is not that of a Homeport's or Google's error.
    """
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return None
    return of_code(_code(http, error), error["message"])


def _code(http: int, error: Mapping[str, Any]) -> Code:
    named = error.get("status")
    if isinstance(named, str) and named in Code.__members__:
        return Code[named]
    return _UNNAMED.get(http, Code.INTERNAL)
