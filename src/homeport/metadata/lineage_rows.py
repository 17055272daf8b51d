"""Where versions come from and what is told of them, as rows."""

import datetime as dt
from collections.abc import Mapping

import sqlalchemy as sa

from homeport.metadata import model_keys
from homeport.metadata.database import Transaction
from homeport.metadata.tables import version_lineage, version_readmes
from homeport.resources.names import ModelName


def insert(
    transaction: Transaction, version: ModelName, lineage: Mapping[str, str]
) -> None:
    """Write the lineage of a version that has none yet."""
    for key, value in lineage.items():
        transaction.execute(
            version_lineage.insert().values(
                **model_keys.of(version), key=key, value=value
            )
        )


def get(transaction: Transaction, version: ModelName) -> dict[str, str]:
    """Return the lineage of a version, by key in their order."""
    rows = transaction.execute(
        sa.select(version_lineage.c.key, version_lineage.c.value)
        .where(model_keys.matches(version_lineage, version))
        .order_by(version_lineage.c.key)
    )
    return {row.key: row.value for row in rows}


def put_readme(
    transaction: Transaction, version: ModelName, text: str, now: dt.datetime
) -> None:
    """Write the README of a version in place of the one it has; "" takes it away."""
    transaction.execute(
        version_readmes.delete().where(model_keys.matches(version_readmes, version))
    )
    if text:
        transaction.execute(
            version_readmes.insert().values(
                **model_keys.of(version), text=text, update_time=now
            )
        )


def get_readme(transaction: Transaction, version: ModelName) -> str:
    """Return the README of a version, "" for none."""
    text: str | None = transaction.scalar(
        sa.select(version_readmes.c.text).where(
            model_keys.matches(version_readmes, version)
        )
    )
    return text or ""
