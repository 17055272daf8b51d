"""The tables as they are after the newest migration.

A change here needs a migration beside it (`migrations/versions`); a test compares the
two. Times are whole microseconds since 1970, UTC, so that they sort and compare alike
on every database.
"""

from typing import Final

import sqlalchemy as sa

from homeport.metadata.columns import UtcTime
from homeport.metadata.columns import metadata as metadata
from homeport.metadata.job_tables import batch_jobs as batch_jobs
from homeport.metadata.store_tables import artifact_files as artifact_files
from homeport.metadata.store_tables import artifacts as artifacts
from homeport.metadata.store_tables import buckets as buckets
from homeport.metadata.store_tables import data_directories as data_directories
from homeport.metadata.store_tables import objects as objects
from homeport.metadata.store_tables import servers as servers
from homeport.metadata.store_tables import shared_secrets as shared_secrets
from homeport.metadata.store_tables import skeleton_pieces as skeleton_pieces
from homeport.metadata.store_tables import skeletons as skeletons
from homeport.metadata.store_tables import upload_sessions as upload_sessions

models: Final = sa.Table(
    "models",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("location", sa.String, primary_key=True),
    sa.Column("model_id", sa.String, primary_key=True),
    sa.Column("display_name", sa.String, nullable=False),
    sa.Column("description", sa.String, nullable=False),
    # Version ids are never used twice, also after a delete.
    sa.Column("next_version", sa.BigInteger, nullable=False),
    sa.Column("etag", sa.String, nullable=False),
    sa.Column("create_time", UtcTime, nullable=False),
    sa.Column("update_time", UtcTime, nullable=False),
    # What a list shows of it, derived by `shown_rows`: the version that carries
    # "default", 0 before there is one, its aliases and the labels, each a `gathering`.
    sa.Column("default_version", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("shown_aliases", sa.Text, nullable=False, server_default="[]"),
    sa.Column("shown_labels", sa.Text, nullable=False, server_default="[]"),
    # Each ends in what makes a place in a list unique.
    sa.Index(None, "project", "location", "display_name", "model_id"),
    sa.Index(None, "project", "location", "create_time", "model_id"),
    sa.Index(None, "project", "location", "update_time", "model_id"),
)

_MODEL_KEY: Final = ("project", "location", "model_id")
_MODEL_REFERENCE: Final = ("models.project", "models.location", "models.model_id")

model_labels: Final = sa.Table(
    "model_labels",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("location", sa.String, primary_key=True),
    sa.Column("model_id", sa.String, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
    sa.ForeignKeyConstraint(_MODEL_KEY, _MODEL_REFERENCE, ondelete="CASCADE"),
    sa.Index(None, "project", "location", "key", "value"),
)

model_versions: Final = sa.Table(
    "model_versions",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("location", sa.String, primary_key=True),
    sa.Column("model_id", sa.String, primary_key=True),
    sa.Column("version_id", sa.BigInteger, primary_key=True),
    sa.Column("description", sa.String, nullable=False),
    sa.Column("artifact_uri", sa.String, nullable=False),
    sa.Column("artifact_digest", sa.ForeignKey("artifacts.digest"), index=True),
    sa.Column("container", sa.JSON),
    # Known fields without effect here, in wire JSON, returned as they came.
    sa.Column("kept", sa.JSON, nullable=False),
    sa.Column("create_time", UtcTime, nullable=False),
    sa.Column("update_time", UtcTime, nullable=False),
    # `resources.torchserve`, the words that were said.
    sa.Column("torchserve", sa.JSON, nullable=False, server_default="{}"),
    # Requirements text; "" for the server's own environment.
    sa.Column("lock", sa.Text, nullable=False, server_default=""),
    # The full name of the version it is a copy of, "" for none.
    sa.Column("copied_from", sa.String, nullable=False, server_default=""),
    # Model.predict_schemata in wire JSON, NULL for none.
    sa.Column("schemata", sa.JSON(none_as_null=True)),
    # `archive.framework`, "" where that cannot be told, or was not yet.
    sa.Column("framework", sa.String, nullable=False, server_default=""),
    sa.ForeignKeyConstraint(_MODEL_KEY, _MODEL_REFERENCE, ondelete="CASCADE"),
)

_VERSION_KEY: Final = (*_MODEL_KEY, "version_id")
_VERSION_REFERENCE: Final = (
    "model_versions.project",
    "model_versions.location",
    "model_versions.model_id",
    "model_versions.version_id",
)

version_labels: Final = sa.Table(
    "version_labels",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("location", sa.String, primary_key=True),
    sa.Column("model_id", sa.String, primary_key=True),
    sa.Column("version_id", sa.BigInteger, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
    sa.ForeignKeyConstraint(_VERSION_KEY, _VERSION_REFERENCE, ondelete="CASCADE"),
    sa.Index(None, "project", "location", "key", "value"),
)

# The labels of each model as a list shows it, those of its default version over its
# own: `shown_rows` derives them, so that one index finds them in order.
shown_labels: Final = sa.Table(
    "shown_labels",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("location", sa.String, primary_key=True),
    sa.Column("model_id", sa.String, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
    sa.ForeignKeyConstraint(_MODEL_KEY, _MODEL_REFERENCE, ondelete="CASCADE"),
    sa.Index(None, "project", "location", "key", "value", "model_id"),
    sa.Index(None, "project", "location", "key", "model_id"),
)

version_aliases: Final = sa.Table(
    "version_aliases",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("location", sa.String, primary_key=True),
    sa.Column("model_id", sa.String, primary_key=True),
    # One version carries an alias at a time: the key says so.
    sa.Column("alias", sa.String, primary_key=True),
    sa.Column("version_id", sa.BigInteger, nullable=False),
    # Among the version's aliases; those of one place are in the order of their names.
    sa.Column("place", sa.BigInteger, nullable=False, server_default="0"),
    sa.ForeignKeyConstraint(_VERSION_KEY, _VERSION_REFERENCE, ondelete="CASCADE"),
    sa.Index(None, "project", "location", "alias", "model_id"),
)

version_checks: Final = sa.Table(
    "version_checks",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("location", sa.String, primary_key=True),
    sa.Column("model_id", sa.String, primary_key=True),
    sa.Column("version_id", sa.BigInteger, primary_key=True),
    sa.Column("state", sa.String, nullable=False),
    # One sentence for people.
    sa.Column("detail", sa.String, nullable=False),
    # A `checking.report` as its JSON text, "" for a version that was not checked.
    sa.Column("report", sa.Text, nullable=False),
    sa.Column("create_time", UtcTime, nullable=False),
    sa.ForeignKeyConstraint(_VERSION_KEY, _VERSION_REFERENCE, ondelete="CASCADE"),
)

version_lineage: Final = sa.Table(
    "version_lineage",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("location", sa.String, primary_key=True),
    sa.Column("model_id", sa.String, primary_key=True),
    sa.Column("version_id", sa.BigInteger, primary_key=True),
    # `resources.lineage`.
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
    sa.ForeignKeyConstraint(_VERSION_KEY, _VERSION_REFERENCE, ondelete="CASCADE"),
    sa.Index(
        "ix_version_lineage_value",
        "project",
        "location",
        "key",
        "value",
        "model_id",
        "version_id",
    ),
)

version_readmes: Final = sa.Table(
    "version_readmes",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("location", sa.String, primary_key=True),
    sa.Column("model_id", sa.String, primary_key=True),
    sa.Column("version_id", sa.BigInteger, primary_key=True),
    # Markdown, as its author wrote it.
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("update_time", UtcTime, nullable=False),
    sa.ForeignKeyConstraint(_VERSION_KEY, _VERSION_REFERENCE, ondelete="CASCADE"),
)

evaluations: Final = sa.Table(
    "evaluations",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("location", sa.String, primary_key=True),
    sa.Column("model_id", sa.String, primary_key=True),
    sa.Column("evaluation_id", sa.String, primary_key=True),
    sa.Column("version_id", sa.BigInteger, nullable=False),
    sa.Column("display_name", sa.String, nullable=False),
    sa.Column("metrics_schema_uri", sa.String, nullable=False),
    # What else was imported, in wire JSON.
    sa.Column("content", sa.JSON, nullable=False),
    sa.Column("create_time", UtcTime, nullable=False),
    sa.ForeignKeyConstraint(_VERSION_KEY, _VERSION_REFERENCE, ondelete="CASCADE"),
    sa.Index(None, *_VERSION_KEY),
)

_EVALUATION_KEY: Final = (*_MODEL_KEY, "evaluation_id")

evaluation_slices: Final = sa.Table(
    "evaluation_slices",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("location", sa.String, primary_key=True),
    sa.Column("model_id", sa.String, primary_key=True),
    sa.Column("evaluation_id", sa.String, primary_key=True),
    sa.Column("slice_id", sa.String, primary_key=True),
    sa.Column("metrics_schema_uri", sa.String, nullable=False),
    # What else was imported, in wire JSON.
    sa.Column("content", sa.JSON, nullable=False),
    sa.Column("create_time", UtcTime, nullable=False),
    sa.ForeignKeyConstraint(
        _EVALUATION_KEY,
        tuple(f"evaluations.{column}" for column in _EVALUATION_KEY),
        ondelete="CASCADE",
    ),
)

endpoints: Final = sa.Table(
    "endpoints",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("location", sa.String, primary_key=True),
    sa.Column("endpoint_id", sa.String, primary_key=True),
    sa.Column("display_name", sa.String, nullable=False),
    sa.Column("description", sa.String, nullable=False),
    sa.Column("traffic_split", sa.JSON, nullable=False),
    sa.Column("kept", sa.JSON, nullable=False),
    sa.Column("etag", sa.String, nullable=False),
    sa.Column("create_time", UtcTime, nullable=False),
    sa.Column("update_time", UtcTime, nullable=False),
    sa.Index(None, "project", "location", "display_name"),
)

_ENDPOINT_KEY: Final = ("project", "location", "endpoint_id")
_ENDPOINT_REFERENCE: Final = (
    "endpoints.project",
    "endpoints.location",
    "endpoints.endpoint_id",
)

endpoint_labels: Final = sa.Table(
    "endpoint_labels",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("location", sa.String, primary_key=True),
    sa.Column("endpoint_id", sa.String, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
    sa.ForeignKeyConstraint(_ENDPOINT_KEY, _ENDPOINT_REFERENCE, ondelete="CASCADE"),
    sa.Index(None, "project", "location", "key", "value"),
)

deployed_models: Final = sa.Table(
    "deployed_models",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("project", sa.String, nullable=False),
    sa.Column("location", sa.String, nullable=False),
    sa.Column("endpoint_id", sa.String, nullable=False),
    sa.Column("model_project", sa.String, nullable=False),
    sa.Column("model_location", sa.String, nullable=False),
    sa.Column("model_id", sa.String, nullable=False),
    sa.Column("version_id", sa.BigInteger, nullable=False),
    sa.Column("display_name", sa.String, nullable=False),
    sa.Column("resources", sa.JSON, nullable=False),
    sa.Column("kept", sa.JSON, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    # While deploying: the split to apply when it answers, with "0" for itself.
    sa.Column("wanted_split", sa.JSON, nullable=False),
    # While deploying: the operation to end, by full name.
    sa.Column("operation", sa.String, nullable=False),
    sa.Column("create_time", UtcTime, nullable=False),
    # While deploying: the endpoint's split when that was asked for; NULL if unknown.
    sa.Column("found_split", sa.JSON(none_as_null=True)),
    sa.ForeignKeyConstraint(_ENDPOINT_KEY, _ENDPOINT_REFERENCE),
    # A version that is deployed cannot be deleted.
    sa.ForeignKeyConstraint(
        ("model_project", "model_location", "model_id", "version_id"),
        _VERSION_REFERENCE,
    ),
    sa.Index(None, *_ENDPOINT_KEY),
    sa.Index(
        "ix_deployed_models_version",
        "model_project",
        "model_location",
        "model_id",
        "version_id",
    ),
)

operations: Final = sa.Table(
    "operations",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("location", sa.String, primary_key=True),
    sa.Column("operation_id", sa.String, primary_key=True),
    # "models/{id}", "endpoints/{id}" or "".
    sa.Column("resource", sa.String, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
    sa.Column("error_code", sa.Integer, nullable=False),
    sa.Column("error_message", sa.String, nullable=False),
    sa.Column("response", sa.JSON, nullable=False),
    sa.Column("create_time", UtcTime, nullable=False),
    sa.Column("update_time", UtcTime, nullable=False),
    # The server that carries it out, "" for one of before there were several.
    sa.Column("owner", sa.String, nullable=False, server_default=""),
    sa.Index(None, "project", "location", "resource"),
)

# The history: rows are added and never changed. Nothing refers to what a row is about,
# which may be gone.
traffic_states: Final = sa.Table(
    "traffic_states",
    metadata,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("location", sa.String, primary_key=True),
    sa.Column("endpoint_id", sa.String, primary_key=True),
    # From 1 for each endpoint.
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("time", UtcTime, nullable=False),
    sa.Column("caller", sa.String, nullable=False),
    sa.Column("split", sa.JSON, nullable=False),
    # What was deployed under each id with traffic: `metadata.traffic_rows`.
    sa.Column("models", sa.JSON, nullable=False),
    sa.ForeignKeyConstraint(_ENDPOINT_KEY, _ENDPOINT_REFERENCE, ondelete="CASCADE"),
)
changes: Final = sa.Table(
    "changes",
    metadata,
    # Without gaps, in the order of the writes: there is one writer at a time.
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("time", UtcTime, nullable=False),
    sa.Column("caller", sa.String, nullable=False),
    sa.Column("project", sa.String, nullable=False),
    sa.Column("location", sa.String, nullable=False),
    # "models/{id}" or "endpoints/{id}".
    sa.Column("resource", sa.String, nullable=False),
    # `resources.change`: what of it, and which one.
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("key", sa.String, nullable=False),
    sa.Column("action", sa.String, nullable=False),
    # In wire JSON, NULL where it was not there.
    sa.Column("before", sa.JSON(none_as_null=True)),
    sa.Column("after", sa.JSON(none_as_null=True)),
    sa.Index(None, "project", "location", "sequence"),
    sa.Index(None, "project", "location", "resource", "sequence"),
    sa.Index(
        "ix_changes_subject",
        "project",
        "location",
        "resource",
        "kind",
        "key",
        "sequence",
    ),
)
