"""Settings: read once by the command line, handed out by `wiring`, never fetched."""

import dataclasses
import pathlib
from typing import Literal


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """How one server runs. `docs/operations.md` has a line for each.

    Attributes:
        data_dir: Everything the server remembers; one server at a time.
        database_url: Where the rows are, None for SQLite in the data directory; may
            hold a password.
        blob_store: The bucket that the bytes are in, `s3://bucket/prefix/` or gs://,
            None for the data directory.
        outside_prefixes: Folders in buckets of others that artifacts may be read from
            and exported to, and batch jobs read, none by default.
        file_roots: Directories that `file://` artifacts may be read from.
        private_endpoints: `HOST:PORT` of endpoints of stores that may be on this
            machine or its network.
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        tls_port: TCP port for HTTPS beside HTTP, 0 for a free one, None for none.
        allowed_hosts: Names beside localhost that requests may be addressed to.
        insecure: Listen beyond loopback although nobody has to prove who they are.
        max_request_bytes: Longest body of a request that is not a storage upload.
        keep_free_bytes: What uploads leave free on the disk of the data directory.
        bucket_quota_bytes: What the objects of one bucket may have together, None for
            no limit.
        request_deadline_s: Seconds a prediction may take, waiting included.
        queue_length: Predictions that may wait for each deployed model.
        load_timeout_s: Seconds a replica may take to load its model.
        check_policy: What registering demands of an archive: "none" runs nothing of
            it, "warn" registers it whatever its check says, "require" only if it
            passes.
        check_timeout_s: Seconds one check may take, its environment included.
        drain_s: Seconds given to accepted predictions when a model is undeployed or
            the server stops.
        scale_down_after_s: Seconds that fewer replicas have to be enough before any
            is taken away.
        strict_resources: Refuse what the host lacks (a GPU, cores) instead of warning.
        allow_build: Build packages that have no wheel when an environment is made,
            which runs their code.
        environments_max_age_days: Days since its last use after which an environment
            that nobody is in is removed.
        environments_max_bytes: What all environments may take together before those
            that nobody is in are removed, the one used last at the end.
        container_engine: What runs versions with an image of their own; "auto" is
            docker where it is installed, else podman.
        pull_images: Let the container engine fetch images that it does not have.
        allow_host_commands: Run the command of such a version on this host itself
            where there is no container engine.
        worker_sandbox: What the kernel keeps from workers: "auto" is every file but
            their own and the system's as far as the host can, "strict" shared
            temporary folders and TCP too, "none" nothing.
        worker_read: Further folders that workers may read.
        worker_write: Further folders that workers may change.
        worker_memory_bytes: What a worker may take, with all that come of it, before
            it is replaced; None for as much as there is.
        access_log: Write a line for each request to standard error.
    """

    data_dir: pathlib.Path
    database_url: str | None = dataclasses.field(default=None, repr=False)
    blob_store: str | None = None
    outside_prefixes: tuple[str, ...] = ()
    file_roots: tuple[pathlib.Path, ...] = ()
    private_endpoints: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8080
    tls_port: int | None = None
    allowed_hosts: tuple[str, ...] = ()
    insecure: bool = False
    max_request_bytes: int = 10 << 20
    keep_free_bytes: int = 256 << 20
    bucket_quota_bytes: int | None = None
    request_deadline_s: float = 60.0
    queue_length: int = 100
    load_timeout_s: float = 120.0
    check_policy: Literal["none", "warn", "require"] = "warn"
    check_timeout_s: float = 600.0
    drain_s: float = 30.0
    scale_down_after_s: float = 300.0
    strict_resources: bool = False
    allow_build: bool = False
    environments_max_age_days: float = 30.0
    environments_max_bytes: int = 50 << 30
    container_engine: Literal["auto", "docker", "podman", "none"] = "auto"
    pull_images: bool = False
    allow_host_commands: bool = False
    worker_sandbox: Literal["auto", "strict", "none"] = "auto"
    worker_read: tuple[pathlib.Path, ...] = ()
    worker_write: tuple[pathlib.Path, ...] = ()
    worker_memory_bytes: int | None = None
    access_log: bool = True
