"""A file or folder that appears whole under its name, or not at all."""

import contextlib
import fcntl
import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from homeport.archive import manifest
from homeport.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    PermissionDeniedError,
)

_SUFFIX: Final = ".partial"
_HEX: Final = "[0-9a-f]"
_REPLACED: Final = "replaced"
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def check_target(target: Path, *, force: bool) -> None:
    """Refuse a target that would be lost.

    Raises:
        AlreadyExistsError: Something is there and `force` is not given, or it is a
            folder that is no archive.
    """
    if not target.exists():
        return
    if not force:
        raise AlreadyExistsError(
            f"{str(target)!r} exists already: give --force to replace it"
        )
    if target.is_dir() and not (target / manifest.PATH).is_file():
        raise AlreadyExistsError(
            f"{str(target)!r} is a folder and no archive, which --force does not "
            "replace: choose another --export-path or --model-name"
        )


@contextlib.contextmanager
def appearing_at(target: Path) -> Iterator[Path]:
    """Yield a free path that becomes `target` at the end, or nothing.

    What is written there, a file or a folder, takes the place of what was at `target`.
    It lies in a hidden folder beside `target`, locked while this process lives; what a
    killed one left there is removed first.

    Raises:
        PermissionDeniedError: The folder cannot be written to.
        FailedPreconditionError: The disk is full, or a file stands where the folder
            should be.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear_left(target)
        with _room_beside(target) as room:
            yield room / target.name
            _publish(room, target)
    except PermissionError as error:
        raise PermissionDeniedError(
            f"cannot write to {str(target.parent)!r}: choose another --export-path"
        ) from error
    except OSError as error:
        raise FailedPreconditionError(
            f"cannot write {str(target)!r} ({error.strerror}): make room there or "
            "choose another --export-path"
        ) from error


def _publish(room: Path, target: Path) -> None:
    temporary = room / target.name
    if not target.is_dir():
        temporary.replace(target)
        return
    # No call replaces a folder that is not empty: the old one steps aside first.
    aside = room / _REPLACED
    target.replace(aside)
    try:
        temporary.replace(target)
    except BaseException:
        aside.replace(target)
        raise


@contextlib.contextmanager
def _room_beside(target: Path) -> Iterator[Path]:
    room, lock = _locked_room(target)
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)
        os.close(lock)


def _locked_room(target: Path) -> tuple[Path, int]:
    while True:
        room = target.with_name(f".{target.name}.{secrets.token_hex(4)}{_SUFFIX}")
        room.mkdir()
        # Until it is locked, another process may take it for left behind.
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(room, _DIRECTORY)
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX)
            if room.exists():
                return room, lock
            os.close(lock)


def _clear_left(target: Path) -> None:
    """Remove what killed processes left; what lives holds its lock."""
    name = glob.escape(target.name)
    for left in target.parent.glob(f".{name}.{_HEX * 8}{_SUFFIX}"):
        with contextlib.suppress(OSError):
            lock = os.open(left, _DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if (left / _REPLACED).exists() and not target.exists():
                    (left / _REPLACED).replace(target)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(lock)
