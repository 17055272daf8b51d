"""The runtime that starts workers as processes of this machine."""

import asyncio
import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from homeport.environments import lock
from homeport.environments.build import Environments
from homeport.serving import contract, machines
from homeport.serving.memorylimit import MemoryLimit
from homeport.serving.runtime import Launch, Replica
from homeport.worker import frameworks, nursery, replica
from homeport.worker.nursery import Breed, Nursery
from homeport.worker.process import Fork
from homeport.worker.sandbox import Sandbox

_BUILDS_AT_ONCE: Final = 2
_OnLog: TypeAlias = Callable[[Sequence[str]], None]


@dataclasses.dataclass(frozen=True, slots=True)
class _Build:
    """A build under way, and who hears of its progress, with how many wait for it."""

    ended: asyncio.Future[None]
    listeners: collections.Counter[_OnLog]


class LocalRuntime:
    """Starts each replica as one worker process.

    Args:
        scratch_dir: Where replicas have their private directories.
        environments: Where versions with a lock have theirs.
        sandbox: What replicas are kept in, None for nothing.
        memory: What each replica may take, None for as much as there is.
    """

    def __init__(
        self,
        scratch_dir: pathlib.Path,
        environments: Environments,
        sandbox: Sandbox | None = None,
        memory: MemoryLimit | None = None,
    ) -> None:
        self._scratch_dir = scratch_dir
        self._memory = memory
        self._sandbox = sandbox
        self._environments = environments
        self._nursery = Nursery(scratch_dir)
        # Its own: a build takes minutes, and others need the loop's threads.
        self._threads = concurrent.futures.ThreadPoolExecutor(
            _BUILDS_AT_ONCE, thread_name_prefix="environments"
        )
        # Those that are being built or looked for, by their locks.
        self._builds: dict[str, _Build] = {}
        # Loading is work for the cores; the load timeout of those that wait has not
        # begun.
        self._loading = asyncio.Semaphore(machines.this_host().cores)

    async def most_replicas(self, launch: Launch) -> int | None:
        """Return None: there may be as many as are wanted."""
        del launch
        return None

    async def fetch(
        self,
        launch: Launch,
        *,
        on_log: Callable[[Sequence[str]], None],
        on_missing: Callable[[], Awaitable[None]],
    ) -> None:
        """Build the environment of a version's lock if it is not built.

        Raises:
            HomeportError: It could not be built.
        """
        if not launch.lock or self._environments.find(lock.parse(launch.lock)):
            return
        await on_missing()
        await self._build(launch.lock, on_log)

    async def start(
        self,
        launch: Launch,
        *,
        on_log: Callable[[Sequence[str]], None],
        on_room: Callable[[], None],
    ) -> Replica:
        """Return a replica whose model is loaded.

        Raises:
            HomeportError: Its environment could not be built, or it takes more memory
                than it may.
            ReplicaLoadError: The archive's code or files did not load.
            UnavailableError: The process could not be started, ended while it loaded,
                or did not load in time.
        """
        model_dir = launch.model_dir
        if model_dir is None:
            raise RuntimeError("a worker is started from an archive")
        async with self._environment(launch, on_log) as python:
            return await self._start(launch, model_dir, python, on_log, on_room)

    async def _start(
        self,
        launch: Launch,
        model_dir: pathlib.Path,
        python: pathlib.Path | None,
        on_log: _OnLog,
        on_room: Callable[[], None],
    ) -> Replica:
        # Of those that it sees, which are its own alone.
        gpu_id = 0 if launch.gpu_ids else None
        fork: Fork | None = None
        if nursery.is_safe(launch.environment, gpu_id):
            used = await asyncio.to_thread(frameworks.of, model_dir)
            fork = functools.partial(self._nursery.fork, Breed(python, used))
        spec = replica.ReplicaSpec(
            model_dir,
            {
                **_devices(launch.gpu_ids),
                **contract.of_worker(launch, contract.DEFAULT_PORT, str(model_dir)),
            },
            launch.load_timeout_s,
            gpu_id=gpu_id,
            scratch_dir=self._scratch_dir,
            server_config=launch.server_config,
            python=python,
            fork=fork,
            sandbox=self._sandbox,
        )
        async with self._loading:
            started = await replica.Replica.start(spec, on_log=on_log, on_room=on_room)
        if self._memory is not None:
            await self._memory.admit(started)
        return started

    async def close(self) -> None:
        """End the builds that are under way and the zygotes; further builds fail."""
        if self._memory is not None:
            self._memory.close()
        await self._nursery.close()
        self._environments.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)

    @contextlib.asynccontextmanager
    async def _environment(
        self, launch: Launch, on_log: _OnLog
    ) -> AsyncIterator[pathlib.Path | None]:
        """Yield the interpreter of a version's environment, None for the server's.

        The environment stays while a process starts in it, which then keeps it itself.
        """
        if not launch.lock:
            yield None
            return
        wanted = lock.parse(launch.lock)
        while True:
            with self._environments.kept(wanted) as found:
                if found is not None:
                    yield found.python
                    return
            await self._build(launch.lock, on_log)

    async def _build(self, text: str, on_log: _OnLog) -> None:
        """Build a lock's environment, if it is not there and whole.

        Replicas that come while it is built wait for the same build, which goes on when
        they do not want it any more.
        """
        build = self._builds.get(text) or self._begin(text)
        build.listeners[on_log] += 1
        try:
            await asyncio.shield(build.ended)
        finally:
            build.listeners[on_log] -= 1

    def _begin(self, text: str) -> _Build:
        loop = asyncio.get_running_loop()
        listeners: collections.Counter[_OnLog] = collections.Counter()

        def tell(line: str) -> None:
            for on_log in +listeners:
                on_log([line])

        def on_line(line: str) -> None:
            loop.call_soon_threadsafe(tell, line)

        ended: asyncio.Future[None] = loop.create_future()

        def build() -> None:
            with self._environments.using(lock.parse(text), on_line):
                # Others are removed then: whoever waits for this one need not see that.
                loop.call_soon_threadsafe(ended.set_result, None)

        work = loop.run_in_executor(self._threads, build)
        work.add_done_callback(lambda done: _end_as(done, ended))
        begun = _Build(ended, listeners)
        self._builds[text] = begun
        ended.add_done_callback(lambda done: self._end(text, done))
        return begun

    def _end(self, text: str, done: asyncio.Future[None]) -> None:
        del self._builds[text]
        if not done.cancelled():
            # Nobody may be left to hear of a failure.
            done.exception()


def _end_as(work: asyncio.Future[None], ended: asyncio.Future[None]) -> None:
    """Let a build have failed as its work did, unless it had ended before."""
    if ended.done():
        return
    if work.cancelled():
        ended.cancel()
    elif (error := work.exception()) is not None:
        ended.set_exception(error)


def _devices(gpu_ids: tuple[int, ...]) -> dict[str, str]:
    """Return the variables that show a process these GPUs and no others."""
    return {
        # The order that nvidia-smi counts in.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": ",".join(map(str, gpu_ids)),
    }
