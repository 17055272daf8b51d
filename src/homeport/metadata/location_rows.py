"""Locations, which have no rows of their own: where there are models or endpoints."""

import sqlalchemy as sa

from homeport.metadata.database import Transaction
from homeport.metadata.tables import endpoints, models


def of_project(transaction: Transaction, project: str) -> set[str]:
    """Return the locations in which a project has a model or an endpoint."""
    return set(transaction.scalars(used(project)))


def used(project: str) -> sa.CompoundSelect[tuple[str]]:
    """Return the statement that finds those locations."""
    return sa.union(*(_used(table, project) for table in (models, endpoints)))


def _used(table: sa.Table, project: str) -> sa.Select[tuple[str]]:
    """Return the statement that skips in the key from one location to the next.

    DISTINCT would read a row for each model.
    """
    of_project = table.c.project == project
    least = sa.func.min(table.c.location)
    used = (
        sa.select(least.label("location"))
        .where(of_project)
        .cte(f"{table.name}_used", recursive=True)
    )
    following = (
        sa.select(least)
        .where(of_project, table.c.location > used.c.location)
        .scalar_subquery()
    )
    used = used.union_all(sa.select(following).where(used.c.location.is_not(None)))
    return sa.select(used.c.location).where(used.c.location.is_not(None))
