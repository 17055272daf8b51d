"""What Google's clients raise, as errors of ours."""

import contextlib
from collections.abc import Iterator
from typing import Final

import requests
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud.storage.exceptions import DataCorruption

from homeport.errors import (
    AbortedError,
    AlreadyExistsError,
    Code,
    DataLossError,
    FailedPreconditionError,
    HomeportError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    RelayedError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
)

# By HTTP status, which is all that REST has.
_ERRORS: Final[dict[int, type[HomeportError]]] = {
    400: InvalidArgumentError,
    401: UnauthenticatedError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: AlreadyExistsError,
    412: FailedPreconditionError,
    429: ResourceExhaustedError,
    499: AbortedError,
    503: UnavailableError,
}


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise errors of ours for those of Google's clients.

    Args:
        what: What was tried, for the message: "writing to gs://bucket".
    """
    try:
        yield
    except exceptions.GoogleAPICallError as error:
        raise _error(f"{what}: {_said_by(error)}", error.code) from error
    except DataCorruption as error:
        raise DataLossError(
            f"{what}: other bytes came than were sent, by their checksums: run it again"
        ) from error
    except TransportError as error:
        raise UnavailableError(
            f"{what}: nobody gives this environment a token ({error}): look whether "
            "its network is there"
        ) from error
    except GoogleAuthError as error:
        raise UnauthenticatedError(
            f"{what}: the credentials of this environment do not do ({error}): say "
            "`gcloud auth application-default login`, set "
            "GOOGLE_APPLICATION_CREDENTIALS, or give the step a service account"
        ) from error
    except (exceptions.RetryError, requests.exceptions.RequestException) as error:
        raise UnavailableError(
            f"{what}: nobody answers ({type(error).__name__}): look whether the "
            "address is right and the service is there"
        ) from error


def _said_by(error: exceptions.GoogleAPICallError) -> str:
    """Return what the service said, without what Google's clients write around it."""
    if isinstance(error.response, requests.Response):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return str(error.response.json()["error"]["message"])
    return str(error.message)


def _error(message: str, status: int | None) -> HomeportError:
    cls = _ERRORS.get(int(status)) if status is not None else None
    return cls(message) if cls else RelayedError(Code.INTERNAL, message)
