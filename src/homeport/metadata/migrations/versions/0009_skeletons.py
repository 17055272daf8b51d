"""Files that are kept as pieces."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add what is known of divided files; those there are divided as time goes by."""
    op.create_table(
        "skeletons",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("skeleton", sa.String(length=64), nullable=True),
        sa.Column("rewritten", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_skeletons")),
    )
    op.create_index(
        op.f("ix_skeletons_skeleton"), "skeletons", ["skeleton"], unique=False
    )
    op.create_table(
        "skeleton_pieces",
        sa.Column("whole", sa.String(length=64), nullable=False),
        sa.Column("piece", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["whole"],
            ["skeletons.sha256"],
            name=op.f("fk_skeleton_pieces_whole"),
        ),
        sa.PrimaryKeyConstraint("whole", "piece", name=op.f("pk_skeleton_pieces")),
    )
    op.create_index(
        op.f("ix_skeleton_pieces_piece"), "skeleton_pieces", ["piece"], unique=False
    )
