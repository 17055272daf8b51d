"""Several servers on one database: who they are, what is whose, and what they share."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add servers with their leases, owners, and the secrets that servers share."""
    op.create_table(
        "servers",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_servers")),
    )
    op.create_table(
        "shared_secrets",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_shared_secrets")),
    )
    for table in ("operations", "upload_sessions"):
        op.add_column(
            table, sa.Column("owner", sa.String(), nullable=False, server_default="")
        )
