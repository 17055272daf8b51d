"""What a list of models shows and finds of each, derived from its versions' rows."""

from typing import Final

import sqlalchemy as sa

from homeport.metadata import gathering
from homeport.metadata.database import Transaction
from homeport.metadata.gathering import gathered
from homeport.metadata.tables import (
    model_labels,
    models,
    shown_labels,
    version_aliases,
    version_labels,
)
from homeport.resources.names import DEFAULT_ALIAS, ModelName

_KEY: Final = ("project", "location", "model_id")


def _of_model(table: sa.FromClause) -> sa.ColumnElement[bool]:
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
_SHOWN: Final = sa.union_all(_OWN, _INHERITED)
_DERIVE: Final = shown_labels.insert().from_select([*_KEY, "key", "value"], _SHOWN)
# From where they come: of the table SQLite would read every model's.
_LABELS: Final = _SHOWN.subquery()
_DEFAULT: Final = (
    sa.select(version_aliases.c.version_id)
    .where(_of_model(version_aliases), version_aliases.c.alias == DEFAULT_ALIAS)
    .scalar_subquery()
)
_CARRIED: Final = version_aliases.alias()
_FIND: Final = sa.select(
    sa.func.coalesce(_DEFAULT, 0),
    gathered(
        _CARRIED.c.place,
        _CARRIED.c.alias,
        where=sa.and_(_of_model(_CARRIED), _CARRIED.c.version_id == _DEFAULT),
    ),
    gathered(_LABELS.c.key, _LABELS.c.value, where=sa.true()),
)
_SHOW: Final = models.update().where(_of_model(models))


def derive(transaction: Transaction, name: ModelName) -> None:
    """Write what the model shows now; after labels or the default version changed."""
    key = {
        "of_project": name.parent.project,
        "of_location": name.parent.location,
        "of_model_id": name.model,
    }
    transaction.execute(_FORGET, key)
    transaction.execute(_DERIVE, key)
    version_id, aliases, labels = transaction.execute(_FIND, key).one()
    transaction.execute(
        _SHOW.values(
            default_version=version_id,
            shown_aliases=gathering.text(gathering.rows(aliases)),
            shown_labels=gathering.text(gathering.rows(labels)),
        ),
        key,
    )
