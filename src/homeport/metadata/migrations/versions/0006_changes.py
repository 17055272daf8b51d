"""The history of every change."""

import datetime as dt

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

# How the aliases stand when the history begins: who moved them before is not known.
_FOUND = """
INSERT INTO changes
(sequence, time, caller, project, location, resource, kind, key, action, after)
SELECT ROW_NUMBER() OVER (ORDER BY project, location, model_id, alias), :now, '',
project, location, 'models/' || model_id, 'alias', alias, 'found',
{after}
FROM version_aliases
"""
_AFTER = {
    "sqlite": "json_object('versionId', CAST(version_id AS TEXT))",
    "postgresql": "json_build_object('versionId', CAST(version_id AS TEXT))",
}


def upgrade() -> None:
    """Add the history, which begins with how the aliases stand."""
    op.create_table(
        "changes",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_changes")),
    )
    keys = ["project", "location"]
    for name, columns in (
        ("ix_changes_project_location_sequence", ["sequence"]),
        ("ix_changes_project_location_resource_sequence", ["resource", "sequence"]),
        ("ix_changes_subject", ["resource", "kind", "key", "sequence"]),
    ):
        op.create_index(op.f(name), "changes", [*keys, *columns], unique=False)
    since = dt.datetime.now(dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    bind = op.get_bind()
    found = sa.text(_FOUND.format(after=_AFTER[bind.dialect.name]))
    bind.execute(found, {"now": since // dt.timedelta(microseconds=1)})
