"""The composition root: from settings to a server that runs.

The only module that knows every room. Nothing here decides anything.
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import logging
import os
import pathlib
import secrets
import shutil
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import uvloop
from starlette.types import ASGIApp

from homeport import telemetry
from homeport.api import app as api
from homeport.api import storage
from homeport.api.access import AccessLog
from homeport.api.storage_requests import StorageVerbs
from homeport.checking.apart import ApartChecker, Terms
from homeport.edge import guard
from homeport.environments.build import Environments
from homeport.errors import FailedPreconditionError
from homeport.identity import certificates
from homeport.identity.accounts import AccountKeys
from homeport.identity.tokens import Tokens
from homeport.listening import HttpServer, Listeners, Stop, listening, tls_context
from homeport.metadata import artifact_rows
from homeport.metadata.database import Database
from homeport.objects.addresses import StoreAddress
from homeport.objects.blobs import Blobs
from homeport.objects.file_roots import FileRoots
from homeport.objects.outside import Outside
from homeport.registry import (
    blob_sweep,
    byte_stores,
    holding,
    possession,
    verification,
)
from homeport.registry.artifacts import Artifacts
from homeport.registry.buckets import Buckets
from homeport.registry.byte_stores import ByteStores, Reach
from homeport.registry.catalog import Catalog
from homeport.registry.comparisons import Comparisons
from homeport.registry.compositions import Compositions
from homeport.registry.evaluations import Evaluations
from homeport.registry.exports import Exports
from homeport.registry.history import History
from homeport.registry.intake import Intake
from homeport.registry.locations import Locations
from homeport.registry.object_uploads import ObjectUploads
from homeport.registry.operations import Operations
from homeport.registry.paging import Pager
from homeport.registry.pieces import PiecedBlobs
from homeport.registry.provenance import Provenances
from homeport.registry.sources import Sources
from homeport.registry.splitting import Splitting
from homeport.registry.transfers import Transfers
from homeport.registry.upload import Uploads
from homeport.resources.check import CheckPolicy
from homeport.resources.listing import PageTokens
from homeport.serving import machines
from homeport.serving.endpoints import Endpoints
from homeport.serving.local import LocalRuntime
from homeport.serving.reconciler import Reconciler
from homeport.serving.router import Router
from homeport.serving.starting import Timing
from homeport.serving.wanted import Stores
from homeport.settings import Settings

_log: Final = logging.getLogger(__name__)
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_SECRET_BYTES: Final = 32
_SHARED_GRACE: Final = dt.timedelta(days=1)


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
    telemetry.configure_logging()
    with (
        holding.held(settings.data_dir),
        listening(settings.host, settings.port, settings.tls_port) as listeners,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_serve(settings, listeners, _tls(settings), on_ready))


def collect_garbage(
    settings: Settings, *, dry_run: bool
) -> tuple[blob_sweep.Unused, ...]:
    """Return the bytes that nothing needs, and remove them unless it is a dry run.

    Raises:
        FailedPreconditionError: A server uses the data directory.
    """
    with _stored(settings) as (database, stored):
        unused = blob_sweep.unused(database, stored.blobs)
        if not dry_run:
            _sweep(database, stored)
    return unused


def verify(settings: Settings) -> Iterator[verification.Verified]:
    """Yield every blob that is needed, read through.

    Raises:
        FailedPreconditionError: A server uses the data directory.
    """
    with _stored(settings) as (database, stored):
        yield from verification.verify(database, stored.blobs)


@contextlib.contextmanager
def _stored(settings: Settings) -> Iterator[tuple[Database, ByteStores]]:
    """Yield rows and bytes of a server that is stopped, as they are."""
    with holding.held(settings.data_dir):
        database = _database(settings)
        try:
            yield database, _bytes(settings, database)
        finally:
            database.close()


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
            _kept(settings) as (database, stored),
            _application(settings, stop, database, stored) as (application, reconciler),
        ):
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
async def _kept(settings: Settings) -> AsyncIterator[tuple[Database, ByteStores]]:
    """Yield rows and bytes, in which archives are divided meanwhile."""
    database, stored = await asyncio.to_thread(_opened, settings)
    splitting = Splitting(database, stored.blobs, _now)
    splitting.start()
    try:
        pieced = PiecedBlobs(database, stored.blobs)
        yield database, dataclasses.replace(stored, blobs=pieced)
    finally:
        await asyncio.to_thread(splitting.stop)
        database.close()


@contextlib.asynccontextmanager
async def _application(
    settings: Settings, stop: Stop, database: Database, stored: ByteStores
) -> AsyncIterator[tuple[ASGIApp, Reconciler]]:
    """Yield the application with everything below it running."""
    data_dir = settings.data_dir
    pager = Pager(PageTokens(_secret(data_dir / "secret")))
    operations = Operations(database, pager, _now, _new_id)
    outside = _outside(settings)
    artifacts = _artifacts(settings, database, stored.blobs, outside)
    await asyncio.to_thread(artifacts.start)
    metrics = telemetry.Metrics()
    access_log = AccessLog(sys.stderr if settings.access_log else None)
    router = Router()
    environments = Environments(
        data_dir / "environments", allow_build=settings.allow_build
    )
    scratch_dir = _emptied(data_dir / "scratch")
    runtime = LocalRuntime(scratch_dir, environments)
    checker = _checker(settings, scratch_dir)
    intake = Intake(artifacts, checker, CheckPolicy(settings.check_policy), _now)
    reconciler = Reconciler(
        Stores(database, operations, artifacts, data_dir / "logs", _now),
        runtime,
        router,
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
    endpoints = Endpoints(
        database,
        operations,
        pager,
        reconciler.changed,
        (_now, _new_id),
        strict_resources=settings.strict_resources,
    )
    verbs = api.Verbs(
        catalog=Catalog(database, operations, pager, _now, _new_id),
        uploads=Uploads(database, intake, operations, _now, _new_id),
        transfers=Transfers(database, operations, _now, _new_id),
        exports=Exports(database, stored.blobs, outside, operations, _now),
        evaluations=Evaluations(database, pager, _now, _new_id),
        history=History(database, pager, _now),
        provenances=Provenances(database, _now, _new_id),
        comparisons=Comparisons(database, artifacts),
        operations=operations,
        locations=Locations(database),
        endpoints=endpoints,
        reconciler=reconciler,
        router=router,
        metrics=metrics,
        tokens=_tokens(data_dir),
    )
    application: ASGIApp = api.build(
        verbs,
        storage.build(_storage_verbs(settings, database, stored, outside)),
        access_log,
        hosts=_hosts(settings),
        max_request_bytes=settings.max_request_bytes,
    )
    await reconciler.start()
    try:
        yield application, reconciler
    finally:
        await asyncio.gather(
            reconciler.stop(stop.left_s, stop.at_once), asyncio.to_thread(checker.stop)
        )
        runtime.close()
        operations.close()
        access_log.flush()


def _opened(settings: Settings) -> tuple[Database, ByteStores]:
    """Return rows and bytes, without the bytes that nothing refers to."""
    database = _database(settings)
    stored = _bytes(settings, database)
    _sweep(database, stored)
    blob_sweep.sweep_parts(database, stored.parts)
    return database, stored


def _bytes(settings: Settings, database: Database) -> ByteStores:
    """Return the bytes that belong to these rows, wherever they are."""
    bucket = None
    if settings.blob_store is None:
        possession.refuse_bytes_elsewhere(settings.data_dir)
    else:
        bucket = _reach(settings).store(StoreAddress.parse(settings.blob_store))
    stored = byte_stores.opened(
        settings.data_dir, bucket, keep_free_bytes=settings.keep_free_bytes
    )
    if stored.bucket is not None:
        possession.claim_bucket(database, settings.data_dir, stored.bucket)
    return stored


def _reach(settings: Settings) -> Reach:
    return Reach(os.environ, settings.private_endpoints)


def _tokens(data_dir: pathlib.Path) -> Tokens:
    keys = AccountKeys(data_dir / "keys")
    return Tokens(keys, _secret(data_dir / "secret"), _now)


def _outside(settings: Settings) -> Outside:
    reach = _reach(settings)
    addresses = map(StoreAddress.parse, settings.outside_prefixes)
    return Outside({address: reach.store(address) for address in addresses})


def _artifacts(
    settings: Settings, database: Database, blobs: Blobs, outside: Outside
) -> Artifacts:
    roots = FileRoots(settings.file_roots, settings.data_dir)
    sources = Sources(database, Buckets(database, blobs, _now), blobs, outside, roots)
    sources.start()
    return Artifacts(sources, blobs, settings.data_dir / "artifacts")


def _storage_verbs(
    settings: Settings, database: Database, stored: ByteStores, outside: Outside
) -> StorageVerbs:
    blobs, quota_bytes = stored.blobs, settings.bucket_quota_bytes
    return StorageVerbs(
        Buckets(database, blobs, _now, quota_bytes, reserved=outside.gs_buckets),
        ObjectUploads(database, blobs, _now, quota_bytes),
        Compositions(database, blobs, stored.parts, _now, quota_bytes),
    )


def _checker(settings: Settings, scratch_dir: pathlib.Path) -> ApartChecker:
    terms = Terms(
        settings.data_dir / "environments",
        scratch_dir,
        allow_build=settings.allow_build,
        load_timeout_s=settings.load_timeout_s,
        timeout_s=settings.check_timeout_s,
    )
    return ApartChecker(terms)


def _hosts(settings: Settings) -> tuple[str, ...]:
    own = () if settings.host in {"0.0.0.0", "::"} else (settings.host,)  # noqa: S104
    return (*guard.LOOPBACK_HOSTS, *own, *settings.allowed_hosts)


def _database(settings: Settings) -> Database:
    """Return the rows, in their newest shape, for this server alone."""
    data_dir, url = settings.data_dir, settings.database_url
    if url is None:
        possession.refuse_foreign_rows(data_dir)
    database = Database(url or f"sqlite:///{data_dir / 'homeport.db'}")
    database.hold()
    database.upgrade()
    if url is not None:
        possession.claim(database, data_dir)
    return database


def _sweep(database: Database, stored: ByteStores) -> None:
    """Remove the bytes that nothing refers to.

    Nobody else uses those in the data directory yet. Another server may be writing to
    a bucket, by another clock.
    """
    grace = _SHARED_GRACE if stored.bucket else dt.timedelta()
    with database.transaction() as transaction:
        artifact_rows.delete_unreferenced(transaction)
    blob_sweep.sweep(database, stored.blobs, _now(), grace=grace)


def _emptied(directory: pathlib.Path) -> pathlib.Path:
    """Return an empty directory, without what a killed server left there."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory


def _secret(path: pathlib.Path) -> bytes:
    """Return the data directory's own secret, made the first time."""
    if not path.exists():
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
        partial.replace(path)
    return path.read_bytes()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _new_id() -> str:
    """Return 19 digits at random, as the service's own ids have."""
    return str(10**18 + secrets.randbelow(9 * 10**18))
