"""The parent's handle on one worker process: start, predict, stop.

`start` returns when the model is loaded; a replica that has ended never comes back, its
owner starts another. Nothing is left behind in any case: no process, no directory.
"""

import asyncio
import contextlib
import dataclasses
import pathlib
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Self

from homeport.errors import HomeportError, UnavailableError
from homeport.worker import examination, link, loadreport, process, protocol
from homeport.worker.examination import Examination
from homeport.worker.link import ReplicaLink
from homeport.worker.loadreport import LoadReport, ReplicaLoadError
from homeport.worker.output import reason_of_end
from homeport.worker.process import Confinement, Fork, Origin, WorkerProcess
from homeport.worker.protocol import Frame, Kind, Reply
from homeport.worker.requests import Request
from homeport.worker.sandbox import Sandbox

__all__ = [
    "LoadReport",
    "Replica",
    "ReplicaEndedError",
    "ReplicaLoadError",
    "ReplicaSpec",
    "Reply",
    "ending",
]

_EXIT_AFTER_LINK_S: Final = 2.0
_MAX_CONTROL_FRAMES: Final = 8


@dataclasses.dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """What to run.

    Attributes:
        model_dir: The extracted archive; nothing is written into it.
        environment: The deployment's variables, added to a minimal environment.
        load_timeout_s: From the start of the process to the loaded model.
        gpu_id: The index of a CUDA device, None for the CPU.
        scratch_dir: Where the process's private directory is made, None for the
            system's place.
        server_config: The text of the config.properties beside the archive, "" for
            none.
        python: The interpreter of the model's own environment, None for the server's.
        fork: Forks the process where that is possible, None to spawn it.
        sandbox: What it is kept in, None for nothing.
    """

    model_dir: pathlib.Path
    environment: Mapping[str, str]
    load_timeout_s: float = 120.0
    gpu_id: int | None = None
    scratch_dir: pathlib.Path | None = None
    server_config: str = ""
    python: pathlib.Path | None = None
    fork: Fork | None = None
    sandbox: Sandbox | None = None


class ReplicaEndedError(UnavailableError):
    """The process ended before it did what it was asked.

    Args:
        how: It ended, as in "exited with code 3".
        doing: What it was doing, as in "while it loaded the model".
        has_printed: Whether it has printed a line.
    """

    def __init__(self, how: str, doing: str, *, has_printed: bool) -> None:
        passive = "was " if how.startswith("killed") else ""
        super().__init__(
            f"the worker process {passive}{how} {doing}: "
            f"{reason_of_end(has_printed=has_printed)}"
        )
        self.how = how


