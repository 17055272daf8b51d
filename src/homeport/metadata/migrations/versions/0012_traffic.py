"""What traffic each endpoint had, one state after the other."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_KEY = ["project", "location", "endpoint_id"]


def upgrade() -> None:
    """Add traffic states, and the split that a deployment found."""
    op.create_table(
        "traffic_states",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("endpoint_id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("split", sa.JSON(), nullable=False),
        sa.Column("models", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            _KEY,
            [f"endpoints.{column}" for column in _KEY],
            name=op.f("fk_traffic_states_project_location_endpoint_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(*_KEY, "number", name=op.f("pk_traffic_states")),
    )
    op.add_column("deployed_models", sa.Column("found_split", sa.JSON(), nullable=True))
