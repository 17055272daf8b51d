"""The traffic states of endpoints as rows: added, and gone with their endpoint."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from homeport.metadata import endpoint_keys, keyed, listing_sql
from homeport.metadata.database import Transaction
from homeport.metadata.tables import traffic_states
from homeport.resources.endpoint import (
    DedicatedResources,
    DeployedModel,
    Endpoint,
    with_traffic,
)
from homeport.resources.listing import OrderBy
from homeport.resources.names import EndpointName, ModelName
from homeport.resources.traffic import Placement, TrafficState

TRAFFIC_FIELDS: Final = listing_sql.Fields(
    columns={
        "state": traffic_states.c.number,
        "time": traffic_states.c.time,
        "caller": traffic_states.c.caller,
    },
    key=traffic_states.c.number,
)
_OF_ENDPOINT: Final = keyed.by(traffic_states, *endpoint_keys.COLUMNS)
_ALL: Final = sa.select(traffic_states).where(_OF_ENDPOINT)
_INSERT: Final = traffic_states.insert().values(
    number=sa.select(sa.func.coalesce(sa.func.max(traffic_states.c.number), 0) + 1)
    .where(_OF_ENDPOINT)
    .scalar_subquery()
)


def insert(
    transaction: Transaction, endpoint: Endpoint, time: dt.datetime, caller: str
) -> None:
    """Write the endpoint's traffic as its newest state."""
    key = endpoint_keys.of(endpoint.name)
    state = {
        **key,
        "time": time,
        "caller": caller,
        "split": with_traffic(endpoint.traffic_split),
        "models": {
            one.id: _written(one)
            for one in endpoint.deployed_models
            if endpoint.traffic_split.get(one.id)
        },
    }
    transaction.execute(_INSERT, {**state, **keyed.given(key)})


def get(
    transaction: Transaction, endpoint: EndpointName, number: int
) -> TrafficState | None:
    """Return a state of an endpoint, None if it has no such one."""
    row = transaction.execute(
        _ALL.where(traffic_states.c.number == number),
        keyed.given(endpoint_keys.of(endpoint)),
    ).one_or_none()
    return None if row is None else _to_state(row)


def newest(
    transaction: Transaction, endpoint: EndpointName, count: int
) -> list[TrafficState]:
    """Return up to `count` states of an endpoint, the newest first."""
    query = _ALL.order_by(traffic_states.c.number.desc()).limit(count)
    rows = transaction.execute(query, keyed.given(endpoint_keys.of(endpoint)))
    return [_to_state(row) for row in rows]


def list_page(
    transaction: Transaction, endpoint: EndpointName, page: listing_sql.Page
) -> list[TrafficState]:
    """Return one page of an endpoint's states."""
    query = listing_sql.paged(_ALL, TRAFFIC_FIELDS, page)
    rows = transaction.execute(query, keyed.given(endpoint_keys.of(endpoint)))
    return [_to_state(row) for row in rows]


def position(state: TrafficState, order_by: Sequence[OrderBy]) -> tuple[str | int, ...]:
    """Return where a state stands in a listing, for the page token after it."""
    return (*(state.number for _ in order_by), state.number)


def _to_state(row: sa.Row[Any]) -> TrafficState:
    return TrafficState(
        number=row.number,
        time=row.time,
        caller=row.caller,
        split=row.split,
        models={id_: _read(written) for id_, written in row.models.items()},
    )


def _written(deployed: DeployedModel) -> dict[str, Any]:
    return {
        "model": str(deployed.version),
        "display_name": deployed.display_name,
        "resources": dataclasses.asdict(deployed.resources),
        "kept": dict(deployed.kept),
    }


def _read(written: Mapping[str, Any]) -> Placement:
    return Placement(
        version=ModelName.parse(written["model"]),
        display_name=written["display_name"],
        resources=DedicatedResources(**written["resources"]),
        kept=written["kept"],
    )
