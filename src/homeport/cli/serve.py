"""`homeport serve`: run a server."""

from pathlib import Path
from typing import Final

import click

from homeport import wiring
from homeport.cli import datadir
from homeport.cli.sandboxing import sandbox_options
from homeport.resources.check import CheckPolicy
from homeport.settings import Settings

_DEFAULTS: Final = Settings(data_dir=datadir.DEFAULT)
_EPILOG: Final = """\b
Examples:
  homeport serve
  homeport serve --port 0 --data-dir /srv/homeport
Then, in another terminal:
  homeport deploy model.mar

Every option can be given as a variable too: --data-dir as HOMEPORT_SERVE_DATA_DIR.
Stop it with Ctrl-C: what was accepted is answered, and everything is there again at
the next start.
"""


@click.command(
    epilog=_EPILOG, context_settings={"auto_envvar_prefix": "HOMEPORT_SERVE"}
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=_DEFAULTS.data_dir,
    show_default=True,
    help="Everything the server remembers; made if missing.",
)
@click.option(
    "--database-url",
    help="Keep the rows in PostgreSQL: postgresql+psycopg://USER@HOST/NAME. A password "
    "is better said in the variable: every account can read options.",
)
@click.option(
    "--blob-store",
    help="Keep the bytes in a bucket: s3://BUCKET/PREFIX/ or gs://BUCKET/PREFIX/, with "
    "?endpoint=URL&region=NAME where needed. Credentials come from the variables that "
    "the store's own tools read.",
)
@click.option(
    "--outside-prefix",
    "outside_prefixes",
    multiple=True,
    help="A folder in a bucket of others, written as --blob-store, that artifacts may "
    "be read from and exported to; may be repeated.",
)
@click.option(
    "--file-root",
    "file_roots",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    multiple=True,
    help="A directory that file:// artifacts may be read from; may be repeated.",
)
@click.option(
    "--private-endpoint",
    "private_endpoints",
    multiple=True,
    callback=datadir.endpoints,
    help="HOST:PORT of a store's endpoint that may be on this machine or its network, "
    "or without HTTPS; may be repeated.",
)
@click.option("--host", default=_DEFAULTS.host, show_default=True)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=_DEFAULTS.port,
    show_default=True,
    help="0 takes a free one.",
)
@click.option(
    "--tls-port",
    type=click.IntRange(0, 65535),
    help="Listen for HTTPS too, with the certificates of homeport tls init.",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    help="A further name that requests may be addressed to; may be repeated.",
)
@click.option(
    "--insecure",
    is_flag=True,
    help="Listen beyond this machine although nobody needs a token.",
)
@click.option(
    "--max-request-bytes",
    type=click.IntRange(min=1024),
    default=_DEFAULTS.max_request_bytes,
    show_default=True,
    help="Longest request body; uploads to buckets have no such limit.",
)
@click.option(
    "--keep-free-bytes",
    type=click.IntRange(min=0),
    default=_DEFAULTS.keep_free_bytes,
    show_default=True,
    help="What uploads leave free on the disk.",
)
@click.option(
    "--bucket-quota-bytes",
    type=click.IntRange(min=1),
    help="What the objects of one bucket may have together.",
)
@click.option(
    "--request-deadline",
    "request_deadline_s",
    type=click.FloatRange(min=0.1),
    default=_DEFAULTS.request_deadline_s,
    show_default=True,
    help="Seconds a prediction may take, waiting included.",
)
@click.option(
    "--queue-length",
    type=click.IntRange(min=1),
    default=_DEFAULTS.queue_length,
    show_default=True,
    help="Predictions that may wait for each deployed model.",
)
@click.option(
    "--load-timeout",
    "load_timeout_s",
    type=click.FloatRange(min=1),
    default=_DEFAULTS.load_timeout_s,
    show_default=True,
    help="Seconds a replica may take to load its model.",
)
@click.option(
    "--check-policy",
    type=click.Choice([one.value for one in CheckPolicy]),
    default=_DEFAULTS.check_policy,
    show_default=True,
    help="Whether an archive is run before it is registered: not at all, with a "
    "warning if it fails, or as a condition.",
)
@click.option(
    "--check-timeout",
    "check_timeout_s",
    type=click.FloatRange(min=1),
    default=_DEFAULTS.check_timeout_s,
    show_default=True,
    help="Seconds one check may take, its environment included.",
)
@click.option(
    "--drain",
    "drain_s",
    type=click.FloatRange(min=0),
    default=_DEFAULTS.drain_s,
    show_default=True,
    help="Seconds for accepted predictions when a model is undeployed or the server "
    "stops.",
)
@click.option(
    "--scale-down-after",
    "scale_down_after_s",
    type=click.FloatRange(min=1),
    default=_DEFAULTS.scale_down_after_s,
    show_default=True,
    help="Seconds that fewer replicas have to be enough before any is taken away.",
)
@click.option(
    "--strict-resources",
    is_flag=True,
    help="Refuse a deployment that asks for what this host lacks, such as a GPU.",
)
@click.option(
    "--allow-build",
    is_flag=True,
    help="Build packages that have no wheel from source, which runs their code.",
)
@click.option(
    "--environments-max-age",
    "environments_max_age_days",
    type=click.FloatRange(min=0),
    default=_DEFAULTS.environments_max_age_days,
    show_default=True,
    help="Days since its last use after which an unused environment is removed.",
)
@click.option(
    "--environments-max-bytes",
    type=click.IntRange(min=0),
    default=_DEFAULTS.environments_max_bytes,
    show_default=True,
    help="What environments may take together before unused ones are removed.",
)
@click.option(
    "--container-engine",
    type=click.Choice(["auto", "docker", "podman", "none"]),
    default=_DEFAULTS.container_engine,
    show_default=True,
    help="What runs versions with a container image of their own.",
)
@click.option(
    "--pull-images",
    is_flag=True,
    help="Let the container engine fetch images that it does not have.",
)
@click.option(
    "--allow-host-commands",
    is_flag=True,
    help="Without a container engine, run the command of such a version on this host: "
    "whoever reaches the server then runs any command as its user.",
)
@sandbox_options
@click.option(
    "--worker-memory-bytes",
    type=click.IntRange(min=1),
    help="What a worker may take, with all that it starts, before it is replaced.",
)
@click.option(
    "--access-log/--no-access-log",
    default=_DEFAULTS.access_log,
    show_default=True,
    help="A line for each request on standard error.",
)
def serve(**values: object) -> None:
    """Run a server with everything it needs inside one data directory."""
    settings = Settings(**values)  # type: ignore[arg-type]  # the options are its fields
    wiring.serve(settings, on_ready=lambda urls: _announce(urls, settings))


def _announce(urls: tuple[str, ...], settings: Settings) -> None:
    click.echo(
        f"Homeport is ready at {' and '.join(urls)}, data in {settings.data_dir}"
    )
    click.echo(f"Worker sandbox: {wiring.sandbox(settings).describe()}", err=True)
    url = urls[0]
    option = "" if url.endswith(":8080") else f" --url {url}"
    click.echo(f"Next: homeport deploy{option} model.mar", err=True)
