"""The composition root: from settings to a server that runs.

The only module that knows every room. Nothing here decides anything.
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import gc
import logging
import pathlib
import secrets
import shutil
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from typing import Final

import uvloop
from starlette.types import ASGIApp

from homeport import opening, telemetry
from homeport.api import app as api
from homeport.api import storage
from homeport.api.access import AccessLog
from homeport.api.storage_requests import StorageVerbs
from homeport.checking.apart import ApartChecker, Terms
from homeport.edge import guard
from homeport.environments.build import Environments
from homeport.environments.eviction import Limits
from homeport.errors import FailedPreconditionError
from homeport.identity import certificates
from homeport.identity.accounts import AccountKeys
from homeport.identity.tokens import Tokens
from homeport.jobs.batch_jobs import BatchJobs
from homeport.jobs.files import Files
from homeport.jobs.inputs import Inputs
from homeport.jobs.ledger import Ledger
from homeport.jobs.runner import Engine, Runner
from homeport.listening import HttpServer, Listeners, Stop, listening, tls_context
from homeport.objects.addresses import StoreAddress
from homeport.objects.file_roots import FileRoots
from homeport.objects.outside import Outside
from homeport.opening import Opened
from homeport.registry import holding
from homeport.registry.artifacts import Artifacts
from homeport.registry.buckets import Buckets
from homeport.registry.catalog import Catalog
from homeport.registry.comparisons import Comparisons
from homeport.registry.compositions import Compositions
from homeport.registry.evaluations import Evaluations
from homeport.registry.exports import Exports
from homeport.registry.history import History
from homeport.registry.intake import Intake
from homeport.registry.latelocks import LateLocks
from homeport.registry.locations import Locations
from homeport.registry.object_uploads import ObjectUploads
from homeport.registry.operations import Operations
from homeport.registry.paging import Pager
from homeport.registry.provenance import Provenances
from homeport.registry.sources import Sources
from homeport.registry.transfers import Transfers
from homeport.registry.upkeep import Upkeep
from homeport.registry.upload import Uploads
from homeport.resources.check import CheckPolicy
from homeport.resources.listing import PageTokens
from homeport.serving import machines
from homeport.serving.containers import (
    ContainerRuntime,
    ContainerTerms,
    install_of,
)
from homeport.serving.deployments import Deployments
from homeport.serving.desk import Desk
from homeport.serving.endpoints import Endpoints
from homeport.serving.engines import Engines, Offer
from homeport.serving.following import Following
from homeport.serving.hostcommand import HostCommands
from homeport.serving.local import LocalRuntime
from homeport.serving.memorylimit import MemoryLimit
from homeport.serving.reconciler import Reconciler
from homeport.serving.router import Router
from homeport.serving.runtime import Runtime
from homeport.serving.starting import Timing
from homeport.serving.wanted import Stores
from homeport.settings import Settings
from homeport.worker.sandbox import Level, Sandbox

_log: Final = logging.getLogger(__name__)
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_SECRET_BYTES: Final = 32


def serve(settings: Settings, on_ready: Callable[[tuple[str, ...]], None]) -> None:
    """Run a server until it is told to stop (SIGINT or SIGTERM).

    Args:
        settings: How.
        on_ready: Called with the server's URLs when it answers, that of plain HTTP
            first; replicas may still be starting.

    Raises:
        FailedPreconditionError: Another server has the data directory, the address is
            taken, or it is not a loopback address and nobody said it may be; or HTTPS
            is asked for and the certificates are not good for it.
    """
    check_address(settings)
    sandbox(settings).check()
    telemetry.configure_logging()
    with (
        holding.held(settings.data_dir),
        listening(settings.host, settings.port, settings.tls_port) as listeners,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_serve(settings, listeners, _tls(settings), on_ready))


def check_address(settings: Settings) -> None:
    """Refuse to listen where others can reach a server that asks nobody who they are.

    Raises:
        FailedPreconditionError: The address is not loopback and `insecure` is not set.
    """
    if settings.host not in _LOOPBACK and not settings.insecure:
        raise FailedPreconditionError(
            f"listening on {settings.host} would let everybody who reaches this "
            "machine use the server without a token: listen on 127.0.0.1, or say "
            "--insecure if the network is trusted"
        )
    if settings.host not in _LOOPBACK and settings.allow_host_commands:
        raise FailedPreconditionError(
            f"--allow-host-commands lets everybody who reaches {settings.host} run "
            "any command on this machine: listen on 127.0.0.1"
        )


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """Return what HTTPS is spoken with, None where nobody asked for it.

    Raises:
        FailedPreconditionError: There are no certificates, or none that are good.
    """
    if settings.tls_port is None:
        return None
    found = certificates.find(settings.data_dir / "tls", _now())
    if found.ends_soon(_now()):
        _log.warning(
            "the server's certificate ends on %s: renew it with homeport tls init and "
            "start again; clients need nothing new",
            found.expires.date(),
        )
    return tls_context(found.server)


async def _serve(
    settings: Settings,
    listeners: Listeners,
    tls: ssl.SSLContext | None,
    on_ready: Callable[[tuple[str, ...]], None],
) -> None:
    with contextlib.ExitStack() as signals:
        stop = Stop(settings.drain_s, signals)
        async with (
            _kept(settings) as opened,
            _application(settings, stop, opened, listeners.tls_port) as (
                application,
                reconciler,
            ),
        ):
            # What was imported and built stays: a collection that looked at it would
            # hold up all requests for a tenth of a second, and the end for longer. None
            # comes first: it would hold up the start, and finds a dozen objects.
            gc.freeze()
            server = HttpServer(
                application,
                listeners,
                tls,
                drain_s=settings.drain_s,
                on_ready=lambda: on_ready(listeners.urls()),
            )
            stop.listen(server, reconciler.predictions_in_work)
            await server.run_until_stopped()


@contextlib.asynccontextmanager
async def _kept(settings: Settings) -> AsyncIterator[Opened]:
    """Yield rows and bytes, which are divided and swept meanwhile.

    So are environments.
    """
    opened = await asyncio.to_thread(opening.for_server, settings)
    database, stored = opened.database, opened.stored
    upkeep = Upkeep(database, stored, _now, opened.server, _environments(settings))
    upkeep.start()
    try:
        yield dataclasses.replace(opened, stored=upkeep.whole())
    finally:
        await asyncio.to_thread(upkeep.stop)
        database.close()


@contextlib.asynccontextmanager
async def _application(
    settings: Settings, stop: Stop, opened: Opened, tls_port: int | None
) -> AsyncIterator[tuple[ASGIApp, Reconciler]]:
    """Yield the application with everything below it running."""
    data_dir, database, stored = settings.data_dir, opened.database, opened.stored
    operations, pager = _operations(opened)
    outside = _outside(settings)
    artifacts = await asyncio.to_thread(_artifacts, settings, opened, outside)
    metrics = telemetry.Metrics()
    access_log = AccessLog(sys.stderr if settings.access_log else None)
    scratch_dir = _emptied(data_dir / "scratch")
    runtime = _engines(settings, opened, scratch_dir)
    checker = _checker(settings, scratch_dir)
    intake = Intake(artifacts, checker, CheckPolicy(settings.check_policy), _now)
    stores = Stores(
        database,
        operations,
        artifacts,
        data_dir / "logs",
        _now,
        # A server that runs nothing before it serves looks at no requirements either.
        LateLocks(database, intake, _now) if settings.check_policy != "none" else None,
    )
    reconciler = Reconciler(
        stores,
        runtime,
        router := Router(),
        metrics,
        Timing(
            request_deadline_s=settings.request_deadline_s,
            queue_length=settings.queue_length,
            load_timeout_s=settings.load_timeout_s,
            drain_s=settings.drain_s,
            scale_down_after_s=settings.scale_down_after_s,
        ),
        await asyncio.to_thread(machines.this_host),
    )
    runner, batch_jobs = await _jobs(
        settings,
        stores,
        opened,
        outside,
        metrics,
        _job_engine(settings, runtime, reconciler),
    )
    at = Desk(database, operations, reconciler.changed, _now, _new_id)
    verbs = api.Verbs(
        catalog=Catalog(database, operations, pager, _now, _new_id),
        uploads=Uploads(database, intake, operations, _now, _new_id),
        transfers=Transfers(database, operations, _now, _new_id),
        exports=Exports(
            database,
            stored.blobs,
            outside,
            operations,
            _now,
            settings.bucket_quota_bytes,
        ),
        evaluations=Evaluations(database, pager, _now, _new_id),
        history=History(database, pager),
        provenances=Provenances(database, _now, _new_id),
        comparisons=Comparisons(database, artifacts),
        operations=operations,
        locations=Locations(database),
        endpoints=Endpoints(at, pager, settings.request_deadline_s),
        deployments=Deployments(at, _offer(settings)),
        batch_jobs=batch_jobs,
        reconciler=reconciler,
        router=router,
        metrics=metrics,
        worker_sandbox=sandbox(settings).describe(),
        tokens=Tokens(AccountKeys(data_dir / "keys"), opened.secret, _now),
    )
    application: ASGIApp = api.build(
        verbs,
        storage.build(_storage_verbs(settings, opened, outside)),
        access_log,
        hosts=_hosts(settings),
        max_request_bytes=settings.max_request_bytes,
        tls_port=tls_port,
    )
    await reconciler.start()
    following = Following(reconciler, opened.lease)
    following.start()
    try:
        yield application, reconciler
    finally:
        await following.rest()
        await asyncio.gather(
            reconciler.stop(stop.left_s, stop.at_once),
            runner.stop(),
            asyncio.to_thread(checker.stop),
        )
        await runtime.close()
        operations.close()
        await following.stop()
        access_log.flush()


def _operations(opened: Opened) -> tuple[Operations, Pager]:
    """Return what carries long work out, and what divides lists into pages."""
    pager = Pager(PageTokens(opened.secret))
    database, server = opened.database, opened.server
    return Operations(database, pager, _now, _new_id, server), pager


def _environments(settings: Settings) -> Environments:
    directory = settings.data_dir / "environments"
    return Environments(
        directory,
        allow_build=settings.allow_build,
        limits=_environment_limits(settings),
    )


def _environment_limits(settings: Settings) -> Limits:
    return Limits(
        settings.environments_max_age_days * 24 * 3600.0,
        settings.environments_max_bytes,
    )


def sandbox(settings: Settings) -> Sandbox:
    """Return what workers are kept in."""
    return Sandbox(
        Level(settings.worker_sandbox),
        (settings.data_dir.absolute(),),
        settings.worker_read,
        settings.worker_write,
    )


def _job_engine(settings: Settings, runtime: Runtime, reconciler: Reconciler) -> Engine:
    """Return what batch predictions predict with."""
    return Engine(
        lambda spec: reconciler.laying_out.lay_out(spec.model, spec.machine),
        runtime,
        settings.request_deadline_s,
        _offer(settings),
        reconciler.accelerators,
    )


async def _jobs(
    settings: Settings,
    stores: Stores,
    opened: Opened,
    outside: Outside,
    metrics: telemetry.Metrics,
    engine: Engine,
) -> tuple[Runner, BatchJobs]:
    """Return what carries batch predictions out, begun, and the verbs on them."""
    blobs, pager = opened.stored.blobs, Pager(PageTokens(opened.secret))
    files = Files(Buckets(stores.database, blobs, _now), outside)
    inputs = Inputs(files, settings.max_request_bytes)
    runner = Runner(
        Ledger(
            stores.database,
            blobs,
            _now,
            stores.operations.owner,
            metrics,
            settings.bucket_quota_bytes,
        ),
        inputs,
        engine,
        settings.data_dir / "jobs",
        stores.log_dir,
        _now,
    )
    clock = (_now, _new_id)
    verbs = BatchJobs(stores.database, stores.operations, pager, inputs, clock, runner)
    await runner.start()
    return runner, verbs


def _offer(settings: Settings) -> Offer:
    return Offer(
        settings.container_engine,
        host_commands=settings.allow_host_commands,
        strict_resources=settings.strict_resources,
    )


def _engines(settings: Settings, opened: Opened, scratch_dir: pathlib.Path) -> Engines:
    """Return the engines, which have begun to remove what an earlier server left."""
    terms = ContainerTerms(
        settings.container_engine,
        install_of(settings.data_dir, opened.secret),
        pull=settings.pull_images,
        host_commands=settings.allow_host_commands,
    )
    engines = Engines(
        LocalRuntime(
            scratch_dir,
            _environments(settings),
            sandbox(settings),
            MemoryLimit(limit) if (limit := settings.worker_memory_bytes) else None,
        ),
        ContainerRuntime(terms),
        HostCommands(scratch_dir),
        _offer(settings),
    )
    engines.begin()
    return engines


def _outside(settings: Settings) -> Outside:
    reach = opening.reach(settings)
    addresses = map(StoreAddress.parse, settings.outside_prefixes)
    return Outside({address: reach.store(address) for address in addresses})


def _artifacts(settings: Settings, opened: Opened, outside: Outside) -> Artifacts:
    database, blobs = opened.database, opened.stored.blobs
    roots = FileRoots(settings.file_roots, settings.data_dir)
    sources = Sources(database, Buckets(database, blobs, _now), blobs, outside, roots)
    sources.start()
    artifacts = Artifacts(sources, blobs, settings.data_dir / "artifacts")
    artifacts.start()
    return artifacts


def _storage_verbs(
    settings: Settings, opened: Opened, outside: Outside
) -> StorageVerbs:
    database, stored = opened.database, opened.stored
    blobs, quota_bytes = stored.blobs, settings.bucket_quota_bytes
    return StorageVerbs(
        Buckets(database, blobs, _now, quota_bytes, reserved=outside.gs_buckets),
        ObjectUploads(database, blobs, _now, quota_bytes, opened.server, stored.claims),
        Compositions(database, blobs, stored.parts, _now, quota_bytes, stored.claims),
    )


def _checker(settings: Settings, scratch_dir: pathlib.Path) -> ApartChecker:
    terms = Terms(
        settings.data_dir / "environments",
        scratch_dir,
        allow_build=settings.allow_build,
        load_timeout_s=settings.load_timeout_s,
        timeout_s=settings.check_timeout_s,
        sandbox=sandbox(settings),
        limits=_environment_limits(settings),
    )
    return ApartChecker(terms)


def _hosts(settings: Settings) -> tuple[str, ...]:
    own = () if settings.host in {"0.0.0.0", "::"} else (settings.host,)  # noqa: S104
    return (*guard.LOOPBACK_HOSTS, *own, *settings.allowed_hosts)


def _emptied(directory: pathlib.Path) -> pathlib.Path:
    """Return an empty directory, without what a killed server left there."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _new_id() -> str:
    """Return 19 digits at random, as the service's own ids have."""
    return str(10**18 + secrets.randbelow(9 * 10**18))
