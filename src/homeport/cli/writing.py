"""Files that a command cannot write, in a sentence."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from homeport.errors import PermissionDeniedError


@contextlib.contextmanager
def naming(path: Path, option: str) -> Iterator[None]:
    """Say, where something cannot be written, which option chooses another place.

    Raises:
        PermissionDeniedError: It cannot.
    """
    try:
        yield
    except OSError as error:
        raise PermissionDeniedError(
            f"{path} cannot be written ({error.strerror or error}): choose another "
            f"{option}"
        ) from error
