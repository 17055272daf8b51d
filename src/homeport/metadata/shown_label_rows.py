"""The labels that a list of models shows and finds, derived from the two levels'."""

from typing import Final

import sqlalchemy as sa

from homeport.metadata.database import Transaction
from homeport.metadata.tables import (
    model_labels,
    shown_labels,
    version_aliases,
    version_labels,
)
from homeport.resources.names import DEFAULT_ALIAS, ModelName

_KEY: Final = ("project", "location", "model_id")


def _of_model(table: sa.Table) -> sa.ColumnElement[bool]:
    # With a name of their own: an INSERT keeps the columns' names for itself.
    return sa.and_(*(table.c[name] == sa.bindparam(f"of_{name}") for name in _KEY))


_OWN: Final = (
    sa.select(*(version_labels.c[name] for name in (*_KEY, "key", "value")))
    .join(
        version_aliases,
        sa.and_(
            *(
                version_aliases.c[name] == version_labels.c[name]
                for name in (*_KEY, "version_id")
            ),
            version_aliases.c.alias == DEFAULT_ALIAS,
        ),
    )
    .where(_of_model(version_labels))
)
_INHERITED: Final = sa.select(
    *(model_labels.c[name] for name in (*_KEY, "key", "value"))
).where(
    _of_model(model_labels),
    model_labels.c.key.not_in(_OWN.with_only_columns(version_labels.c.key)),
)
_FORGET: Final = shown_labels.delete().where(_of_model(shown_labels))
_DERIVE: Final = shown_labels.insert().from_select(
    [*_KEY, "key", "value"], sa.union_all(_OWN, _INHERITED)
)


def derive(transaction: Transaction, name: ModelName) -> None:
    """Write what the model shows now; after labels or the default version changed."""
    key = {
        "of_project": name.parent.project,
        "of_location": name.parent.location,
        "of_model_id": name.model,
    }
    transaction.execute(_FORGET, key)
    transaction.execute(_DERIVE, key)
