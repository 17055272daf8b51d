"""The tables beside models: servers, buckets, objects, artifacts; see `tables`."""

from typing import Final

import sqlalchemy as sa

from homeport.metadata.columns import UtcTime, metadata

# One row: which data directory has the bytes that the other rows name.
data_directories: Final = sa.Table(
    "data_directories",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
)

# The servers that share the database, unless it is embedded.
servers: Final = sa.Table(
    "servers",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    # Alive until then, by the database's clock.
    sa.Column("lease_until", UtcTime, nullable=False),
)

# What every server on the database signs with, in hex.
shared_secrets: Final = sa.Table(
    "shared_secrets",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
)

buckets: Final = sa.Table(
    "buckets",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("project", sa.String, nullable=False),
    sa.Column("location", sa.String, nullable=False),
    sa.Column("metageneration", sa.BigInteger, nullable=False),
    # The largest generation any object in it ever had.
    sa.Column("last_generation", sa.BigInteger, nullable=False),
    # Everything a client may set on a bucket, in the JSON API's own words.
    sa.Column("properties", sa.JSON, nullable=False),
    sa.Column("create_time", UtcTime, nullable=False),
    sa.Column("update_time", UtcTime, nullable=False),
)

objects: Final = sa.Table(
    "objects",
    metadata,
    sa.Column("bucket", sa.ForeignKey("buckets.name"), primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("metageneration", sa.BigInteger, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False, index=True),
    sa.Column("crc32c", sa.BigInteger, nullable=False),
    sa.Column("md5", sa.String(32), nullable=False),
    # contentType, metadata, cacheControl ... in the JSON API's own words.
    sa.Column("properties", sa.JSON, nullable=False),
    sa.Column("create_time", UtcTime, nullable=False),
    sa.Column("update_time", UtcTime, nullable=False),
)

upload_sessions: Final = sa.Table(
    "upload_sessions",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("bucket", sa.ForeignKey("buckets.name"), nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("properties", sa.JSON, nullable=False),
    # What must hold of the object it replaces and of the bytes that arrive, each by
    # the name of the field in `resources.bucket`.
    sa.Column("conditions", sa.JSON, nullable=False),
    sa.Column("checksums", sa.JSON, nullable=False),
    # Of the object it became, 0 while unfinished.
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("create_time", UtcTime, nullable=False),
    # The server that has its bytes until it is finished, "" for any.
    sa.Column("owner", sa.String, nullable=False, server_default=""),
)

artifacts: Final = sa.Table(
    "artifacts",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("create_time", UtcTime, nullable=False),
)

artifact_files: Final = sa.Table(
    "artifact_files",
    metadata,
    sa.Column("artifact_digest", sa.ForeignKey("artifacts.digest"), primary_key=True),
    sa.Column("path", sa.String, primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False, index=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
)

# How the bytes of a file are kept, by its sha256, once somebody has looked into it.
skeletons: Final = sa.Table(
    "skeletons",
    metadata,
    sa.Column("sha256", sa.String(64), primary_key=True),
    # The blob that says how its pieces are put together, NULL for a file that is best
    # kept whole.
    sa.Column("skeleton", sa.String(64), index=True),
    # Of one that is kept as pieces: it was sent again, and may be there whole as well.
    sa.Column("rewritten", sa.Boolean, nullable=False),
)

skeleton_pieces: Final = sa.Table(
    "skeleton_pieces",
    metadata,
    sa.Column("whole", sa.ForeignKey("skeletons.sha256"), primary_key=True),
    sa.Column("piece", sa.String(64), primary_key=True, index=True),
)
