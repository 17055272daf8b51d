"""Which framework an archive's code uses, found without running any of it."""

import itertools
import pathlib
from typing import Final

_TORCH: Final = "torch"
_MOST_FILES: Final = 200
_MOST_BYTES: Final = 1 << 20


def of(model_dir: pathlib.Path) -> tuple[str, ...]:
    """Return the modules that are worth importing before a replica is forked.

    A guess: what is missing is imported later, what is too much does no harm.
    """
    sources = list(itertools.islice(model_dir.rglob("*.py"), _MOST_FILES))
    # An archive without code is served by a handler of ours, which uses torch.
    if not sources or any(map(_names_torch, sources)):
        return (_TORCH,)
    return ()


def _names_torch(source: pathlib.Path) -> bool:
    with source.open("rb") as file:
        return _TORCH.encode() in file.read(_MOST_BYTES)
