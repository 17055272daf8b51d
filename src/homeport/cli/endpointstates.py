"""`homeport endpoints states` and `rollback`: the traffic an endpoint had."""

from collections import defaultdict
from collections.abc import Container, Sequence

import click

from homeport.cli import options, output
from homeport.cli.output import Column, Output
from homeport.client import registry
from homeport.client.resources import Document


def _shares(state: Document, several: Container[str]) -> str:
    """Return a state's shares by version, by the deployed id too where it tells more.

    Args:
        state: As the server tells it.
        several: Versions of which more than one deployed model had traffic.
    """
    shares = []
    for id_, percent in state["trafficSplit"].items():
        version = state["models"][id_]
        named = version.rpartition("/")[2]
        if version in several:
            named += f"[{id_}]"
        if percent:
            shares.append(f"{named}={percent}")
    return " ".join(shares) or "none"


def _columns(states: Sequence[Document]) -> tuple[Column, ...]:
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for state in states:
        for id_, version in state["models"].items():
            ids[version].add(id_)
    several = {version for version, found in ids.items() if len(found) > 1}
    return (
        ("STATE", lambda one: one["state"]),
        ("SINCE", lambda one: one["time"]),
        ("CALLER", lambda one: one["caller"]),
        ("TRAFFIC", lambda one: _shares(one, several)),
    )


@click.command("states")
@click.argument("endpoint")
@output.option(named=False)
@options.server_options
def states(endpoint: str, *, form: Output, **server: str) -> None:
    """List the traffic that ENDPOINT had, the newest state first."""
    with options.connect(**server) as connection:
        found = registry.find_endpoint(connection, endpoint)
        told = registry.traffic_states(connection, found)
    output.show_list(told, form, _columns(told))


@click.command("rollback")
@click.argument("endpoint")
@click.option(
    "--state",
    type=click.IntRange(min=1),
    help="As `homeport endpoints states` lists them. Default: the one before this.",
)
@options.server_options
def rollback(endpoint: str, *, state: int | None, **server: str) -> None:
    """Give ENDPOINT the traffic it had, and what served it then.

    The aliases of models stay: a default version that `homeport deploy` has moved goes
    back with `homeport models aliases MODEL@VERSION --add default`.
    """
    with options.connect(**server) as connection:
        found = registry.find_endpoint(connection, endpoint)
        number = registry.roll_back(connection, found, state or 0)
        click.echo(f"back at     state {number}")
        options.show_traffic(registry.find_endpoint(connection, found.name))
