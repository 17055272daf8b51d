"""What the Python client answers with: values, parsed from the server's JSON once."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

from homeport.client import tables
from homeport.client.tables import Row

_NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclasses.dataclass(frozen=True, slots=True)
class ModelVersion(Row):
    """One version of a model.

    Attributes:
        resource_name: Full name of the model, without version.
        version_id: A whole number as text.
        display_name: For people; of the model.
        description: Of the model.
        version_description: Of this version.
        aliases: Of this version, "default" among them.
        labels: Of model and version.
        artifact_uri: Where it was registered from; "" for an image alone.
        image_uri: The container image, "" for none.
        create_time: When the version was registered.
        update_time: When the version changed last.
        warnings: What had no effect or failed its check, one sentence each; told once,
            by `upload_model`.
    """

    resource_name: str
    version_id: str
    display_name: str
    description: str
    version_description: str
    aliases: tuple[str, ...]
    labels: Mapping[str, str]
    artifact_uri: str
    image_uri: str
    create_time: dt.datetime
    update_time: dt.datetime
    warnings: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The model's id, the last segment of its name."""
        return self.resource_name.rpartition("/")[2]

    @property
    def versioned_name(self) -> str:
        """The full name of this version, which never means another one."""
        return f"{self.resource_name}@{self.version_id}"

    def cells(self) -> Mapping[str, object]:
        """Return what a table shows."""
        return {
            "model": self.display_name,
            "id": self.id,
            "version": self.version_id,
            "aliases": self.aliases,
            "labels": self.labels,
            "description": self.version_description or self.description,
            "created": self.create_time,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class DeployedModel(Row):
    """A version at an endpoint.

    Attributes:
        id: Of the deployment.
        model: Full name, without version.
        version_id: Which version serves; it never changes.
        display_name: Of the deployment.
        traffic_percent: Its share, 0 to 100.
        min_replica_count: So many replicas run always.
        max_replica_count: So many run under load.
    """

    id: str
    model: str
    version_id: str
    display_name: str
    traffic_percent: int
    min_replica_count: int
    max_replica_count: int

    def cells(self) -> Mapping[str, object]:
        """Return what a table shows."""
        return {
            "deployed model": self.id,
            "model": self.model.rpartition("/")[2],
            "version": self.version_id,
            "traffic %": self.traffic_percent,
            "replicas": f"{self.min_replica_count} to {self.max_replica_count}",
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint(Row):
    """An endpoint and what is deployed to it.

    Attributes:
        resource_name: Full name.
        display_name: For people.
        description: Of it.
        labels: Of it.
        deployed: What is deployed, in the order of the deployments.
        create_time: When it was made.
    """

    resource_name: str
    display_name: str
    description: str
    labels: Mapping[str, str]
    deployed: tuple[DeployedModel, ...]
    create_time: dt.datetime

    @property
    def id(self) -> str:
        """The last segment of its name."""
        return self.resource_name.rpartition("/")[2]

    def cells(self) -> Mapping[str, object]:
        """Return what a table shows."""
        return {
            "endpoint": self.display_name,
            "id": self.id,
            "deployed": tuple(
                f"v{one.version_id}: {one.traffic_percent} %" for one in self.deployed
            ),
            "labels": self.labels,
            "created": self.create_time,
        }

    def _repr_html_(self) -> str:
        return tables.table([self]) + tables.table(self.deployed)


@dataclasses.dataclass(frozen=True, slots=True)
class TrafficState(Row):
    """The traffic that an endpoint had for a time.

    Attributes:
        state: Its number, by which it is brought back.
        time: Since when.
        caller: Who asked for it, by their own account.
        split: Percents by the ids of deployed models.
        models: Full names with `@ID` by the same ids.
    """

    state: int
    time: dt.datetime
    caller: str
    split: Mapping[str, int]
    models: Mapping[str, str]

    def cells(self) -> Mapping[str, object]:
        """Return what a table shows."""
        return {
            "state": self.state,
            "since": self.time,
            "by": self.caller,
            "traffic": {
                self.models.get(id_, id_).rpartition("/")[2]: percent
                for id_, percent in self.split.items()
            },
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Difference(Row):
    """One thing in which two versions differ.

    Attributes:
        about: Of what kind: facts, labels, files, packages, metrics ...
        key: Which one.
        first: What stands there in the first version, None for nothing.
        second: The same of the second.
    """

    about: str
    key: str
    first: object
    second: object

    def cells(self) -> Mapping[str, object]:
        """Return what a table shows."""
        return {
            "about": self.about,
            "key": self.key,
            "first": "" if self.first is None else self.first,
            "second": "" if self.second is None else self.second,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Lineage(Row):
    """Where a version comes from.

    Attributes:
        model: Full name with `@ID`.
        uploaded_by: Who registered it, by their own account.
        upload_time: When.
        lineage: Texts by key: run, dataset, code, parent ...
        artifact_uri: Where its bytes were.
        digest: Of the artifact, "" without one.
        size_bytes: Of all files together.
        check_state: What came of the check at registration.
    """

    model: str
    uploaded_by: str
    upload_time: dt.datetime
    lineage: Mapping[str, str]
    artifact_uri: str
    digest: str
    size_bytes: int
    check_state: str

    def cells(self) -> Mapping[str, object]:
        """Return what a table shows."""
        return {
            "model": self.model.rpartition("/")[2],
            "uploaded by": self.uploaded_by,
            "at": self.upload_time,
            "lineage": self.lineage,
            "artifact": self.artifact_uri,
            "digest": self.digest,
            "check": self.check_state,
        }


def model_version(
    found: Mapping[str, Any], warnings: tuple[str, ...] = ()
) -> ModelVersion:
    """Return the version that a model's JSON tells of."""
    return ModelVersion(
        resource_name=found["name"].partition("@")[0],
        version_id=found["versionId"],
        display_name=found["displayName"],
        description=found.get("description", ""),
        version_description=found.get("versionDescription", ""),
        aliases=tuple(found.get("versionAliases", ())),
        labels=found.get("labels", {}),
        artifact_uri=found.get("artifactUri", ""),
        image_uri=found.get("containerSpec", {}).get("imageUri", ""),
        create_time=when(found.get("versionCreateTime")),
        update_time=when(found.get("versionUpdateTime")),
        warnings=warnings,
    )


def endpoint(found: Mapping[str, Any]) -> Endpoint:
    """Return the endpoint that JSON tells of."""
    split = found.get("trafficSplit", {})
    return Endpoint(
        resource_name=found["name"],
        display_name=found.get("displayName", ""),
        description=found.get("description", ""),
        labels=found.get("labels", {}),
        deployed=tuple(
            _deployed(one, split.get(one["id"], 0))
            for one in found.get("deployedModels", ())
        ),
        create_time=when(found.get("createTime")),
    )


def traffic_state(found: Mapping[str, Any]) -> TrafficState:
    """Return the traffic state that JSON tells of."""
    return TrafficState(
        state=int(found["state"]),
        time=when(found["time"]),
        caller=found["caller"],
        split=found["trafficSplit"],
        models=found["models"],
    )


def differences(found: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return what a comparison's JSON tells of, kind after kind."""
    return tuple(
        Difference(about, one["key"], one.get("first"), one.get("second"))
        for about, compared in found.items()
        if isinstance(compared, Mapping)
        for one in compared.get("differences", ())
    )


def lineage(found: Mapping[str, Any]) -> Lineage:
    """Return what a lineage's JSON tells."""
    source = found.get("source", {})
    return Lineage(
        model=found["model"],
        uploaded_by=found.get("uploadedBy", ""),
        upload_time=when(found.get("uploadTime")),
        lineage=found.get("lineage", {}),
        artifact_uri=source.get("artifactUri", ""),
        digest=source.get("digest", ""),
        size_bytes=int(source.get("sizeBytes", 0)),
        check_state=found.get("check", {}).get("state", ""),
    )


def when(text: str | None) -> dt.datetime:
    """Return the moment that RFC 3339 tells, in UTC; without a text the earliest."""
    return dt.datetime.fromisoformat(text) if text else _NEVER


def _deployed(found: Mapping[str, Any], percent: int) -> DeployedModel:
    resources = found.get("dedicatedResources") or found.get("automaticResources", {})
    least = int(resources.get("minReplicaCount", 1))
    return DeployedModel(
        id=found["id"],
        model=found["model"].partition("@")[0],
        version_id=found["modelVersionId"],
        display_name=found.get("displayName", ""),
        traffic_percent=percent,
        min_replica_count=least,
        max_replica_count=int(resources.get("maxReplicaCount", least)),
    )
