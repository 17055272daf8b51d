"""Nursery: the zygotes of a server, one for each environment and framework.

A zygote is started when a replica is first wanted from it, ends when nothing that it
forked has been alive for a while, and is replaced when it dies. Where forking is not
safe, or there is no zygote, a replica is spawned: slower, and the same.
"""

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import pathlib
import socket
import sys
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Self

from homeport.errors import HomeportError, UnavailableError
from homeport.worker import hugepages, process, zygote
from homeport.worker.forked import ForkedProcess
from homeport.worker.process import Order, Origin, WorkerProcess

_log: Final = logging.getLogger(__name__)
_READY_TIMEOUT_S: Final = 60.0
_FORK_TIMEOUT_S: Final = 5.0
_IDLE_S: Final = 60.0
# What libraries read when they are loaded, which a zygote has done already.
_READ_AT_START: Final = (
    "ATEN_", "CUDA_MODULE", "DNNL_", "GLIBC_", "GOMP_", "KMP_", "LC_", "LD_", "MALLOC_",
    "MKL_", "NUMEXPR_", "OMP_", "ONEDNN_", "OPENBLAS_", "PYTHON", "PYTORCH_", "TORCH",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Breed:
    """What the replicas of one zygote have in common.

    Attributes:
        python: Their interpreter, None for the server's.
        frameworks: Modules imported before anything is forked.
    """

    python: pathlib.Path | None
    frameworks: tuple[str, ...] = ()


def is_safe(environment: Mapping[str, str], gpu_id: int | None) -> bool:
    """Tell whether a replica may be forked.

    Not where it computes on a GPU (CUDA's state does not survive a fork), where its
    variables are read by what a zygote has loaded already, or not on Linux.

    Args:
        environment: The deployment's variables.
        gpu_id: The replica's.
    """
    if sys.platform != "linux" or not hasattr(os, "pidfd_open") or gpu_id is not None:
        return False
    return not any(name.startswith(_READ_AT_START) for name in environment)


class Nursery:
    """Forks replicas.

    Args:
        scratch_dir: Where zygotes have their private directories.
        idle_s: How long a zygote lives without anything alive that it forked.
    """

    def __init__(self, scratch_dir: pathlib.Path, idle_s: float = _IDLE_S) -> None:
        self._scratch_dir = scratch_dir
        self._idle_s = idle_s
        self._zygotes: dict[Breed, asyncio.Task[_Zygote]] = {}
        self._closed = False

    async def fork(self, breed: Breed, order: Order) -> ForkedProcess | None:
        """Return a new process, None where it has to be spawned."""
        if self._closed:
            return None
        found = self._zygotes.get(breed)
        if found is not None:
            self._forget_dead(breed, found)
            found = self._zygotes.get(breed)
        if found is None:
            found = asyncio.create_task(
                _Zygote.start(breed, self._scratch_dir, self._idle_s), name="zygote"
            )
            self._zygotes[breed] = found
        try:
            living = await asyncio.shield(found)
            return await living.fork(order)
        except (HomeportError, OSError, TimeoutError) as error:
            _log.warning("a replica is spawned instead of forked: %s", error)
            return None
        finally:
            self._forget_dead(breed, found)

    async def close(self) -> None:
        """End every zygote; what they forked lives on until it is stopped."""
        self._closed = True
        for found in self._zygotes.values():
            found.cancel()
        ended = await asyncio.gather(*self._zygotes.values(), return_exceptions=True)
        await asyncio.gather(*(one.end() for one in ended if isinstance(one, _Zygote)))
        self._zygotes.clear()

    def _forget_dead(self, breed: Breed, found: "asyncio.Task[_Zygote]") -> None:
        if not found.done() or self._zygotes.get(breed) is not found:
            return
        if found.cancelled() or found.exception() or not found.result().alive:
            del self._zygotes[breed]


class _Zygote:
    """The server's handle on one zygote; made by `start`."""

    def __init__(self, control: socket.socket, idle_s: float) -> None:
        self._control = control
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        # In the order of the orders, with the end of each one's tether.
        self._births: deque[tuple[asyncio.Future[ForkedProcess | None], int]] = deque()
        self._children: dict[int, ForkedProcess] = {}
        self._process: WorkerProcess | None = None
        self._idle: asyncio.TimerHandle | None = None
        self.alive = True

    @classmethod
    async def start(
        cls, breed: Breed, scratch_dir: pathlib.Path, idle_s: float
    ) -> Self:
        """Return a zygote that has imported what it should.

        Raises:
            UnavailableError: It could not be started.
            TimeoutError: It was not ready in time.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)  # noqa: FBT003  # the standard library's signature
        living = cls(ours, idle_s)
        origin = Origin(
            scratch_dir, breed.python, arguments=("--zygote", *breed.frameworks)
        )
        try:
            living._process = await process.start(
                theirs,
                hugepages.VARIABLES,
                origin,
                on_log=_log_lines,
                on_exit=living._on_exit,
            )
            living._loop.add_reader(ours, living._on_readable)
            async with asyncio.timeout(_READY_TIMEOUT_S):
                await living._ready
        except BaseException:
            await living.end()
            raise
        # It begins to count as idle after what it was started for.
        return living

    async def fork(self, order: Order) -> ForkedProcess | None:
        """Return a new process, None where the zygote may not or cannot fork.

        Raises:
            OSError: It cannot be reached.
            TimeoutError: It did not answer in time.
        """
        if not self.alive:
            return None
        document = {
            "environment": dict(order.environment),
            "directory": str(order.directory),
            "rules": None if order.rules is None else order.rules.to_json(),
        }
        message = json.dumps(document).encode()
        if len(message) > zygote.MAX_MESSAGE_BYTES:
            return None
        born: asyncio.Future[ForkedProcess | None] = self._loop.create_future()
        held_fd, tether_fd = os.pipe()
        try:
            given = (order.link_fd, order.output_fd, held_fd)
            socket.send_fds(self._control, [message], given)
        except OSError:
            os.close(tether_fd)
            raise
        finally:
            os.close(held_fd)
        self._births.append((born, tether_fd))
        try:
            async with asyncio.timeout(_FORK_TIMEOUT_S):
                return await born
        except (TimeoutError, asyncio.CancelledError):
            # It may have been born just before.
            if not born.cancelled() and (child := born.result()) is not None:
                child.discard()
            raise

    async def end(self) -> None:
        """End the zygote, and return when nothing is left of it."""
        self._hang_up()
        if self._process is not None:
            self._process.kill("not needed any more")
            await asyncio.wait({self._process.ended})

    def _hang_up(self) -> None:
        if not self.alive:
            return
        self.alive = False
        if self._idle is not None:
            self._idle.cancel()
        self._loop.remove_reader(self._control)
        self._control.close()
        while self._births:
            born, tether_fd = self._births.popleft()
            # Whatever was forked meanwhile ends with its tether.
            os.close(tether_fd)
            if not born.done():
                born.set_result(None)
        for child in self._children.values():
            child.orphan()
        self._children.clear()
        if not self._ready.done():
            self._ready.set_exception(UnavailableError("a zygote ended at its start"))

    def _on_exit(self, reason: str) -> None:
        if self.alive:
            _log.warning("a zygote ended (%s); the next replica gets another", reason)
        self._hang_up()

    def _on_readable(self) -> None:
        while self.alive:
            try:
                message, fds, _, _ = socket.recv_fds(
                    self._control, zygote.MAX_MESSAGE_BYTES, 1
                )
            except BlockingIOError:
                return
            except OSError:
                message, fds = b"", []
            if not message:
                self._hang_up()
                return
            self._take(json.loads(message), fds)

    def _take(self, said: dict[str, Any], fds: list[int]) -> None:
        if "ready" in said:
            if not self._ready.done():
                self._ready.set_result(None)
        elif "pid" in said:
            self._deliver(int(said["pid"]), fds[0])
        elif "ended" in said:
            self._bury(int(said["ended"]), int(said["status"]))
        else:
            born, tether_fd = self._births.popleft()
            os.close(tether_fd)
            _log.info("a replica is spawned instead of forked: %s", said["refused"])
            self._rest()
            if not born.done():
                born.set_result(None)

    def _deliver(self, pid: int, pidfd: int) -> None:
        born, tether_fd = self._births.popleft()
        if born.done():
            # Nobody waits for it any more: it ends with its tether.
            os.close(tether_fd)
            os.close(pidfd)
            return
        self._rest()
        self._children[pid] = ForkedProcess(pid, pidfd, tether_fd)
        born.set_result(self._children[pid])

    def _bury(self, pid: int, status: int) -> None:
        child = self._children.pop(pid, None)
        if child is not None:
            child.tell(status)
        self._rest()

    def _rest(self) -> None:
        """End after a while, if nothing is forked until then and nothing lives."""
        if self._idle is not None:
            self._idle.cancel()
        self._idle = self._loop.call_later(self._idle_s, self._end_if_idle)

    def _end_if_idle(self) -> None:
        if not self._children and not self._births:
            with contextlib.suppress(OSError):
                self._control.shutdown(socket.SHUT_RDWR)


def _log_lines(lines: object) -> None:
    _log.info("a zygote says: %s", lines)