class Replica:
    """One worker process with its model loaded; made by `start`.

    Attributes:
        lost: Resolves as soon as it answers no more, a moment before `closed`.
        closed: Resolves with how the process ended: "stopped", "exited with code 3",
            "killed by SIGKILL", or the reason given to `kill`.
    """

    # One that hangs or has ended is replaced.
    is_well: Final = True

    def __init__(self, on_room: Callable[[], None]) -> None:
        self._on_room = on_room
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[str] = loop.create_future()
        self._control: asyncio.Queue[Frame | None] = asyncio.Queue(_MAX_CONTROL_FRAMES)
        self._process: WorkerProcess | None = None
        self._link: ReplicaLink | None = None
        self._report: LoadReport | None = None
        self._examined: asyncio.Future[Examination] | None = None
        self._stopping = False

    @classmethod
    async def start(
        cls,
        spec: ReplicaSpec,
        *,
        on_log: Callable[[Sequence[str]], None],
        on_room: Callable[[], None] = lambda: None,
        on_imported: Callable[[], None] = lambda: None,
    ) -> Self:
        """Start a worker and return it with its model loaded.

        Leaves no process behind when it raises or is cancelled.

        Args:
            spec: What to run.
            on_log: Called with the lines that the worker prints, each at most 8 KiB
                long, as they come.
            on_room: Called after replies have come, when further requests may be sent.
            on_imported: Called when the handler is imported, before it is initialised.

        Raises:
            ReplicaLoadError: The archive's code or files did not load.
            ReplicaEndedError: The process ended while it loaded.
            UnavailableError: The process could not be started, or did not load in time.
            ProtocolError: The process is no worker of this Homeport version.
        """
        replica = cls(on_room)
        try:
            async with asyncio.timeout(spec.load_timeout_s):
                await replica._load(spec, on_log, on_imported)
        except TimeoutError as error:
            await replica._give_up("did not load in time")
            raise UnavailableError(
                f"the model did not load within {spec.load_timeout_s:g} s, the "
                "server's --load-timeout: make its initialize faster, or start the "
                "server with a longer one"
            ) from error
        except BaseException:
            await replica._give_up("not needed any more")
            raise
        return replica

    @property
    def report(self) -> LoadReport:
        """What the worker said when it had loaded."""
        if self._report is None:
            raise RuntimeError("the replica has not loaded")
        return self._report

    @property
    def outstanding(self) -> int:
        """Requests sent and not answered, those the caller gave up included."""
        return self._connection.outstanding

    @property
    def service_time_s(self) -> float:
        """Moving average of the seconds of work one request takes; 0.0 at first."""
        return self._connection.service_time_s

    @property
    def busy_since(self) -> float | None:
        """When the work in hand began, in `time.monotonic()` seconds; None if idle.

        It restarts with every reply, so a large distance to now means a handler that
        does not return.
        """
        return self._connection.busy_since

    def predict(
        self, body: bytes, reply: asyncio.Future[Reply] | None = None
    ) -> asyncio.Future[Reply]:
        """Send the body of a :predict request at once; the future has its reply.

        Args:
            body: What is sent.
            reply: The future to use; one is made if there is none.

        The future may be cancelled: the worker still does the work, and the reply is
        dropped. It fails with UnavailableError when the process ends before.
        """
        return self._connection.predict(body, reply)

    def call(
        self, request: Request, reply: asyncio.Future[Reply]
    ) -> asyncio.Future[Reply]:
        """Send a request of any kind; otherwise as `predict`."""
        return self._connection.call(request, reply)

    def cancel(self, reply: asyncio.Future[Reply]) -> None:
        """Have the request of `reply` left undone if its call has not begun.

        `reply` itself is left as it is; the request counts as outstanding until the
        worker has taken note.
        """
        self._connection.cancel(reply)

    def examine(self, bodies: Sequence[bytes]) -> asyncio.Future[Examination]:
        """Have one call made with all of `bodies`; the future says what it came to.

        For a replica that nobody else asks anything meanwhile. It fails with
        ReplicaEndedError when the process ends before.

        Args:
            bodies: Of :predict requests, at least one, UTF-8.
        """
        if self.outstanding or (self._examined and not self._examined.done()):
            raise RuntimeError("the replica has other work")
        self._examined = asyncio.get_running_loop().create_future()
        if self.closed.done():
            self._fail_examination(self.closed.result())
        texts = [body.decode() for body in bodies]
        self._connection.send(protocol.encode_json(Kind.EXAMINE, {"bodies": texts}))
        return self._examined

    def kill(self, reason: str) -> None:
        """End the process and all it started at once, by SIGKILL."""
        if self._process is not None:
            self._set_lost()
            self._process.kill(reason)

    async def stop(self, grace_s: float, why: HomeportError | None = None) -> None:
        """End the process when it has answered what it was sent; return when it ended.

        Args:
            grace_s: Seconds until it is killed instead.
            why: What the requests of the call in hand fail with at once, None to let
                them end as the process does.
        """
        self._stopping = True
        if why is not None and self._link is not None:
            # Those behind them were never begun: they may be tried again.
            self._link.fail_oldest(self.report.batch_size, why)
        if self._link is not None:
            self._link.send(protocol.encode(Kind.SHUTDOWN))
        await asyncio.wait({self.closed}, timeout=grace_s)
        self.kill(ending(grace_s, why))
        await asyncio.wait({self.closed})

    @property
    def _connection(self) -> ReplicaLink:
        if self._link is None:
            raise RuntimeError("the replica has not started")
        return self._link

    async def _load(
        self,
        spec: ReplicaSpec,
        on_log: Callable[[Sequence[str]], None],
        on_imported: Callable[[], None],
    ) -> None:
        ours, childs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003  # the standard library's signature
        with contextlib.ExitStack() as undo:
            undo.callback(ours.close)
            self._process = await process.start(
                childs,
                spec.environment,
                _origin(spec),
                on_log=on_log,
                on_exit=self._on_exit,
            )
            self._process.ended.add_done_callback(self._on_end)
            self._link = await link.connect(
                ours, self._on_control, self._on_lost, self._on_room
            )
            undo.pop_all()
        protocol.check_hello(await self._next_control())
        order = {
            "model_dir": str(spec.model_dir.absolute()),
            "gpu_id": spec.gpu_id,
            "server_config": spec.server_config,
        }
        self._link.send(protocol.encode_json(Kind.LOAD, order))
        imported, frame = {"import_s": 0.0}, await self._next_control()
        if frame.kind == Kind.IMPORTED:
            on_imported()
            imported, frame = (
                protocol.decode_json(frame.payload),
                await self._next_control(),
            )
        self._report = loadreport.read(frame, self._process.pid, imported)

    async def _next_control(self) -> Frame:
        frame = await self._control.get()
        if frame is None:
            reason = await asyncio.shield(self.closed)
            raise self._ended(reason, "while it loaded the model")
        return frame

    async def _give_up(self, reason: str) -> None:
        """Kill what was started, and wait until nothing is left of it."""
        if self._process is not None:
            self._process.kill(reason)
            await asyncio.wait({self.closed})

    def _on_control(self, frame: Frame) -> None:
        if frame.kind == Kind.EXAMINED:
            self._take_examination(frame)
            return
        # A worker that has loaded has nothing more to say unasked; one that says too
        # much is not listened to.
        if self._report is None and not self._control.full():
            self._control.put_nowait(frame)

    def _on_lost(self) -> None:
        """Give a process without its socket a moment to end by itself."""
        self._set_lost()
        asyncio.get_running_loop().call_later(
            _EXIT_AFTER_LINK_S, self.kill, "killed: it closed its connection"
        )

    def _on_exit(self, reason: str) -> None:
        self._set_lost()
        if self._link is not None:
            self._link.finish(self._how_it_ended(reason))

    def _take_examination(self, frame: Frame) -> None:
        if self._examined is None or self._examined.done():
            return
        try:
            self._examined.set_result(examination.decode(frame.payload))
        except protocol.ProtocolError as error:
            self._examined.set_exception(error)

    def _fail_examination(self, reason: str) -> None:
        if self._examined is not None and not self._examined.done():
            error = self._ended(reason, "while it predicted")
            self._examined.set_exception(error)

    def _ended(self, how: str, doing: str) -> ReplicaEndedError:
        has_printed = self._process is not None and self._process.has_printed
        return ReplicaEndedError(how, doing, has_printed=has_printed)

    def _set_lost(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    def _how_it_ended(self, reason: str) -> str:
        clean = self._stopping and reason == process.describe_exit(0)
        return "stopped" if clean else reason

    def _on_end(self, ended: asyncio.Task[str]) -> None:
        reason = "lost" if ended.cancelled() or ended.exception() else ended.result()
        reason = self._how_it_ended(reason)
        if self._link is not None:
            self._link.close(reason)
        self._fail_examination(reason)
        self._set_lost()
        self.closed.set_result(reason)
        if not self._control.full():
            self._control.put_nowait(None)


def ending(grace_s: float, why: HomeportError | None) -> str:
    """Return how a replica that is killed by `stop` will have ended."""
    if why is not None:
        return f"killed: {why.message}"
    return f"killed: it did not stop within {grace_s:g} s"


def _origin(spec: ReplicaSpec) -> Origin:
    confinement = (
        None
        if spec.sandbox is None
        else Confinement(spec.sandbox, spec.model_dir.absolute())
    )
    return Origin(spec.scratch_dir, spec.python, spec.fork, confinement=confinement)
