"""`homeport logs`: what the replicas of an endpoint, or of a batch job, printed."""

from typing import Final

import click

from homeport.cli import options
from homeport.client import registry, resources
from homeport.client.connection import Connection
from homeport.errors import NotFoundError

_JOBS: Final = "batchPredictionJobs"


@click.command()
@click.argument("name", metavar="ENDPOINT|JOB")
@click.option(
    "-n", "--lines", type=click.IntRange(1, 1000), default=100, show_default=True
)
@options.server_options
def logs(name: str, *, lines: int, **server: str) -> None:
    """Print the last log lines of an endpoint, or of a batch prediction job.

    Either is named by its id, its display name or its full name; of one display name
    the endpoint is meant. An endpoint has lines for each deployed model.
    """
    with options.connect(**server) as connection:
        found = _found(connection, name)
        if f"/{_JOBS}/" in found:
            _show(registry.job_logs(connection, found, lines))
            return
        tails = registry.logs(connection, found, lines)
    for deployed_id, tail in tails.items():
        click.echo(f"== deployed model {deployed_id} ==")
        _show(tail)
    if not tails:
        click.echo(f"nothing is deployed to {name}", err=True)


def _show(lines: list[str]) -> None:
    for line in lines:
        click.echo(line)


def _found(connection: Connection, name: str) -> str:
    """Return the full name of what is meant.

    Raises:
        NotFoundError: Neither an endpoint nor a job.
    """
    if f"/{_JOBS}/" in name:
        return resources.find(connection, _JOBS, name)
    for kind in ("endpoints", _JOBS):
        try:
            return resources.find(connection, kind, name)
        except NotFoundError:
            continue
    raise NotFoundError(
        f"no endpoint or batch prediction job is called {name!r}: `homeport endpoints "
        "list` and `homeport batch list` show those there are"
    )
