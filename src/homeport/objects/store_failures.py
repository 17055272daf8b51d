"""What it means when an object store does not do what it is asked.

obstore's exceptions become errors of ours; what it quotes, which may hold a key or a
signature, goes neither into a message nor into the log.
"""

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import Final

from obstore import exceptions

from homeport.errors import (
    AbortedError,
    HomeportError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)

_log: Final = logging.getLogger(__name__)
_STATUS_RE: Final = re.compile(r"status code: (\d{3})")
_LOGGED_CHARACTERS: Final = 300


@contextlib.contextmanager
def told(store: object, key: str) -> Iterator[None]:
    """Raise what obstore says as an error of ours, without what it quotes.

    Args:
        store: What is asked; its text names it in messages.
        key: What of it.

    Raises:
        NotFoundError: No such object, or no such bucket.
        PermissionDeniedError: The store lets this server not in.
        AbortedError: The object has changed while it was read.
        InvalidArgumentError: The key is none that a plain path can name.
        UnavailableError: The store does not answer.
    """
    try:
        yield
    except FileNotFoundError:
        error: HomeportError = NotFoundError(f"nothing is stored at {store}{key}")
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
        error = PermissionDeniedError(
            f"the store {store} does not let this server in: give its credentials "
            "(in the variables of its environment) the right to it"
        )
    except exceptions.PreconditionError:
        error = AbortedError(
            f"{store}{key} has changed while it was read: ask again when nobody "
            "writes it"
        )
    except (exceptions.InvalidPathError, ValueError):
        error = InvalidArgumentError(
            f"{store}{key} has, or is, a key with an empty segment, '.', '..' or a "
            "control character: copy the files to a plain path"
        )
    except exceptions.BaseError as failure:
        error = _failed(store, failure)
    else:
        return
    raise error


def _failed(store: object, failure: exceptions.BaseError) -> HomeportError:
    # obstore has no class for these; the status is in the text alone.
    status = _STATUS_RE.search(str(failure))
    if status and status[1] == "404":
        return NotFoundError(f"the store {store} has no such bucket: make it first")
    _log.warning("store %s: %s", store, _loggable(failure))
    said = f"answers with HTTP {status[1]}" if status else "does not answer"
    return UnavailableError(f"the store {store} {said}: try again in a moment")


def _loggable(failure: Exception) -> str:
    """Return the first line of what obstore says, without queries and bodies."""
    line = str(failure).partition("\n")[0].partition("<")[0]
    return re.sub(r"\?\S*", "", line)[:_LOGGED_CHARACTERS]
