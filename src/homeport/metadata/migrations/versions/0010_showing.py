"""What a list shows of each model, beside it; the framework of each version."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

# Pairs as a JSON text without spaces, the same of both databases.
_PAIRS = {
    "sqlite": "json_group_array(json_array(one, other))",
    "postgresql": (
        "'[' || string_agg('[' || CAST(to_json(one) AS TEXT) || ',' || "
        "CAST(to_json(other) AS TEXT) || ']', ',') || ']'"
    ),
}
_FILL = """
UPDATE models SET
default_version = shown.version_id,
shown_aliases = shown.aliases,
shown_labels = coalesce(shown.labels, '[]')
FROM (
    SELECT a.project, a.location, a.model_id, a.version_id, a.aliases, l.labels
    FROM (
        SELECT project, location, model_id, version_id, {pairs} AS aliases
        FROM (
            SELECT project, location, model_id, version_id,
            place AS one, alias AS other
            FROM version_aliases
            ORDER BY project, location, model_id, version_id, place, alias
        ) AS carried
        GROUP BY project, location, model_id, version_id
        HAVING max(CASE WHEN other = 'default' THEN 1 ELSE 0 END) = 1
    ) AS a
    LEFT JOIN (
        SELECT project, location, model_id, {pairs} AS labels
        FROM (
            SELECT project, location, model_id, key AS one, value AS other
            FROM shown_labels
            ORDER BY project, location, model_id, key
        ) AS labelled
        GROUP BY project, location, model_id
    ) AS l
    ON l.project = a.project AND l.location = a.location AND l.model_id = a.model_id
) AS shown
WHERE shown.project = models.project AND shown.location = models.location
AND shown.model_id = models.model_id
"""


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
    # All at once: row by row it takes twice as long.
    op.execute(_FILL.format(pairs=_PAIRS[op.get_bind().dialect.name]))
