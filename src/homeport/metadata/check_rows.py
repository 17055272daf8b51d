"""What came of checking a version, as rows."""

from typing import Final

import sqlalchemy as sa

from homeport.metadata import keyed, model_keys
from homeport.metadata.database import Transaction
from homeport.metadata.tables import version_checks
from homeport.resources.check import Check, CheckState
from homeport.resources.names import ModelName

_ONE: Final = sa.select(version_checks).where(
    keyed.by(version_checks, *model_keys.VERSION)
)


def insert(transaction: Transaction, version: ModelName, check: Check) -> None:
    """Write the check of a version that has none yet."""
    transaction.execute(
        version_checks.insert().values(
            **model_keys.of(version),
            state=check.state.value,
            detail=check.detail,
            report=check.report,
            create_time=check.time,
        )
    )


def replace(transaction: Transaction, version: ModelName, check: Check) -> None:
    """Write the check of a version in place of the one it has."""
    transaction.execute(
        version_checks.delete().where(model_keys.matches(version_checks, version))
    )
    insert(transaction, version, check)


def get(transaction: Transaction, version: ModelName) -> Check | None:
    """Return the check of a version, None for those of a server that made none."""
    key = keyed.given(model_keys.of(version))
    row = transaction.execute(_ONE, key).one_or_none()
    if row is None:
        return None
    return Check(CheckState(row.state), row.detail, row.report, row.create_time)
