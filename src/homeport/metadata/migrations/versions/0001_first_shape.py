"""First shape."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """First shape."""
    op.create_table(
        "artifacts",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_artifacts")),
    )
    op.create_table(
        "buckets",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("metageneration", sa.BigInteger(), nullable=False),
        sa.Column("last_generation", sa.BigInteger(), nullable=False),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_buckets")),
    )
    op.create_table(
        "endpoints",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("endpoint_id", sa.String(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("traffic_split", sa.JSON(), nullable=False),
        sa.Column("kept", sa.JSON(), nullable=False),
        sa.Column("etag", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project", "location", "endpoint_id", name=op.f("pk_endpoints")
        ),
    )
    with op.batch_alter_table("endpoints", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_endpoints_project_location_display_name"),
            ["project", "location", "display_name"],
            unique=False,
        )

    op.create_table(
        "models",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("next_version", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project", "location", "model_id", name=op.f("pk_models")
        ),
    )
    with op.batch_alter_table("models", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_models_project_location_create_time"),
            ["project", "location", "create_time"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_models_project_location_display_name"),
            ["project", "location", "display_name"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_models_project_location_update_time"),
            ["project", "location", "update_time"],
            unique=False,
        )

    op.create_table(
        "operations",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("operation_id", sa.String(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.Column("error_code", sa.Integer(), nullable=False),
        sa.Column("error_message", sa.String(), nullable=False),
        sa.Column("response", sa.JSON(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project", "location", "operation_id", name=op.f("pk_operations")
        ),
    )
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_operations_project_location_resource"),
            ["project", "location", "resource"],
            unique=False,
        )

    op.create_table(
        "artifact_files",
        sa.Column("artifact_digest", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["artifact_digest"],
            ["artifacts.digest"],
            name=op.f("fk_artifact_files_artifact_digest"),
        ),
        sa.PrimaryKeyConstraint(
            "artifact_digest", "path", name=op.f("pk_artifact_files")
        ),
    )
    with op.batch_alter_table("artifact_files", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_artifact_files_sha256"), ["sha256"], unique=False
        )

    op.create_table(
        "endpoint_labels",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("endpoint_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "location", "endpoint_id"],
            ["endpoints.project", "endpoints.location", "endpoints.endpoint_id"],
            name=op.f("fk_endpoint_labels_project_location_endpoint_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "project", "location", "endpoint_id", "key", name=op.f("pk_endpoint_labels")
        ),
    )
    with op.batch_alter_table("endpoint_labels", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_endpoint_labels_project_location_key_value"),
            ["project", "location", "key", "value"],
            unique=False,
        )

    op.create_table(
        "model_labels",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "location", "model_id"],
            ["models.project", "models.location", "models.model_id"],
            name=op.f("fk_model_labels_project_location_model_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "project", "location", "model_id", "key", name=op.f("pk_model_labels")
        ),
    )
    with op.batch_alter_table("model_labels", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_model_labels_project_location_key_value"),
            ["project", "location", "key", "value"],
            unique=False,
        )

    op.create_table(
        "model_versions",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("artifact_uri", sa.String(), nullable=False),
        sa.Column("artifact_digest", sa.String(length=64), nullable=True),
        sa.Column("container", sa.JSON(), nullable=True),
        sa.Column("kept", sa.JSON(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["artifact_digest"],
            ["artifacts.digest"],
            name=op.f("fk_model_versions_artifact_digest"),
        ),
        sa.ForeignKeyConstraint(
            ["project", "location", "model_id"],
            ["models.project", "models.location", "models.model_id"],
            name=op.f("fk_model_versions_project_location_model_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "project",
            "location",
            "model_id",
            "version_id",
            name=op.f("pk_model_versions"),
        ),
    )
    with op.batch_alter_table("model_versions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_model_versions_artifact_digest"),
            ["artifact_digest"],
            unique=False,
        )

    op.create_table(
        "objects",
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("metageneration", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("crc32c", sa.BigInteger(), nullable=False),
        sa.Column("md5", sa.String(length=32), nullable=False),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["bucket"], ["buckets.name"], name=op.f("fk_objects_bucket")
        ),
        sa.PrimaryKeyConstraint("bucket", "name", name=op.f("pk_objects")),
    )
    with op.batch_alter_table("objects", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_objects_sha256"), ["sha256"], unique=False)

    op.create_table(
        "upload_sessions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("checksums", sa.JSON(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["bucket"], ["buckets.name"], name=op.f("fk_upload_sessions_bucket")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload_sessions")),
    )
    op.create_table(
        "deployed_models",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("endpoint_id", sa.String(), nullable=False),
        sa.Column("model_project", sa.String(), nullable=False),
        sa.Column("model_location", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("resources", sa.JSON(), nullable=False),
        sa.Column("kept", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("wanted_split", sa.JSON(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_project", "model_location", "model_id", "version_id"],
            [
                "model_versions.project",
                "model_versions.location",
                "model_versions.model_id",
                "model_versions.version_id",
            ],
            name=op.f(
                "fk_deployed_models_model_project_model_location_model_id_version_id"
            ),
        ),
        sa.ForeignKeyConstraint(
            ["project", "location", "endpoint_id"],
            ["endpoints.project", "endpoints.location", "endpoints.endpoint_id"],
            name=op.f("fk_deployed_models_project_location_endpoint_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployed_models")),
    )
    with op.batch_alter_table("deployed_models", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_deployed_models_project_location_endpoint_id"),
            ["project", "location", "endpoint_id"],
            unique=False,
        )

    op.create_table(
        "version_aliases",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("alias", sa.String(), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "location", "model_id", "version_id"],
            [
                "model_versions.project",
                "model_versions.location",
                "model_versions.model_id",
                "model_versions.version_id",
            ],
            name=op.f("fk_version_aliases_project_location_model_id_version_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "project", "location", "model_id", "alias", name=op.f("pk_version_aliases")
        ),
    )
    op.create_table(
        "version_labels",
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "location", "model_id", "version_id"],
            [
                "model_versions.project",
                "model_versions.location",
                "model_versions.model_id",
                "model_versions.version_id",
            ],
            name=op.f("fk_version_labels_project_location_model_id_version_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "project",
            "location",
            "model_id",
            "version_id",
            "key",
            name=op.f("pk_version_labels"),
        ),
    )
    with op.batch_alter_table("version_labels", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_version_labels_project_location_key_value"),
            ["project", "location", "key", "value"],
            unique=False,
        )
