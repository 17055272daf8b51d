"""A server, or the collection of garbage, that dies at a point a test chooses.

Every step that changes what is kept is a point: the calls of `os` below, those of a
bucket that write, and each commit of a transaction, before it and after it. The
process kills itself with SIGKILL where it would begin the step of the number in the
file `at`. The functions run in processes that are forked from one that has imported
everything.
"""

import contextlib
import datetime as dt
import os
import pathlib
import signal
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

import sqlalchemy.engine.default

from homeport import opening, wiring
from homeport.metadata import artifact_rows
from homeport.objects.stores import Store
from homeport.registry import blob_sweep, session_sweep
from homeport.settings import Settings

STEPS = (
    *("fchmod", "fsync", "link", "mkdir", "remove", "rename", "replace"),
    *("rmdir", "truncate", "unlink", "utime"),
)
BUCKET_STEPS = ("create", "delete", "delete_folder", "put", "put_blocks", "put_file")
DAY = dt.timedelta(days=1)


class Fate:
    """Counts the steps of this process once the file `at` is there.

    Args:
        folder: Where that file is; `passed` there gets a line for each step.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._at = folder / "at"
        self._passed = folder / "passed"
        self._count = 0
        self._lock = threading.Lock()

    def meet(self, step: str) -> None:
        """Die here if this is the step; several threads come one after the other."""
        with self._lock:
            if not self._at.exists():
                return
            self._count += 1
            with self._passed.open("a") as passed:
                passed.write(f"{step}\n")
            if self._count >= int(self._at.read_text()):
                os.kill(os.getpid(), signal.SIGKILL)


def serve(
    settings: Settings,
    folder: pathlib.Path,
    told: Connection,
    variables: Mapping[str, str],
) -> None:
    """Run a server; its URL is sent when it answers."""
    _follow(folder)
    os.environ.update(variables)
    wiring.serve(settings, lambda urls: told.send(urls[0]))


def collect_garbage(
    settings: Settings,
    folder: pathlib.Path,
    told: Connection,
    variables: Mapping[str, str],
) -> None:
    """Do what `homeport gc` does a day later."""
    _follow(folder)
    os.environ.update(variables)
    with contextlib.closing(told):
        sweep(settings)


def sweep(settings: Settings) -> None:
    """Remove what nothing needs, also what was written just now."""
    with opening.apart(settings) as (database, stored):
        with database.transaction() as transaction:
            artifact_rows.delete_unreferenced(transaction)
        now = dt.datetime.now(dt.UTC)
        session_sweep.sweep(database, stored, now)
        blob_sweep.sweep(database, stored.blobs, now, grace=-DAY)


def _follow(folder: pathlib.Path) -> None:
    """Make every step a point of this process."""
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    fate = Fate(folder)
    for step in STEPS:
        setattr(os, step, _pointed(fate, step, getattr(os, step)))
    for step in BUCKET_STEPS:
        setattr(Store, step, _sent(fate, step, getattr(Store, step)))
    dialect = sqlalchemy.engine.default.DefaultDialect
    commit: Callable[[Any, Any], None] = dialect.do_commit

    def committed(self: Any, connection: Any) -> None:
        fate.meet("commit")
        commit(self, connection)
        fate.meet("committed")

    dialect.do_commit = committed  # type: ignore[method-assign]  # this is the point


def _pointed(fate: Fate, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def pointed(*arguments: Any, **options: Any) -> Any:
        fate.meet(f"{step} {_folder(arguments[0])}")
        return function(*arguments, **options)

    return pointed


def _sent(fate: Fate, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def sent(store: Store, key: str, *arguments: Any) -> Any:
        fate.meet(f"{step} {key.partition('/')[0]} in the bucket")
        return function(store, key, *arguments)

    return sent


def _folder(target: Any) -> str:
    """Return in which folder a step is, for the message of a failure."""
    if isinstance(target, int):
        return pathlib.Path(f"/proc/self/fd/{target}").readlink().parent.name
    return pathlib.Path(os.fsdecode(target)).parent.name
