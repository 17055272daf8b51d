"""Where versions come from, what is told of them, and the schemata they predict by."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_KEY = ["project", "location", "model_id", "version_id"]
_KEPT = "predict_schemata"


def upgrade() -> None:
    """Add lineage and READMEs; what was kept of schemata has its own column."""
    for table, *columns in (
        (
            "version_lineage",
            sa.Column("key", sa.String(), nullable=False),
            sa.Column("value", sa.String(), nullable=False),
        ),
        (
            "version_readmes",
            sa.Column("text", sa.Text(), nullable=False),
            sa.Column("update_time", sa.BigInteger(), nullable=False),
        ),
    ):
        keys = [*_KEY, "key"] if table == "version_lineage" else _KEY
        op.create_table(
            table,
            sa.Column("project", sa.String(), nullable=False),
            sa.Column("location", sa.String(), nullable=False),
            sa.Column("model_id", sa.String(), nullable=False),
            sa.Column("version_id", sa.BigInteger(), nullable=False),
            *columns,
            sa.ForeignKeyConstraint(
                _KEY,
                [f"model_versions.{column}" for column in _KEY],
                name=op.f(f"fk_{table}_project_location_model_id_version_id"),
                ondelete="CASCADE",
            ),
            sa.PrimaryKeyConstraint(*keys, name=op.f(f"pk_{table}")),
        )
    op.create_index(
        op.f("ix_version_lineage_value"),
        "version_lineage",
        ["project", "location", "key", "value", "model_id", "version_id"],
        unique=False,
    )
    op.add_column("model_versions", sa.Column("schemata", sa.JSON(), nullable=True))
    _move_schemata()


def _move_schemata() -> None:
    versions = sa.table(
        "model_versions",
        *(sa.column(name) for name in _KEY),
        sa.column("kept", sa.JSON()),
        sa.column("schemata", sa.JSON()),
    )
    bind = op.get_bind()
    rows = bind.execute(
        sa.select(versions).where(
            sa.cast(versions.c.kept, sa.Text).contains(f'"{_KEPT}"')
        )
    ).all()
    for row in rows:
        kept = dict(row.kept)
        found = kept.pop(_KEPT, None)
        # What was kept was any JSON.
        schemata = found if isinstance(found, dict) else {}
        texts = {
            key: value
            for key, value in schemata.items()
            if key.endswith("SchemaUri") and isinstance(value, str)
        }
        bind.execute(
            versions.update()
            .where(*(versions.c[key] == getattr(row, key) for key in _KEY))
            .values(kept=kept, schemata=texts)
        )
