"""What TorchServe's words, the lock and the check say of a version."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add to each version its words, its lock and its check."""
    # Added one by one, not in a batch: SQLite's batches make the table anew, and the
    # rows that refer to it would go with the old one.
    op.add_column(
        "model_versions",
        sa.Column("torchserve", sa.JSON(), nullable=False, server_default="{}"),
    )
    op.add_column(
        "model_versions",
        sa.Column("lock", sa.Text(), nullable=False, server_default=""),
    )
    op.create_table(
        "version_checks",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "location", "model_id", "version_id"],
            [
                "model_versions.project",
                "model_versions.location",
                "model_versions.model_id",
                "model_versions.version_id",
            ],
            name=op.f("fk_version_checks_project_location_model_id_version_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "project",
            "location",
            "model_id",
            "version_id",
            name=op.f("pk_version_checks"),
        ),
    )
