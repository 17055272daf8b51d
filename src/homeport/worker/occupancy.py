"""Who is in an environment: a shared lock of the kernel on its folder for each of them.

It lasts as long as somebody has the open file, and goes with the process however that
ends. Whoever wants to remove the folder locks it alone first, and so never removes what
somebody is in.
"""

import fcntl
import os
import pathlib


def enter(folder: pathlib.Path) -> int | None:
    """Return `folder`, open and locked beside others who are in it.

    None where there is no such folder, or it is being removed.
    """
    return _open(folder, fcntl.LOCK_SH)


def enter_alone(folder: pathlib.Path) -> int | None:
    """Return `folder`, open and locked against everybody.

    None where there is no such folder, or somebody is in it.
    """
    return _open(folder, fcntl.LOCK_EX)


def _open(folder: pathlib.Path, kind: int) -> int | None:
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(held, kind | fcntl.LOCK_NB)
        # Another may have been put in its place meanwhile.
        if os.path.samestat(os.fstat(held), folder.stat()):
            return held
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(held)
        raise
    os.close(held)
    return None
