"""What a list of models shows and finds of each, derived from its versions' rows."""

from typing import Final

import sqlalchemy as sa

from homeport.metadata import gathering, keyed, model_keys
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
    .where(keyed.by(version_labels, *_KEY))
)
_INHERITED: Final = sa.select(
    *(model_labels.c[name] for name in (*_KEY, "key", "value"))
).where(
    keyed.by(model_labels, *_KEY),
    model_labels.c.key.not_in(_OWN.with_only_columns(version_labels.c.key)),
)
_FORGET: Final = shown_labels.delete().where(keyed.by(shown_labels, *_KEY))
_SHOWN: Final = sa.union_all(_OWN, _INHERITED)
_DERIVE: Final = shown_labels.insert().from_select([*_KEY, "key", "value"], _SHOWN)
# From where they come: of the table SQLite would read every model's.
_LABELS: Final = _SHOWN.subquery()
_DEFAULT: Final = (
    sa.select(version_aliases.c.version_id)
    .where(keyed.by(version_aliases, *_KEY), version_aliases.c.alias == DEFAULT_ALIAS)
    .scalar_subquery()
)
_CARRIED: Final = version_aliases.alias()
_FIND: Final = sa.select(
    sa.func.coalesce(_DEFAULT, 0),
    gathered(
        _CARRIED.c.place,
        _CARRIED.c.alias,
        where=sa.and_(keyed.by(_CARRIED, *_KEY), _CARRIED.c.version_id == _DEFAULT),
    ),
    gathered(_LABELS.c.key, _LABELS.c.value, where=sa.true()),
)
_SHOW: Final = models.update().where(keyed.by(models, *_KEY))


def derive(transaction: Transaction, name: ModelName) -> None:
    """Write what the model shows now; after labels or the default version changed."""
    key = keyed.given(model_keys.of(name.unversioned))
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
