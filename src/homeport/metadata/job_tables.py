"""The tables of batch prediction jobs; see `tables`."""

from typing import Final

import sqlalchemy as sa

from homeport.metadata.columns import UtcTime, metadata

_JOB_KEY: Final = ("project", "location", "job_id")

batch_jobs: Final = sa.Table(
    "batch_jobs",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("location", sa.String, primary_key=True),
    sa.Column("job_id", sa.String, primary_key=True),
    sa.Column("display_name", sa.String, nullable=False),
    sa.Column("model_display_name", sa.String, nullable=False),
    # `resources.batch_job.JobState`, by the names of the API.
    sa.Column("state", sa.String, nullable=False),
    # The id of the server that carries it out.
    sa.Column("owner", sa.String, nullable=False),
    # `resources.batch_job.BatchJobSpec`, whole.
    sa.Column("spec", sa.JSON, nullable=False),
    # `resources.batch_job.Tally`, whole.
    sa.Column("tally", sa.JSON, nullable=False),
    sa.Column("output_directory", sa.String, nullable=False),
    # 0 where it did not fail.
    sa.Column("error_code", sa.Integer, nullable=False),
    sa.Column("error_message", sa.String, nullable=False),
    sa.Column("create_time", UtcTime, nullable=False),
    sa.Column("update_time", UtcTime, nullable=False),
    sa.Column("start_time", UtcTime),
    sa.Column("end_time", UtcTime),
    sa.Index(None, "project", "location", "create_time"),
    sa.Index(None, "state"),
)

batch_job_labels: Final = sa.Table(
    "batch_job_labels",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("location", sa.String, primary_key=True),
    sa.Column("job_id", sa.String, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
    sa.ForeignKeyConstraint(
        _JOB_KEY,
        [f"batch_jobs.{column}" for column in _JOB_KEY],
        ondelete="CASCADE",
    ),
    sa.Index(None, "project", "location", "key", "value"),
)
