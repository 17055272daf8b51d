"""The empty directories that uv is run in, each locked by whoever made it.

They are in the system's place for temporary files, as uv reads the settings of projects
around the one it runs in. What was killed leaves its directory there, unlocked.
"""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Final

from homeport.worker import occupancy

_PREFIX: Final = "homeport-uv-"


@contextlib.contextmanager
def workplace() -> Iterator[pathlib.Path]:
    """Yield a new directory, which goes afterwards."""
    while True:
        made = pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX))
        held = occupancy.enter(made)
        # Else somebody who clears away has come first.
        if held is not None:
            break
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(held)


def clear() -> None:
    """Remove those that this account's processes left when they were killed."""
    for path in pathlib.Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if path.is_symlink() or path.stat().st_uid != os.getuid():
                continue
            held = occupancy.enter_alone(path)
            if held is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(held)
