"""Long-running operations as rows."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from homeport.errors import Code
from homeport.metadata import keyed, listing_sql
from homeport.metadata.database import Transaction
from homeport.metadata.tables import operations
from homeport.resources.change import SERVER
from homeport.resources.listing import OrderBy
from homeport.resources.names import OperationName, Parent
from homeport.resources.operation import (
    DeployStage,
    Failure,
    Operation,
    OperationKind,
    Reached,
)

OPERATION_FIELDS: Final = listing_sql.Fields(
    columns={
        "done": sa.case((operations.c.done, "true"), else_="false"),
        "create_time": operations.c.create_time,
        "update_time": operations.c.update_time,
    },
    key=operations.c.operation_id,
)
_THIS: Final = keyed.by(operations, "project", "location", "operation_id")
_ONE: Final = sa.select(operations).where(_THIS)
_OWNER: Final = sa.select(operations.c.owner).where(_THIS)
_CHANGE: Final = operations.update().where(_THIS)


def insert(transaction: Transaction, operation: Operation, owner: str) -> None:
    """Write a new operation, which this server carries out."""
    transaction.execute(
        operations.insert(),
        {
            **_key(operation.name),
            "resource": operation.name.resource,
            **_state(operation),
            "owner": owner,
            "create_time": operation.create_time,
            "update_time": operation.update_time,
        },
    )


def update(transaction: Transaction, operation: Operation) -> None:
    """Write how an operation stands now."""
    state = {**_state(operation), "update_time": operation.update_time}
    transaction.execute(_CHANGE, {**keyed.given(_key(operation.name)), **state})


def get(transaction: Transaction, name: OperationName) -> Operation | None:
    """Return the operation, whatever resource the name puts it under; None if none."""
    row = transaction.execute(_ONE, keyed.given(_key(name))).one_or_none()
    return None if row is None else _to_operation(row)


def list_page(
    transaction: Transaction, parent: Parent, resource: str, page: listing_sql.Page
) -> list[Operation]:
    """Return one page of operations.

    Args:
        transaction: Where.
        parent: Of this project and location.
        resource: On this `models/{id}` or `endpoints/{id}`; "" for every resource.
        page: Which.
    """
    query = sa.select(operations).where(
        operations.c.project == parent.project, operations.c.location == parent.location
    )
    if resource:
        query = query.where(operations.c.resource == resource)
    rows = transaction.execute(listing_sql.paged(query, OPERATION_FIELDS, page))
    return [_to_operation(row) for row in rows]


def position(
    operation: Operation, order_by: Sequence[OrderBy]
) -> tuple[str | int, ...]:
    """Return where an operation stands in a listing, for the page token after it."""
    values = {"create_time": operation.create_time}
    return listing_sql.position(values, order_by, operation.name.operation)


def delete(transaction: Transaction, name: OperationName) -> None:
    """Forget an operation."""
    transaction.execute(operations.delete().where(_THIS), keyed.given(_key(name)))


def unfinished(
    transaction: Transaction, not_of: Collection[str] = ()
) -> list[Operation]:
    """Return every operation that has not ended, oldest first.

    Args:
        transaction: Where.
        not_of: Servers whose operations are left out.
    """
    rows = transaction.execute(
        sa.select(operations)
        .where(~operations.c.done, operations.c.owner.not_in(not_of))
        .order_by(operations.c.create_time)
    )
    return [_to_operation(row) for row in rows]


def owner(transaction: Transaction, name: OperationName) -> str:
    """Return the server that carries an operation out, "" if it is gone."""
    return transaction.scalar(_OWNER, keyed.given(_key(name))) or ""


def set_owner(transaction: Transaction, name: OperationName, owner: str) -> None:
    """Write which server carries an operation out from now on."""
    transaction.execute(_CHANGE, {**keyed.given(_key(name)), "owner": owner})


def delete_ended_before(transaction: Transaction, time: dt.datetime) -> None:
    """Forget the operations that ended before `time`."""
    transaction.execute(
        operations.delete().where(operations.c.done, operations.c.update_time < time)
    )


def _state(operation: Operation) -> Mapping[str, Any]:
    failure = operation.failure
    return {
        "metadata": {
            "kind": operation.kind.value,
            "warnings": list(operation.warnings),
            "api_version": operation.api_version,
            "caller": operation.caller,
            "failures": [
                {"code": int(one.code), "message": one.message}
                for one in operation.failures
            ],
            "stages": [
                {"stage": one.stage.value, "time": one.time.isoformat()}
                for one in operation.stages
            ],
        },
        "done": operation.done,
        "error_code": 0 if failure is None else int(failure.code),
        "error_message": "" if failure is None else failure.message,
        "response": dict(operation.result),
    }


def _to_operation(row: sa.Row[Any]) -> Operation:
    parent = Parent(row.project, row.location)
    failure = (
        Failure(Code(row.error_code), row.error_message) if row.error_code else None
    )
    return Operation(
        name=OperationName(parent, row.resource, row.operation_id),
        kind=OperationKind(row.metadata["kind"]),
        warnings=tuple(row.metadata["warnings"]),
        done=row.done,
        failure=failure,
        result=row.response,
        create_time=row.create_time,
        update_time=row.update_time,
        # Rows of older versions have none of these.
        api_version=row.metadata.get("api_version", "v1"),
        caller=row.metadata.get("caller", SERVER),
        stages=tuple(
            Reached(DeployStage(one["stage"]), dt.datetime.fromisoformat(one["time"]))
            for one in row.metadata.get("stages", ())
        ),
        failures=tuple(
            Failure(Code(one["code"]), one["message"])
            for one in row.metadata.get("failures", ())
        ),
    )


def _key(name: OperationName) -> dict[str, str]:
    return {
        "project": name.parent.project,
        "location": name.parent.location,
        "operation_id": name.operation,
    }
