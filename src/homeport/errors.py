"""Every failure Homeport reports, each bound to one google.rpc.Code.

Raise one of these anywhere below `edge`; `edge.status` is the only module that
turns them into a response. Anything else that escapes is a bug and becomes
INTERNAL without its message, so that no secret leaves in a traceback.
"""

import enum
from typing import ClassVar


class Code(enum.IntEnum):
    """The google.rpc.Code values that Homeport uses."""

    CANCELLED = 1
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class HomeportError(Exception):
    """A failure with a code, and the name of the resource it concerns.

    Args:
        message: One sentence for the caller, naming the value that was wrong.
        resource: The full resource name, or "" when no one resource is meant.
    """

    code: ClassVar[Code] = Code.INTERNAL

    def __init__(self, message: str, *, resource: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.resource = resource


class CancelledError(HomeportError):
    """The caller asked for it to end before it was done."""

    code = Code.CANCELLED


class InvalidArgumentError(HomeportError):
    """The request is wrong whatever the state of the server."""

    code = Code.INVALID_ARGUMENT


class DeadlineExceededError(HomeportError):
    """The work did not finish in the time it was given."""

    code = Code.DEADLINE_EXCEEDED


class NotFoundError(HomeportError):
    """No resource has this name."""

    code = Code.NOT_FOUND


class AlreadyExistsError(HomeportError):
    """A resource of this name is already there."""

    code = Code.ALREADY_EXISTS


class PermissionDeniedError(HomeportError):
    """The caller may not do this; over HTTP 403, never 401.

    An anonymous Google client that gets a 401 tries to refresh credentials it does
    not have and hides the message.
    """

    code = Code.PERMISSION_DENIED


class UnauthenticatedError(HomeportError):
    """The caller says who it is, and that is not true; over HTTP 401.

    Only for callers who showed something: who shows nothing is told 403.
    """

    code = Code.UNAUTHENTICATED


class FailedPreconditionError(HomeportError):
    """The request is well formed, but the resource is not in a state for it."""

    code = Code.FAILED_PRECONDITION


class ConditionNotMetError(HomeportError):
    """The caller made its request depend on a state that is not the present one.

    Apart from FAILED_PRECONDITION because storage clients tell the two apart.
    """

    code = Code.FAILED_PRECONDITION


class ResourceExhaustedError(HomeportError):
    """A queue or quota is full; the caller may retry after a wait."""

    code = Code.RESOURCE_EXHAUSTED


class AbortedError(HomeportError):
    """Somebody else changed the resource in between; read it again and retry."""

    code = Code.ABORTED


class UnimplementedError(HomeportError):
    """The API has this method or option; Homeport does not."""

    code = Code.UNIMPLEMENTED


class UnavailableError(HomeportError):
    """Nothing can answer right now; the same request may succeed in a moment."""

    code = Code.UNAVAILABLE


class HandlerError(HomeportError):
    """The model's own code raised, or answered with something unusable."""

    code = Code.INTERNAL


class DataLossError(HomeportError):
    """Stored bytes do not match their recorded digest."""

    code = Code.DATA_LOSS


class RelayedError(HomeportError):
    """A failure that was found elsewhere, with the code that it had there.

    Args:
        code: That code.
        message: For people.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        # Shadows the class's own: one class stands for every code.
        self.code = code  # type: ignore[misc]
