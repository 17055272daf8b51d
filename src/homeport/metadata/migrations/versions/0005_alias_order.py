"""The order in which a version was given its aliases."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the place of each alias; those of before stay in the order of their names."""
    op.add_column(
        "version_aliases",
        sa.Column("place", sa.BigInteger(), nullable=False, server_default="0"),
    )
