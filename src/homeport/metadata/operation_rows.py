"""Long-running operations as rows."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from homeport.errors import Code
from homeport.metadata.database import Transaction
from homeport.metadata.tables import operations
from homeport.resources.names import OperationName, Parent
from homeport.resources.operation import Failure, Operation, OperationKind


def insert(transaction: Transaction, operation: Operation) -> None:
    """Write a new operation."""
    transaction.execute(
        operations.insert().values(
            **_key(operation.name),
            resource=operation.name.resource,
            **_state(operation),
            create_time=operation.create_time,
            update_time=operation.update_time,
        )
    )


def update(transaction: Transaction, operation: Operation) -> None:
    """Write how an operation stands now."""
    transaction.execute(
        operations.update()
        .where(_is(operation.name))
        .values(**_state(operation), update_time=operation.update_time)
    )


def get(transaction: Transaction, name: OperationName) -> Operation | None:
    """Return the operation, whatever resource the name puts it under; None if none."""
    row = transaction.execute(sa.select(operations).where(_is(name))).one_or_none()
    return None if row is None else _to_operation(row)


def unfinished(transaction: Transaction) -> list[Operation]:
    """Return every operation that has not ended, oldest first."""
    rows = transaction.execute(
        sa.select(operations)
        .where(~operations.c.done)
        .order_by(operations.c.create_time)
    )
    return [_to_operation(row) for row in rows]


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
            "failures": [
                {"code": int(one.code), "message": one.message}
                for one in operation.failures
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
        # Rows of older versions have none.
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


def _is(name: OperationName) -> sa.ColumnElement[bool]:
    return sa.and_(*(operations.c[key] == value for key, value in _key(name).items()))
