"""Batch prediction jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_KEY = ["project", "location", "job_id"]


def upgrade() -> None:
    """Add jobs and their labels."""
    op.create_table(
        "batch_jobs",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("model_display_name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("tally", sa.JSON(), nullable=False),
        sa.Column("output_directory", sa.String(), nullable=False),
        sa.Column("error_code", sa.Integer(), nullable=False),
        sa.Column("error_message", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.Column("start_time", sa.BigInteger()),
        sa.Column("end_time", sa.BigInteger()),
        sa.PrimaryKeyConstraint(*_KEY, name=op.f("pk_batch_jobs")),
    )
    op.create_index(
        op.f("ix_batch_jobs_project_location_create_time"),
        "batch_jobs",
        ["project", "location", "create_time"],
    )
    op.create_index(op.f("ix_batch_jobs_state"), "batch_jobs", ["state"])
    op.create_table(
        "batch_job_labels",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            _KEY,
            [f"batch_jobs.{column}" for column in _KEY],
            name=op.f("fk_batch_job_labels_project_location_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(*_KEY, "key", name=op.f("pk_batch_job_labels")),
    )
    op.create_index(
        op.f("ix_batch_job_labels_project_location_key_value"),
        "batch_job_labels",
        ["project", "location", "key", "value"],
    )
