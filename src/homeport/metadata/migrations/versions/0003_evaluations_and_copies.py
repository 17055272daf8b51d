"""Evaluations of versions, and what a version is a copy of."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add evaluations and their slices; let deployments be found by version."""
    # Added by itself, not in a batch: SQLite's batches make the table anew, and the
    # rows that refer to it would go with the old one.
    op.add_column(
        "model_versions",
        sa.Column("copied_from", sa.String(), nullable=False, server_default=""),
    )
    op.create_index(
        "ix_deployed_models_version",
        "deployed_models",
        ["model_project", "model_location", "model_id", "version_id"],
        unique=False,
    )
    op.create_table(
        "evaluations",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("evaluation_id", sa.String(), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("metrics_schema_uri", sa.String(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "location", "model_id", "version_id"],
            [
                "model_versions.project",
                "model_versions.location",
                "model_versions.model_id",
                "model_versions.version_id",
            ],
            name=op.f("fk_evaluations_project_location_model_id_version_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "project",
            "location",
            "model_id",
            "evaluation_id",
            name=op.f("pk_evaluations"),
        ),
    )
    op.create_index(
        op.f("ix_evaluations_project_location_model_id_version_id"),
        "evaluations",
        ["project", "location", "model_id", "version_id"],
        unique=False,
    )
    op.create_table(
        "evaluation_slices",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("evaluation_id", sa.String(), nullable=False),
        sa.Column("slice_id", sa.String(), nullable=False),
        sa.Column("metrics_schema_uri", sa.String(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "location", "model_id", "evaluation_id"],
            [
                "evaluations.project",
                "evaluations.location",
                "evaluations.model_id",
                "evaluations.evaluation_id",
            ],
            name=op.f("fk_evaluation_slices_project_location_model_id_evaluation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "project",
            "location",
            "model_id",
            "evaluation_id",
            "slice_id",
            name=op.f("pk_evaluation_slices"),
        ),
    )
