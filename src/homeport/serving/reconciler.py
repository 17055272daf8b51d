"""Reconciler: makes what runs what the rows want, at start and after every change.

It alone starts and ends pools and writes the router's table. Everything here runs on
the event loop's thread; what blocks goes to a thread.
"""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Coroutine
from typing import Any, Final

from homeport.errors import HomeportError
from homeport.metadata.database import DatabaseUnavailableError
from homeport.metadata.endpoint_rows import Deployment
from homeport.resources.endpoint import DeployState, Endpoint
from homeport.resources.names import EndpointName, OperationName
from homeport.resources.operation import DeployStage
from homeport.serving import grace, handover, signposts
from homeport.serving.logs import ReplicaLog
from homeport.serving.machines import Host
from homeport.serving.router import Router
from homeport.serving.rowthreads import RowThreads
from homeport.serving.runtime import Runtime
from homeport.serving.starting import Running, Starter, Timing
from homeport.serving.wanted import Stores, Wanted
from homeport.telemetry import Metrics

_log: Final = logging.getLogger(__name__)
_CHANGE_TIMEOUT_S: Final = 30.0


class Reconciler:
    """Makes endpoints run.

    Args:
        stores: What is wanted.
        runtime: Starts replicas.
        router: Where requests look up who answers.
        metrics: Counts them.
        timing: The limits.
        host: The machine that replicas share.

    Attributes:
        accelerators: Hands the host's GPUs out, to jobs too.
        laying_out: Lays versions out, for jobs too.
    """

    def __init__(
        self,
        stores: Stores,
        runtime: Runtime,
        router: Router,
        metrics: Metrics,
        timing: Timing,
        host: Host,
    ) -> None:
        self._stores = stores
        self._wanted = Wanted(stores)
        self._starter = Starter(self._wanted, runtime, timing, host)
        self.accelerators = self._starter.accelerators
        self.laying_out = self._starter.laying_out
        self._router = router
        self._metrics = metrics
        self._timing = timing
        self._running: dict[str, Running] = {}
        self._ending: set[asyncio.Task[None]] = set()
        # How each endpoint's rows were when they were last followed.
        self._followed: dict[EndpointName, str] = {}
        # Whose requests go where they went, until what has their traffic answers.
        self._held: set[EndpointName] = set()
        # Of other servers once; those that serve are still to be ended.
        self._adopted: frozenset[OperationName] = frozenset()
        self._has_started = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._applying = asyncio.Lock()
        self._rows = RowThreads(timing.retry_s)

    async def start(self) -> None:
        """Take up everything the rows want; replicas come up in the background."""
        self._loop = asyncio.get_running_loop()
        wanted = await self._rows.ask(self._wanted.all_operations)
        await self._rows.ask(self._stores.operations.recover, wanted)
        await self._rows.ask(self._wanted.end_recorded, wanted)
        names = await self._rows.ask(self._wanted.all_endpoints)
        for name in names:
            await self._apply(name)
        self._has_started = True

    def predictions_in_work(self) -> int:
        """Return how many predictions were accepted and not answered."""
        pools = (one.pool for one in self._running.values())
        return sum(pool.in_work for pool in pools if pool is not None)

    async def stop(self, grace_s: float, at_once: asyncio.Event) -> None:
        """Answer what was accepted and end every replica; the rows stay as they are.

        Args:
            grace_s: For everything together, undeploys that have begun included.
            at_once: Ends the grace when it is set.
        """
        for running in self._running.values():
            if running.task is not None:
                running.task.cancel()
        tasks = [one.task for one in self._running.values() if one.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        closing = {
            asyncio.create_task(self._end(one, grace_s), name=f"stop {one.deployed.id}")
            for one in self._running.values()
            if not one.ends
        }
        await grace.first_of(grace_s, closing | self._ending, at_once)
        # What is left of them; ending a replica twice is fine.
        await asyncio.gather(*(self._end(one, 0.0) for one in self._running.values()))
        self._running.clear()
        self.laying_out.stop()
        self._rows.stop()

    def changed(self, name: EndpointName) -> None:
        """Follow a change of an endpoint's rows; called from other threads, waits."""
        if self._loop is None:
            raise RuntimeError("the reconciler was not started")
        done = asyncio.run_coroutine_threadsafe(self._apply(name), self._loop)
        done.result(_CHANGE_TIMEOUT_S)

    async def follow(self) -> None:
        """Make what runs what the rows want now, where other servers changed them."""
        followed = self._followed
        states = await self._rows.ask(self._wanted.states)
        changed = [
            name
            for name in states.keys() | followed.keys()
            if states.get(name) != followed.get(name)
        ]
        for name in changed:
            await self._apply(name)
        # What was taken over meanwhile is to be followed again.
        if self._followed is followed:
            self._followed = states

    async def take_over(self) -> None:
        """Carry on with what servers left whose lease has run out.

        Raises:
            DatabaseUnavailableError: The next call ends what this one took over.
        """
        wanted = await self._rows.ask(self._wanted.all_operations)
        taken = await self._rows.ask(self._stores.operations.take_over, wanted)
        if taken:
            self._followed = {}
            self._adopted |= taken
        if self._adopted:
            await self._rows.ask(self._wanted.end_recorded, self._adopted)
            self._adopted = frozenset()

    def missing_replicas(self) -> dict[str, str]:
        """Return the deployed models that lack replicas, each with the reason."""
        missing = {}
        for deployed_id, running in self._running.items():
            if running.deployed.state is not DeployState.DEPLOYED:
                continue
            pool = running.pool
            if pool is None:
                missing[deployed_id] = running.failure or "starting"
            elif not pool.is_complete:
                failure = pool.failure
                missing[deployed_id] = failure.message if failure else pool.lacks
        return missing

    def ready_replicas(self, deployed_id: str) -> int | None:
        """Return how many replicas of a deployed model answer, None if unknown."""
        running = self._running.get(deployed_id)
        if running is None or running.pool is None:
            return None
        return running.pool.ready_replicas

    def log_tail(self, name: EndpointName, lines: int) -> dict[str, list[str]]:
        """Return the last log lines of an endpoint's deployed models, by their ids."""
        return {
            deployed_id: running.log.tail(lines)
            for deployed_id, running in self._running.items()
            if running.deployed.endpoint == name
        }

    def update_gauges(self) -> None:
        """Bring the gauges up to date; called when metrics are read."""
        for deployed_id, running in self._running.items():
            key = (running.deployed.endpoint.endpoint, deployed_id)
            if running.pool is not None:
                pool = running.pool
                self._metrics.replicas_ready.labels(*key).set(pool.ready_replicas)
                self._metrics.replicas_wanted.labels(*key).set(pool.wanted_replicas)
                self._metrics.replica_restarts.labels(*key).set(pool.restarts)
                self._metrics.queued.labels(*key).set(pool.queued)

    async def _apply(self, name: EndpointName) -> None:
        """Read one endpoint's rows; start, end and route accordingly."""
        async with self._applying:
            endpoint, deployments, foreign = await self._rows.ask(
                self._wanted.read, name
            )
            own = [one for one in deployments if one.deployed_model.id not in foreign]
            for deployment in own:
                self._take_up(deployment)
            if endpoint is not None:
                self._starter.limit(endpoint, self._running)
            standing = self._router.find(str(name))
            if handover.is_held(standing, endpoint, self._running):
                self._held.add(name)
                return
            self._held.discard(name)
            self._let_go(name, own)
            self._route(name, endpoint)

    def _take_up(self, deployment: Deployment) -> None:
        deployed = deployment.deployed_model
        running = self._running.get(deployed.id)
        if running is None:
            path = self._stores.log_dir / f"{deployed.id}.log"
            running = Running(deployed, ReplicaLog(path, self._stores.now))
            self._running[deployed.id] = running
            if deployed.state is not DeployState.UNDEPLOYING:
                first = deployed.state is DeployState.DEPLOYING
                if first:
                    # Of an earlier deployment of that id, with secrets of its own.
                    running.log.remove()
                running.awaited = not first and self._has_started
                running.task = asyncio.create_task(
                    self._bring_up(running, deployment)
                    if first
                    else self._bring_back(running),
                    name=f"deploy {deployed.id}",
                )
                running.task.add_done_callback(_log_bug)
        running.deployed = deployed
        self._starter.rescale(running)

    def _let_go(self, name: EndpointName, own: Collection[Deployment]) -> None:
        """End what is to be undeployed here, and what another server undeploys."""
        wanted = {one.deployed_model.id: one for one in own}
        for deployed_id, running in tuple(self._running.items()):
            if running.ends or running.deployed.endpoint != name:
                continue
            if deployed_id not in wanted:
                self._end_apart(running, self._leave(running))
            elif running.deployed.state is DeployState.UNDEPLOYING:
                operation = wanted[deployed_id].operation
                self._end_apart(running, self._take_down(running, operation))

    def _end_apart(self, running: Running, work: Coroutine[Any, Any, None]) -> None:
        running.ends = True
        task = asyncio.create_task(work, name=f"undeploy {running.deployed.id}")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        task.add_done_callback(_log_bug)

    async def _leave(self, running: Running) -> None:
        deployed = running.deployed
        if running.task is not None:
            running.task.cancel()
            await asyncio.gather(running.task, return_exceptions=True)
        await self._end(running, self._timing.drain_s)
        running.log.remove()
        async with self._applying:
            self._running.pop(deployed.id, None)
        self._metrics.forget(deployed.endpoint.endpoint, deployed.id)
        # It may be wanted again by now.
        await self._apply_at_last(deployed.endpoint)

    def _route(self, name: EndpointName, endpoint: Endpoint | None) -> None:
        if endpoint is None:
            self._router.drop(name)
            return
        route = signposts.route(endpoint, self._running, self._metrics)
        self._router.put(name, route)

    async def _bring_up(self, running: Running, deployment: Deployment) -> None:
        """Start what is deployed for the first time; undo it if that fails."""
        deployed = deployment.deployed_model
        try:
            await self._reach(deployment, DeployStage.PREPARING_MODEL)
            pool = await self._starter.start_pool(
                running,
                lambda: self._reach(deployment, DeployStage.GETTING_CONTAINER_IMAGE),
            )
            await self._reach(deployment, DeployStage.STARTING_MODEL_SERVER)
            await pool.ready()
            running.recording = True
            await self._record_deployed(deployment)
        except Exception as error:  # noqa: BLE001  # the edge of a reconciler tick
            if not isinstance(error, HomeportError):
                _log.exception("deployed model %s was not started", deployed.id)
            await self._undo(running, deployment.operation, error)
            return
        # The operation ends last: whoever saw it end finds the new split in place,
        # unless what another server has deployed is awaited.
        await self._apply_at_last(deployed.endpoint)
        await self._rows.record(self._wanted.end_deploy, deployment)

    async def _record_deployed(self, deployment: Deployment) -> None:
        try:
            await self._rows.record(self._wanted.record_deployed, deployment)
        except HomeportError:
            # What was refused was this stage, whose note is undone with it.
            await self._reach(deployment, DeployStage.FINISHING_UP)
            raise

    async def _reach(self, deployment: Deployment, stage: DeployStage) -> None:
        """Tell who waits how far a deployment is, if the database takes it."""
        with contextlib.suppress(DatabaseUnavailableError):
            reach = self._stores.operations.reach
            await self._rows.ask(reach, deployment.operation, stage)

    async def _bring_back(self, running: Running) -> None:
        """Start what was deployed before the server restarted, however long it takes.

        Its pool is routed to at once, and keeps trying by itself.
        """
        deployed = running.deployed
        while running.pool is None:
            try:
                await self._starter.start_pool(running)
            except Exception as error:  # noqa: BLE001  # the edge of a reconciler tick
                if not isinstance(error, HomeportError):
                    _log.exception("deployed model %s was not started", deployed.id)
                running.note_failure(error)
                _log.warning("deployed model %s: %s", deployed.id, error)
                await self._settle(running)
                await asyncio.sleep(self._timing.retry_s)
        await self._apply_at_last(deployed.endpoint)
        with contextlib.suppress(HomeportError):
            await running.pool.ready()
        await self._settle(running)

    async def _settle(self, running: Running) -> None:
        """Let requests go to what was brought back, where they have waited for it."""
        running.awaited = False
        if running.deployed.endpoint in self._held:
            await self._apply_at_last(running.deployed.endpoint)

    async def _undo(
        self, running: Running, operation: OperationName, error: Exception
    ) -> None:
        await self._end(running, self._timing.drain_s)
        running.log.remove()
        # A change that is being applied has read rows which go here: it must not take
        # them for a deployment that nobody has begun.
        deployed = running.deployed
        async with self._applying:
            gone = await self._rows.record(
                self._wanted.record_gone, deployed.id, operation
            )
            self._running.pop(deployed.id, None)
        if gone:
            await self._rows.record(self._stores.operations.fail, operation, error)
        else:
            _log.warning("deployed model %s: %s", deployed.id, error)
        # What another server has deployed by that id, or will, is followed here.
        await self._apply_at_last(deployed.endpoint)
        if not gone:
            # That one may have died before it ended this.
            await self._rows.record(self._wanted.end_recorded, {operation})

    async def _take_down(self, running: Running, operation: OperationName) -> None:
        deployed = running.deployed
        if running.task is not None:
            # What is as good as deployed still ends its operation.
            if not running.recording:
                running.task.cancel()
            await asyncio.gather(running.task, return_exceptions=True)
        await self._end(running, self._timing.drain_s)
        running.log.remove()
        async with self._applying:
            await self._rows.record(
                self._wanted.record_undeployed, deployed.id, operation
            )
            self._running.pop(deployed.id, None)
        self._metrics.forget(deployed.endpoint.endpoint, deployed.id)
        await self._apply_at_last(deployed.endpoint)

    async def _apply_at_last(self, name: EndpointName) -> None:
        """Follow a change that nobody tells of again, as often as it takes."""
        while True:
            try:
                await self._apply(name)
            except DatabaseUnavailableError as error:
                _log.warning("%s is not followed yet: %s", name, error)
                await asyncio.sleep(self._timing.retry_s)
            else:
                return

    async def _end(self, running: Running, grace_s: float) -> None:
        if running.pool is not None:
            await running.pool.close(grace_s)
        running.log.close()


def _log_bug(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("%s failed", task.get_name(), exc_info=task.exception())
