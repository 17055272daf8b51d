"""What lies outside of a server and may be copied into it."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Final

from homeport.errors import InvalidArgumentError

MAX_FILES: Final = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class Offer:
    """One file or object.

    Attributes:
        path: Its name below what was asked for; its own name if that is itself.
        size_bytes: How long it is.
        blocks: Begins to read it. Raises AbortedError when it has changed since it was
            offered, UnavailableError when its store does not answer.
    """

    path: str
    size_bytes: int
    blocks: Callable[[], Iterator[bytes]]


def check_count(count: int, of: str) -> None:
    """Refuse a folder of too many files.

    Raises:
        InvalidArgumentError: It has more than 10,000.
    """
    if count > MAX_FILES:
        raise InvalidArgumentError(
            f"{of} has more than {MAX_FILES} files: name the folder of one model"
        )
