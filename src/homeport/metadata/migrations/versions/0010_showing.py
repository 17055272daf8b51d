"""What a list shows of each model, beside it; the framework of each version."""

import collections

import orjson
import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_FILL = """
UPDATE models
SET default_version = :version, shown_aliases = :aliases, shown_labels = :labels
WHERE project = :p AND location = :l AND model_id = :m
"""
_DEFAULTS = """
SELECT a.project, a.location, a.model_id, a.version_id, a.place, a.alias
FROM version_aliases AS a JOIN version_aliases AS d
ON d.project = a.project AND d.location = a.location AND d.model_id = a.model_id
AND d.version_id = a.version_id AND d.alias = 'default'
ORDER BY a.place, a.alias
"""
_LABELS = (
    "SELECT project, location, model_id, key, value FROM shown_labels ORDER BY key"
)


def upgrade() -> None:
    """Add what lists show; of older versions the framework was not read."""
    for column in (
        sa.Column(
            "default_version", sa.BigInteger(), nullable=False, server_default="0"
        ),
        sa.Column("shown_aliases", sa.Text(), nullable=False, server_default="[]"),
        sa.Column("shown_labels", sa.Text(), nullable=False, server_default="[]"),
    ):
        op.add_column("models", column)
    op.add_column(
        "model_versions",
        sa.Column("framework", sa.String(), nullable=False, server_default=""),
    )
    _fill()


def _fill() -> None:
    bind = op.get_bind()
    defaults: dict[tuple[str, ...], int] = {}
    aliases = collections.defaultdict(list)
    for *key, version_id, place, alias in bind.execute(sa.text(_DEFAULTS)):
        defaults[tuple(key)] = version_id
        aliases[tuple(key)].append([place, alias])
    labels = collections.defaultdict(list)
    for *key, name, value in bind.execute(sa.text(_LABELS)):
        labels[tuple(key)].append([name, value])
    filled = [
        {
            **dict(zip(("p", "l", "m"), key, strict=True)),
            "version": version_id,
            "aliases": orjson.dumps(aliases[key]).decode(),
            "labels": orjson.dumps(labels[key]).decode(),
        }
        for key, version_id in defaults.items()
    ]
    if filled:
        bind.execute(sa.text(_FILL), filled)
