"""A file or folder that appears whole under its name, or not at all."""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from homeport.archive import manifest
from homeport.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    PermissionDeniedError,
)


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
    """Yield a free path beside `target` that becomes it at the end, or nothing.

    What is written there, a file or a folder, takes the place of what was at `target`.

    Raises:
        PermissionDeniedError: The folder cannot be written to.
        FailedPreconditionError: The disk is full, or a file stands where the folder
            should be.
    """
    temporary = _beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _publish(temporary, target)
    except PermissionError as error:
        raise PermissionDeniedError(
            f"cannot write to {str(target.parent)!r}: choose another --export-path"
        ) from error
    except OSError as error:
        raise FailedPreconditionError(
            f"cannot write {str(target)!r} ({error.strerror}): make room there or "
            "choose another --export-path"
        ) from error
    finally:
        _remove(temporary)


def _publish(temporary: Path, target: Path) -> None:
    if not target.is_dir():
        temporary.replace(target)
        return
    # No call replaces a folder that is not empty: the old one steps aside first.
    aside = _beside(target)
    target.replace(aside)
    try:
        temporary.replace(target)
    except BaseException:
        aside.replace(target)
        raise
    _remove(aside)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        path.unlink()
