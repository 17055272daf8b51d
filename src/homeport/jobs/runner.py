"""The runner: carries jobs out, a few at a time, and on from where they were.

It starts replicas of its own for each job and ends them with it. Everything here runs
on the event loop's thread; what blocks goes to a thread.
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import logging
import pathlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar, TypeVarTuple

from homeport.errors import (
    Code,
    FailedPreconditionError,
    HomeportError,
)
from homeport.jobs.inputs import Inputs
from homeport.jobs.ledger import Ledger
from homeport.jobs.predicting import Predicting
from homeport.jobs.run import Run
from homeport.jobs.spools import Spools
from homeport.jobs.threads import to_its_end
from homeport.jobs.tuning import AHEAD, BatchSize
from homeport.metadata.database import DatabaseUnavailableError
from homeport.resources.batch_job import (
    BatchJob,
    BatchJobName,
    BatchJobSpec,
    JobState,
    Tally,
)
from homeport.resources.endpoint import DedicatedResources
from homeport.resources.model import ModelVersion
from homeport.serving import engines, machines
from homeport.serving.accelerators import Accelerators
from homeport.serving.autoscaler import Scaling
from homeport.serving.engines import Offer
from homeport.serving.logs import ReplicaLog, with_last_lines
from homeport.serving.pool import Limits, Pool
from homeport.serving.runtime import Launch, Replica, Runtime

_log: Final = logging.getLogger(__name__)
_JOBS_AT_ONCE: Final = 2
_RETRY_S: Final = 5.0
_LOOK_S: Final = 5.0
# What is under way when a job ends early is done again: nobody waits for it.
_END_S: Final = 2.0
# How long a job waits for a replica before it gives up.
_PATIENCE_S: Final = 300.0
# A request of a job has many instances, and nobody waits for its answer.
_LONGER: Final = 10
_SHOWN: Final = 200  # characters of addresses in a log line
_FORGET_EVERY: Final = dt.timedelta(hours=1)
# What somebody may mend, and the job goes on: a store is away, a disk is full.
_PASSING: Final = (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED)

_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")


@dataclasses.dataclass(frozen=True, slots=True)
class Engine:
    """What jobs predict with.

    Attributes:
        launch: Returns what replicas for a job are started from.
        runtime: Starts them.
        request_deadline_s: How long one request may take.
        offer: What this server offers to versions.
        accelerators: Hands the host's GPUs out.
    """

    launch: Callable[[BatchJobSpec], Awaitable[Launch]]
    runtime: Runtime
    request_deadline_s: float
    offer: Offer
    accelerators: Accelerators


class Runner:
    """Carries jobs out.

    Args:
        ledger: How they stand.
        inputs: Reads their input.
        engine: Predicts.
        spool_dir: Where their spools are, one folder each.
        log_dir: Where the logs of their replicas are.
        now: The time, aware.
    """

    def __init__(
        self,
        ledger: Ledger,
        inputs: Inputs,
        engine: Engine,
        spool_dir: pathlib.Path,
        log_dir: pathlib.Path,
        now: Callable[[], dt.datetime],
    ) -> None:
        self._ledger = ledger
        self._inputs = inputs
        self._engine = engine
        self._spools = Spools(spool_dir, now)
        self._log_dir = log_dir
        self._now = now
        self._slots = asyncio.Semaphore(_JOBS_AT_ONCE)
        self._attending: dict[BatchJobName, asyncio.Task[None]] = {}
        self._work: dict[BatchJobName, asyncio.Task[None]] = {}
        self._ending: set[BatchJobName] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on with every job that has not ended."""
        self._loop = asyncio.get_running_loop()
        jobs = await asyncio.to_thread(self._ledger.own)
        self._follow(jobs)
        await asyncio.to_thread(self._forget_spools)
        self._watching = asyncio.create_task(self._watch(), name="watch the jobs")

    async def stop(self) -> None:
        """End everything; the jobs go on when the server starts again."""
        tasks = [*self._attending.values(), *filter(None, (self._watching,))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Of those nobody had begun to attend to.
        work = list(self._work.values())
        for name in self._work:
            self._cancel(name)
        await asyncio.gather(*work, return_exceptions=True)

    def check_servable(
        self, version: ModelVersion, machine: DedicatedResources
    ) -> tuple[str, ...]:
        """Refuse a version that nothing here can serve; called from other threads.

        Returns:
            One sentence for each thing that is asked of the machine and not there.

        Raises:
            FailedPreconditionError: There is nothing to serve, or no engine for it; or
                the host lacks something and that is to be refused.
            UnimplementedError: Its image, or a field of its container, is not for here.
        """
        # More replicas than a program's port allows become as many as it does.
        one = dataclasses.replace(machine, min_replica_count=1)
        engines.check_servable(version, one, self._engine.offer)
        lacking = machines.shortages(machine, machines.this_host())
        if lacking and self._engine.offer.strict_resources:
            raise FailedPreconditionError("; ".join(lacking))
        return lacking

    def take_up(self, name: BatchJobName) -> None:
        """Begin with a job that is new; called from other threads."""
        self._on_loop(self._take_up, name)

    def cancel(self, name: BatchJobName) -> None:
        """End a job whose row says so; called from other threads."""
        self._on_loop(self._cancel, name)

    def forget(self, name: BatchJobName) -> None:
        """Remove what is left of a job that is gone; called from other threads."""
        ReplicaLog(self._log_path(name), self._now).remove()
        self._spools.of(name).remove()

    def log_tail(self, name: BatchJobName, lines: int) -> list[str]:
        """Return up to `lines` of a job's last log lines; called from other threads."""
        return ReplicaLog(self._log_path(name), self._now).tail(lines)

    def _on_loop(
        self, call: Callable[[BatchJobName], object], name: BatchJobName
    ) -> None:
        if self._loop is None:
            raise RuntimeError("the runner was not started")
        self._loop.call_soon_threadsafe(call, name)

    async def _watch(self) -> None:
        """Take up what servers on the same database leave undone when they end.

        End what was cancelled through one of them, or is not this server's any more.
        Forget what was kept and whose time has come.
        """
        forgotten = self._now()
        while True:
            await asyncio.sleep(_LOOK_S)
            attended = set(self._attending)
            try:
                jobs = await _record(self._ledger.own)
            except Exception:  # noqa: BLE001  # the edge: the next look may find what this did not
                _log.exception("the jobs cannot be looked at")
                continue
            self._follow(jobs)
            for name in attended.difference(job.name for job in jobs):
                self._cancel(name)
            if self._now() - forgotten >= _FORGET_EVERY:
                forgotten = self._now()
                await asyncio.to_thread(self._forget_spools)

    def _follow(self, jobs: Sequence[BatchJob]) -> None:
        for job in jobs:
            self._take_up(job.name)
            if job.state is JobState.CANCELLING:
                self._cancel(job.name)

    def _take_up(self, name: BatchJobName) -> None:
        if name not in self._attending:
            work = asyncio.create_task(self._carry_out(name), name=f"job {name.job}")
            self._work[name] = work
            self._attending[name] = asyncio.create_task(
                self._attend(name, work), name=f"attend {name.job}"
            )

    def _cancel(self, name: BatchJobName) -> None:
        """Cancel the work on a job, once: it ends its replicas then, undisturbed."""
        work = self._work.get(name)
        if work is not None and name not in self._ending:
            self._ending.add(name)
            work.cancel()

    async def _attend(self, name: BatchJobName, work: asyncio.Task[None]) -> None:
        """See a job to its end, whatever that is."""
        try:
            await asyncio.wait({work})
            if work.cancelled():
                # Else it was taken up by a list from before it failed, or is another's.
                if await _record(self._ledger.end_cancelled, name):
                    await asyncio.to_thread(self._spools.of(name).remove)
            elif (error := work.exception()) is not None:
                self._tell(name, f"the job has failed{_why(error)}")
                await _record(self._ledger.fail, name, error)
            await asyncio.to_thread(self._spools.let_go, name)
        except asyncio.CancelledError:
            # The server stops: what the spool has kept is where the job goes on.
            self._cancel(name)
            await asyncio.wait({work})
            raise
        finally:
            del self._work[name], self._attending[name]
            self._ending.discard(name)

    async def _carry_out(self, name: BatchJobName) -> None:
        async with self._slots:
            job = _going_on(await _record(self._ledger.move, name, JobState.PENDING))
            spool = self._spools.of(name)
            await to_its_end(spool.take_back)
            tally = await to_its_end(spool.finished)
            if tally is None:
                try:
                    tally = await self._predict(job)
                except HomeportError as error:
                    if error.code in _PASSING:
                        await to_its_end(self._spools.keep, name, error)
                    raise
            self._tell(name, f"{tally.succeeded} predicted, {tally.failed} failed")
            try:
                ended = await _record(self._ledger.publish, name, tally, spool.paths)
            except HomeportError as error:
                await to_its_end(self._spools.keep, name, error)
                raise
            _going_on(ended)

    async def _predict(self, job: BatchJob) -> Tally:
        """Return what came of a job's instances, which is in its spool."""
        log = ReplicaLog(self._log_path(job.name), self._now)
        log.write(_introduction(job))
        with contextlib.closing(log):
            spec = job.spec
            launch = await self._engine.launch(spec)
            most = await self._engine.runtime.most_replicas(launch)
            replicas = min(spec.replicas, most or spec.replicas)
            return await self._ask(job, self._pool(job, launch, log, replicas))

    async def _ask(self, job: BatchJob, pool: Pool) -> Tally:
        """Return what replicas answer; they have ended then."""
        spec = job.spec
        pool.start()
        try:
            await pool.ready()
            _going_on(await _record(self._ledger.move, job.name, JobState.RUNNING))
            size = BatchSize.of(spec.batch_size)
            predicting = Predicting(pool, spec.parameters, size, _PATIENCE_S)

            async def on_tally(tally: Tally) -> None:
                _going_on(await _record(self._ledger.progress, job.name, tally))

            run = Run(
                spec, self._inputs, self._spools.of(job.name), predicting, on_tally
            )
            return await run.carry_out()
        finally:
            await pool.close(_END_S)

    def _pool(
        self, job: BatchJob, launch: Launch, log: ReplicaLog, replicas: int
    ) -> Pool:
        async def start_replica(on_room: Callable[[], None]) -> Replica:
            try:
                return await self._engine.accelerators.start(
                    self._engine.runtime,
                    launch,
                    job.spec.machine.accelerator_count,
                    on_log=log.write,
                    on_room=on_room,
                )
            except HomeportError as error:
                raise with_last_lines(error, log, launch.environment) from error

        limits = Limits(
            queue_length=job.spec.replicas * AHEAD,
            deadline_s=_LONGER * self._engine.request_deadline_s,
            scaling=Scaling(low=replicas, high=replicas),
        )
        return Pool(f"job {job.name.job}", start_replica, limits)

    def _log_path(self, name: BatchJobName) -> pathlib.Path:
        return self._log_dir / f"job-{name.job}.log"

    def _tell(self, name: BatchJobName, line: str) -> None:
        """Write a line of the server's own into a job's log."""
        log = ReplicaLog(self._log_path(name), self._now)
        log.write([line])
        log.close()

    def _forget_spools(self) -> None:
        """Remove what jobs have left that nobody attends to; called from a thread."""
        self._spools.forget(lambda: {name.job for name in list(self._attending)})


def _going_on(job: BatchJob | None) -> BatchJob:
    """Return the job that was written; None is one that was cancelled meanwhile.

    Raises:
        CancelledError: It was, through whichever server.
    """
    if job is None:
        raise asyncio.CancelledError
    return job


def _introduction(job: BatchJob) -> list[str]:
    """Return the first lines of a job's log."""
    inputs = ", ".join(job.spec.uris)[:_SHOWN]
    return [f"predicting {inputs} with {job.spec.model}", *job.spec.warnings]


def _why(error: BaseException) -> str:
    """Return the first line of what is told of a failure, with what leads to it."""
    if isinstance(error, HomeportError):
        first, _, _ = error.message.partition("\n")
        return f": {first}"
    return ""


async def _record(
    work: Callable[[*_Arguments], _Result], *args: *_Arguments
) -> _Result:
    """Look, or write, as often as it takes the database to answer."""
    while True:
        try:
            return await asyncio.to_thread(work, *args)
        except DatabaseUnavailableError as error:
            _log.warning("not recorded yet: %s", error)
            await asyncio.sleep(_RETRY_S)
