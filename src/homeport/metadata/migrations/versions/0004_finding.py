"""What lists are found by, and whose bytes the rows name."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_FILL = """
INSERT INTO shown_labels (project, location, model_id, key, value)
SELECT v.project, v.location, v.model_id, v.key, v.value
FROM version_labels AS v JOIN version_aliases AS a
ON a.project = v.project AND a.location = v.location AND a.model_id = v.model_id
AND a.version_id = v.version_id AND a.alias = 'default'
UNION ALL
SELECT m.project, m.location, m.model_id, m.key, m.value
FROM model_labels AS m WHERE NOT EXISTS (
    SELECT 1 FROM version_labels AS v JOIN version_aliases AS a
    ON a.project = v.project AND a.location = v.location AND a.model_id = v.model_id
    AND a.version_id = v.version_id AND a.alias = 'default'
    WHERE v.project = m.project AND v.location = m.location
    AND v.model_id = m.model_id AND v.key = m.key
)
"""


def upgrade() -> None:
    """Add the labels that lists show, and indexes in the order of lists."""
    op.create_table(
        "data_directories",
        sa.Column("id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_directories")),
    )
    op.create_table(
        "shown_labels",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "location", "model_id"],
            ["models.project", "models.location", "models.model_id"],
            name=op.f("fk_shown_labels_project_location_model_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "project", "location", "model_id", "key", name=op.f("pk_shown_labels")
        ),
    )
    op.execute(_FILL)
    for table, *columns in (
        ("shown_labels", "key", "value", "model_id"),
        ("shown_labels", "key", "model_id"),
        ("version_aliases", "alias", "model_id"),
        ("models", "display_name", "model_id"),
        ("models", "create_time", "model_id"),
        ("models", "update_time", "model_id"),
    ):
        keys = ["project", "location", *columns]
        op.create_index(op.f(f"ix_{table}_{'_'.join(keys)}"), table, keys, unique=False)
    for column in ("display_name", "create_time", "update_time"):
        op.drop_index(op.f(f"ix_models_project_location_{column}"), "models")
