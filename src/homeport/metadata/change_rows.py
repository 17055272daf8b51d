"""The history as rows: added, and never changed or deleted."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from homeport.metadata import listing_sql
from homeport.metadata.database import Transaction
from homeport.metadata.tables import changes
from homeport.resources.change import Change, ChangeAction, ChangeKind, Subject
from homeport.resources.listing import OrderBy
from homeport.resources.names import Parent

CHANGE_FIELDS: Final = listing_sql.Fields(
    columns={
        "sequence": changes.c.sequence,
        "time": changes.c.time,
        "caller": changes.c.caller,
        "resource": changes.c.resource,
        "kind": changes.c.kind,
        "key": changes.c.key,
        "action": changes.c.action,
    },
    key=changes.c.sequence,
)
_INSERT: Final = changes.insert().values(
    sequence=sa.select(
        sa.func.coalesce(sa.func.max(changes.c.sequence), 0) + 1
    ).scalar_subquery()
)


def insert(transaction: Transaction, change: Change) -> None:
    """Write a change behind all others, whatever its own sequence."""
    transaction.execute(
        _INSERT,
        {
            "time": change.time,
            "caller": change.caller,
            **_key(change.subject),
            "action": change.action.value,
            "before": None if change.before is None else dict(change.before),
            "after": None if change.after is None else dict(change.after),
        },
    )


def list_page(
    transaction: Transaction, parent: Parent, resource: str, page: listing_sql.Page
) -> list[Change]:
    """Return one page of changes.

    Args:
        transaction: Where.
        parent: Of this project and location.
        resource: Of this `models/{id}` or `endpoints/{id}`; "" for every resource.
        page: Which.
    """
    query = sa.select(changes).where(
        changes.c.project == parent.project, changes.c.location == parent.location
    )
    if resource:
        query = query.where(changes.c.resource == resource)
    rows = transaction.execute(listing_sql.paged(query, CHANGE_FIELDS, page))
    return [_to_change(row) for row in rows]


def position(change: Change, order_by: Sequence[OrderBy]) -> tuple[str | int, ...]:
    """Return where a change stands in a listing, for the page token after it."""
    return (*(change.sequence for _ in order_by), change.sequence)


def last(
    transaction: Transaction, subject: Subject, until: dt.datetime | None = None
) -> Change | None:
    """Return the last change of a subject up to a time, None if there was none.

    Servers' clocks differ: the last is the one that was written last.
    """
    query = sa.select(changes).where(
        *(changes.c[key] == value for key, value in _key(subject).items())
    )
    if until is not None:
        query = query.where(changes.c.time <= until)
    row = transaction.execute(
        query.order_by(changes.c.sequence.desc()).limit(1)
    ).one_or_none()
    return None if row is None else _to_change(row)


def _key(subject: Subject) -> dict[str, str]:
    return {
        "project": subject.parent.project,
        "location": subject.parent.location,
        "resource": subject.resource,
        "kind": subject.kind.value,
        "key": subject.key,
    }


def _to_change(row: sa.Row[Any]) -> Change:
    return Change(
        sequence=row.sequence,
        time=row.time,
        caller=row.caller,
        subject=Subject(
            Parent(row.project, row.location),
            row.resource,
            ChangeKind(row.kind),
            row.key,
        ),
        before=row.before,
        after=row.after,
        action=ChangeAction(row.action),
    )
