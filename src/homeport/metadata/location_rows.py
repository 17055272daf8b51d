"""Locations, which have no rows of their own: where there are models or endpoints."""

import sqlalchemy as sa

from homeport.metadata.database import Transaction
from homeport.metadata.tables import endpoints, models


def of_project(transaction: Transaction, project: str) -> set[str]:
    """Return the locations in which a project has a model or an endpoint."""
    used = sa.union(
        *(
            sa.select(table.c.location).where(table.c.project == project)
            for table in (models, endpoints)
        )
    )
    return set(transaction.scalars(used))
