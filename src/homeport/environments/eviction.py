"""Which environments go, by how long nobody used them and how much they take together.

One that somebody is in never goes, whichever process that is: it is locked by all who
are in it (`worker.occupancy`). One that goes has lost its name before its first file.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Final

from homeport.environments import folders
from homeport.errors import DeadlineExceededError
from homeport.worker import occupancy

_DIGEST_RE: Final = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What is kept of environments that nobody is in.

    Attributes:
        max_age_s: Since each was last used.
        max_bytes: Of all together, those that are in use included; the one that was
            used last goes last.
    """

    max_age_s: float = 30 * 24 * 3600.0
    max_bytes: int = 50 << 30


DEFAULT_LIMITS: Final = Limits()


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """One environment that is there.

    Attributes:
        digest: Of the lock it was built from.
        packages: What it was built of, as in "numpy==2.1.0".
        size_bytes: What its files take.
        last_use_s: When it was last used, in seconds since the epoch.
        in_use: Whether somebody is in it, or builds it anew.
    """

    digest: str
    packages: tuple[str, ...]
    size_bytes: int
    last_use_s: float
    in_use: bool


def _never() -> bool:
    return False


def survey(
    directory: pathlib.Path, now_s: float, is_stopped: Callable[[], bool] = _never
) -> tuple[Kept, ...]:
    """Return what is there, the one that was used last at the end.

    Args:
        directory: Of the environments.
        now_s: Seconds since the epoch; noted as the last use of those that are in use.
        is_stopped: Asked all along; what is found then is not all there is.
    """
    found: list[Kept] = []
    for path in directory.glob("*"):
        if is_stopped():
            break
        if _DIGEST_RE.fullmatch(path.name):
            kept = _look(path, now_s, is_stopped)
            found += [kept] if kept is not None else []
    return tuple(sorted(found, key=lambda one: (one.last_use_s, one.digest)))


def evict(
    directory: pathlib.Path,
    limits: Limits,
    now_s: float,
    *,
    dry_run: bool = False,
    is_stopped: Callable[[], bool] = _never,
) -> tuple[Kept, ...]:
    """Remove what is beyond the limits and used by nobody; return what that was.

    Args:
        directory: Of the environments.
        limits: What is kept.
        now_s: Seconds since the epoch.
        dry_run: Remove nothing, and return what would go.
        is_stopped: Asked all along; nothing more is removed then.
    """
    found = survey(directory, now_s, is_stopped)
    total_bytes = sum(one.size_bytes for one in found)
    gone: list[Kept] = []
    for one in found:
        if is_stopped():
            break
        expired = now_s - one.last_use_s > limits.max_age_s
        if one.in_use or not (expired or total_bytes > limits.max_bytes):
            continue
        if dry_run or _remove(directory / one.digest, one.last_use_s):
            total_bytes -= one.size_bytes
            gone.append(one)
    return tuple(gone)


def clear(directory: pathlib.Path, is_stopped: Callable[[], bool] = _never) -> None:
    """Remove what builds and removals left that were killed; others' stay.

    Args:
        directory: Of the environments.
        is_stopped: Asked before each; what is left then goes the next time.
    """
    for digest in folders.begun(directory):
        if is_stopped():
            return
        with _turn(directory, digest) as mine:
            if mine:
                folders.discard(folders.staging(directory, digest))


def _look(
    path: pathlib.Path, now_s: float, is_stopped: Callable[[], bool]
) -> Kept | None:
    """Return what an environment is, None if it goes at this moment."""
    with contextlib.suppress(FileNotFoundError):
        in_use = _is_in_use(path)
        if in_use:
            os.utime(path, (now_s, now_s))
        return Kept(
            path.name,
            _packages(path),
            folders.size_bytes(path, is_stopped),
            path.stat().st_mtime,
            in_use,
        )
    return None


def _is_in_use(path: pathlib.Path) -> bool:
    with _alone(path) as held:
        return held is None


def _remove(path: pathlib.Path, last_use_s: float) -> bool:
    """Remove an environment that nobody is in, or has been since it was looked at."""
    with _alone(path) as held:
        if held is None or os.fstat(held).st_mtime != last_use_s:
            return False
        folders.remove(path.parent, path.name)
    return True


@contextlib.contextmanager
def _alone(path: pathlib.Path) -> Iterator[int | None]:
    """Yield an environment's folder, open, with nobody else in it or about to build it.

    None where that cannot be.
    """
    with _turn(path.parent, path.name) as mine:
        # Never without the turn: who has that can count on being let in.
        held = occupancy.enter_alone(path) if mine else None
        try:
            yield held
        finally:
            if held is not None:
                os.close(held)


@contextlib.contextmanager
def _turn(directory: pathlib.Path, digest: str) -> Iterator[bool]:
    """Yield whether it is our turn at an environment, which it then is."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(folders.turn(directory, digest, 0.0, lambda: None))
        except DeadlineExceededError:
            yield False
            return
        yield True


def _packages(path: pathlib.Path) -> tuple[str, ...]:
    """Return what an environment was built of; nothing where that is lost."""
    try:
        text = (path / folders.REQUIREMENTS).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ()
    # The hashes of a package are lines of their own, indented.
    return tuple(line.split()[0] for line in text.splitlines() if line[:1].strip())
