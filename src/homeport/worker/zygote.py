"""The zygote: a process that has imported a framework, serves no model, and forks.

There is one for each environment and framework. A replica that is forked from it has
what it imported at once, and shares the memory of it. On its socket, whose messages
keep their bounds, go JSON and file descriptors::

    zygote                                   server
      {"ready": true}                  ->
                                       <-      {"environment": {...}, "directory": ...,
                                                "rules": null or a text of `landlock`}
                                               with the replica's socket, output, tether
      {"pid": 7}, with its pidfd       ->
        or {"refused": "..."}
      {"ended": 7, "status": 0}        ->

The status is as `os.waitstatus_to_exitcode` gives it. The zygote ends with its socket;
what it has forked does not end with it, but with the server.
"""

import dataclasses
import gc
import importlib
import json
import os
import pathlib
import select
import socket
import sys
import tempfile
import time
import weakref
from collections.abc import Sequence
from typing import Any, Final

from homeport.worker import child, hugepages, landlock, loading, tether

MAX_MESSAGE_BYTES: Final = 160 * 1024
_DESCRIPTORS: Final = 3
# What goes with torch in a replica, as far as its environment has what these need.
_WITH_TORCH: Final = (
    "numpy",
    "orjson",
    "simdjson",
    "yaml",
    "homeport.worker.basehandler",
    "homeport.worker.tensorcalls",
    "homeport.worker.visionhandler",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Birth:
    """What a process that was just forked is to be.

    Attributes:
        link_fd: The socket it serves.
    """

    link_fd: int


def serve(fd: int, frameworks: Sequence[str]) -> Birth | None:
    """Fork whenever the server asks, until it hangs up.

    Args:
        fd: The inherited socket.
        frameworks: Modules to import first; those that are not installed are not.

    Returns:
        None at the end, and in each forked process what it is to be.
    """
    child.prepare_process()
    child.end_with_parent()
    child.enter_environment()
    _preload(frameworks)
    control = socket.socket(fileno=fd)
    _send(control, {"ready": True})
    # By their pidfds: those that were forked and have not ended.
    children: dict[int, int] = {}
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for ready_fd, _ in poll.poll():
            if ready_fd in children:
                poll.unregister(ready_fd)
                _reap(control, ready_fd, children.pop(ready_fd))
                continue
            message, given = _receive(control)
            if not message:
                return None
            pid = _fork(control, len(given))
            if pid == 0:
                return _be_born(json.loads(message), given)
            for one in given:
                os.close(one)
            if pid is not None:
                pidfd = os.pidfd_open(pid)
                children[pidfd] = pid
                poll.register(pidfd, select.POLLIN)
                _send(control, {"pid": pid}, pidfd)


def _preload(frameworks: Sequence[str]) -> None:
    for name in (*frameworks, *(_WITH_TORCH if "torch" in frameworks else ())):
        try:
            importlib.import_module(name)
        # What an environment lacks fails again, and is told, in whoever needs it.
        except (ImportError, loading.LoadRefusedError):
            continue
    if "torch" in sys.modules:
        # Deferred: it imports torch, which not every environment has.
        from homeport.worker import torchscript  # noqa: PLC0415

        torchscript.warm()
    # Whoever is forked writes to no page of what is here only to count it.
    gc.collect()
    gc.freeze()
    hugepages.collapse()


def _receive(control: socket.socket) -> tuple[bytes, list[int]]:
    try:
        message, given, _, _ = socket.recv_fds(control, MAX_MESSAGE_BYTES, _DESCRIPTORS)
    except ConnectionError:
        return b"", []
    return message, list(given)


def _send(control: socket.socket, document: dict[str, Any], *fds: int) -> None:
    try:
        socket.send_fds(control, [json.dumps(document).encode()], fds)
    except OSError:
        # The server is gone: the next look at the socket says so.
        return


def _fork(control: socket.socket, given: int) -> int | None:
    """Return the new process's id, 0 in itself, None where it was refused."""
    threads = len(list(pathlib.Path("/proc/self/task").iterdir()))
    if threads > 1:
        _send(control, {"refused": f"the framework has started {threads - 1} threads"})
        return None
    if given != _DESCRIPTORS:
        _send(control, {"refused": "the descriptors did not arrive"})
        return None
    try:
        return os.fork()
    except OSError as error:
        _send(control, {"refused": error.strerror or "no fork"})
        return None


def _reap(control: socket.socket, pidfd: int, pid: int) -> None:
    os.close(pidfd)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    _send(control, {"ended": pid, "status": code})


def _be_born(order: dict[str, Any], given: list[int]) -> Birth:
    """Make this process what a spawned one would be from its first instruction."""
    link_fd, output_fd, tether_fd = given
    os.setsid()
    tether.hold(tether_fd)
    null_fd = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null_fd, 0), (output_fd, 1), (output_fd, 2)):
        os.dup2(source, target)
    # Its own: what one of them does with the zygote's concerns all.
    entered_fd = child.enter_environment()
    _close_all_but({0, 1, 2, link_fd, tether_fd, entered_fd})
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["directory"])
    time.tzset()
    _forget_inherited()
    if order["rules"] is not None:
        landlock.restrict(landlock.Rules.from_json(order["rules"]))
    return Birth(link_fd)


def _close_all_but(kept: set[int | None]) -> None:
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # names, no paths
        fd = int(name)
        if fd not in kept:
            try:
                os.close(fd)
            except OSError:
                # The listing's own.
                continue


def _forget_inherited() -> None:
    """Give up what was drawn or found for another process."""
    tempfile.tempdir = None
    # The zygote's to take apart, at its own exit. Torch takes back each operator that
    # it has ever registered: 30 ms in which pages that are shared are copied.
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]  # noqa: SLF001  # no other way to them
        finalizer.atexit = False
    # Python's own generator is seeded anew by the fork, torch's is a constant.
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
