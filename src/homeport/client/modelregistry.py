"""`homeport.ModelRegistry`: models and their versions for Python programs."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self, final

from homeport.client import (
    exporting,
    history,
    progress,
    resources,
    results,
    staging,
)
from homeport.client.batchpredictions import BatchPredictions
from homeport.client.connection import Connection
from homeport.client.endpoints import Endpoints
from homeport.client.history import Change
from homeport.client.results import Difference, Endpoint, Lineage, ModelVersion
from homeport.client.session import connect
from homeport.client.tables import Listing
from homeport.client.uploading import OnProgress
from homeport.errors import NotFoundError

# Checks take their turns, and build environments.
_REGISTER_TIMEOUT_S: Final = 3600.0

Wanted = str | ModelVersion


@final
class ModelRegistry:
    """Models and their versions on one server.

    A model is named by a `ModelVersion`, or by its full name, id or display name as
    text, with `@2` or `@alias` behind it for a version. Every method raises
    `homeport.errors.HomeportError`: the class says what kind of failure it is, the
    sentence is the server's.

    Args:
        url: Of the server; HOMEPORT_URL, or http://127.0.0.1:8080.
        project: HOMEPORT_PROJECT, or "homeport".
        location: HOMEPORT_REGION, or "us-central1".
        timeout_s: How long nothing may arrive of an answer.
        connection: In place of all these.

    Raises:
        InvalidArgumentError: The address has no URL of a server.
    """

    def __init__(
        self,
        url: str = "",
        *,
        project: str = "",
        location: str = "",
        timeout_s: float = 300.0,
        connection: Connection | None = None,
    ) -> None:
        self._connection = connection or connect(url, project, location, timeout_s)
        self.endpoints = Endpoints(self._connection)
        self.batch_predictions = BatchPredictions(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        address = self._connection.address
        return f"<ModelRegistry {address.parent} at {address.url}>"

    def close(self) -> None:
        """Close the connections to the server."""
        self._connection.close()

    def upload_model(  # noqa: PLR0913  # what Vertex AI's own takes, by the same names
        self,
        display_name: str,
        artifact_uri: str | os.PathLike[str] = "",
        *,
        description: str = "",
        labels: Mapping[str, str] | None = None,
        version_aliases: Sequence[str] = (),
        is_default_version: bool = True,
        parent_model: Wanted = "",
        serving_container_image_uri: str = "",
        serving_container_environment_variables: Mapping[str, str] | None = None,
        container_spec: Mapping[str, Any] | None = None,
        lineage: Mapping[str, str] | None = None,
        on_progress: OnProgress | None = None,
    ) -> ModelVersion:
        """Register a version and wait until it is there, checked if the server does.

        Args:
            display_name: A model of this name gets a new version; without one it is
                made.
            artifact_uri: `gs://...` of a file or folder, another address that the
                server may read, or a local file or folder. That is uploaded first, with
                a bar on a terminal; called again after it broke off, it goes on. "" for
                an image that needs none.
            description: Of the version, and of the model.
            labels: Of the version.
            version_aliases: Which it carries from now on.
            is_default_version: Whether the model's plain name means this version now.
            parent_model: The model that gets the version, whatever its display name.
            serving_container_image_uri: "" for Homeport's own worker.
            serving_container_environment_variables: What the handler reads.
            container_spec: Further fields of the container, as Vertex AI's REST names
                them: `{"predictRoute": "/predict", "healthRoute": "/health"}`.
            lineage: Texts by key: run, dataset, code, parent ...
            on_progress: Called with how many bytes of how many are sent, in place of
                the bar.
        """
        version: dict[str, Any] = {
            "displayName": display_name,
            "description": description,
            "versionDescription": description,
            "artifactUri": self._uploaded(artifact_uri, on_progress),
            "labels": dict(labels or {}),
            "versionAliases": [
                *version_aliases,
                *(["default"] if is_default_version else []),
            ],
            "containerSpec": {
                **(container_spec or {}),
                "imageUri": serving_container_image_uri,
                "env": [
                    {"name": name, "value": value}
                    for name, value in (
                        serving_container_environment_variables or {}
                    ).items()
                ],
            },
        }
        if lineage:
            version["metadata"] = {"homeportLineage": dict(lineage)}
        return self._registered(version, parent_model)

    def list_models(
        self,
        filter: str = "",  # noqa: A002  # Vertex AI's name for it
        *,
        order_by: str = "",
    ) -> Listing[ModelVersion]:
        """Return the models, each as its default version.

        Args:
            filter: AIP-160, such as `display_name="digits" AND labels.team=a`.
            order_by: Such as `display_name` or `update_time desc`.
        """
        path = f"{self._connection.address.parent}/models"
        asked = resources.Listing(filter, order_by)
        found = resources.listed(self._connection, path, asked)
        return Listing(tuple(map(results.model_version, found)))

    def list_versions(
        self,
        model: Wanted,
        filter: str = "",  # noqa: A002  # Vertex AI's name for it
    ) -> Listing[ModelVersion]:
        """Return the versions of a model, oldest first."""
        name = self._model_name(model)
        path = f"{resources.quoted(name)}:listVersions"
        found = resources.listed(self._connection, path, resources.Listing(filter))
        return Listing(tuple(map(results.model_version, found)))

    def get_model(self, model: Wanted) -> ModelVersion:
        """Return the version that is named, the default one where none is.

        Raises:
            NotFoundError: There is none.
            InvalidArgumentError: Several models have this display name.
        """
        if isinstance(model, ModelVersion):
            model = model.versioned_name
        return results.model_version(resources.found_version(self._connection, model))

    def get_latest(self, model: Wanted) -> ModelVersion:
        """Return the version of a model with the highest id."""
        versions = self.list_versions(model)
        return max(versions, key=lambda one: int(one.version_id))

    def set_alias(self, version: Wanted, alias: str) -> ModelVersion:
        """Give a version an alias, which any other version of the model loses."""
        return self._merged(self._version_name(version), alias)

    def remove_alias(self, model: Wanted, alias: str) -> ModelVersion:
        """Take an alias away from whichever version of a model carries it.

        Raises:
            NotFoundError: None carries it.
        """
        name = self._model_name(model)
        for one in self.list_versions(name):
            if alias in one.aliases:
                return self._merged(one.versioned_name, f"-{alias}")
        raise NotFoundError(f"no version of {name} has the alias {alias!r}")

    def update_model(
        self,
        model: Wanted,
        *,
        display_name: str | None = None,
        description: str | None = None,
        version_description: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> ModelVersion:
        """Change what is given, and nothing else; return it as it is then.

        Args:
            model: The model; a `ModelVersion`, or text with `@2` or `@alias`, for the
                labels and `version_description` of that version.
            display_name: Of the model.
            description: Of the model.
            version_description: Of the version; not together with those of the model.
            labels: All of them, in place of those there are.
        """
        if not isinstance(model, ModelVersion):
            name = resources.find_version(self._connection, model)
        elif version_description is None and labels is None:
            name = model.resource_name
        else:
            name = model.versioned_name
        changed = {
            "displayName": display_name,
            "description": description,
            "versionDescription": version_description,
            "labels": labels,
        }
        found = resources.changed(self._connection, name, changed)
        return results.model_version(found)

    def delete_model(self, model: Wanted) -> None:
        """Delete a model with all its versions; none of them may be deployed."""
        name = self._model_name(model)
        operation = self._connection.delete(f"/v1/{resources.quoted(name)}")
        self._connection.wait(operation)

    def delete_version(self, version: Wanted) -> None:
        """Delete one version, which is not the default one and not deployed."""
        name = self._version_name(version)
        path = f"/v1/{resources.quoted(name)}:deleteVersion"
        self._connection.wait(self._connection.delete(path))

    def compare(self, first: Wanted, second: Wanted) -> Listing[Difference]:
        """Return in what two versions differ: words, files, packages, metrics ..."""
        name = self._version_name(first)
        path = f"/homeport/v1/{resources.quoted(name)}/comparison"
        found = self._connection.get(path, **{"with": self._version_name(second)})
        return Listing(results.differences(found))

    def lineage(self, version: Wanted) -> Lineage:
        """Return where a version comes from."""
        name = self._version_name(version)
        found = self._connection.get(f"/homeport/v1/{resources.quoted(name)}/lineage")
        return results.lineage(found)

    def history(
        self,
        model: Wanted | Endpoint,
        filter: str = "",  # noqa: A002  # Vertex AI's name for it
    ) -> Listing[Change]:
        """Return the changes of a model or endpoint, newest first."""
        if isinstance(model, Endpoint):
            name = model.resource_name
        else:
            name = self._model_name(model)
        found = history.changes(self._connection, resources.quoted(name), filter)
        return Listing(tuple(found))

    def export(
        self, version: Wanted, destination: str | os.PathLike[str]
    ) -> str | pathlib.Path:
        """Copy the bytes of a version, as they were uploaded, into a new folder.

        Args:
            version: Which.
            destination: `gs://bucket/prefix`, or a local folder.

        Returns:
            Where the files are: `gs://...`, or the local folder.
        """
        name = self._version_name(version)
        return exporting.export(self._connection, name, destination)

    def deploy(
        self,
        version: Wanted,
        endpoint: str | Endpoint = "",
        *,
        traffic_percent: int = 100,
        min_replica_count: int = 1,
        max_replica_count: int = 0,
        machine_spec: Mapping[str, Any] | None = None,
    ) -> Endpoint:
        """Deploy a version and wait until it answers; see `Endpoints.deploy`.

        Args:
            version: Which.
            endpoint: Where to; made if no endpoint has this name. "" for the one with
                the model's display name.
            traffic_percent: For the new one; the others keep their proportions.
            min_replica_count: So many replicas run always.
            max_replica_count: So many run under load; 0 for the minimum.
            machine_spec: What each replica asks of the machine.
        """
        found = self.get_model(version)
        return self.endpoints.deploy(
            endpoint or found.display_name,
            found,
            traffic_percent=traffic_percent,
            min_replica_count=min_replica_count,
            max_replica_count=max_replica_count,
            machine_spec=machine_spec,
        )

    def _model_name(self, model: Wanted) -> str:
        if isinstance(model, ModelVersion):
            return model.resource_name
        return self.get_model(model).resource_name

    def _version_name(self, version: Wanted) -> str:
        if isinstance(version, ModelVersion):
            return version.versioned_name
        return self.get_model(version).versioned_name

    def _uploaded(
        self, artifact: str | os.PathLike[str], on_progress: OnProgress | None
    ) -> str:
        if not artifact or (isinstance(artifact, str) and "://" in artifact):
            return str(artifact)
        path = pathlib.Path(artifact)
        if on_progress is not None:
            return staging.stage(self._connection, path, on_progress)
        with progress.bar("uploading") as shown:
            return staging.stage(self._connection, path, shown)

    def _registered(self, version: dict[str, Any], parent: Wanted) -> ModelVersion:
        path = f"/v1/{self._connection.address.parent}/models:upload"
        request: dict[str, Any] = {"model": version}
        if parent:
            request["parentModel"] = self._model_name(parent)
        else:
            path += "?upsert=true"
        operation = self._connection.post(path, request)
        ended = self._connection.ended(operation, _REGISTER_TIMEOUT_S)
        generic = ended["metadata"]["genericMetadata"]
        made = ended["response"]
        name = f"{made['model'].partition('@')[0]}@{made['modelVersionId']}"
        return results.model_version(
            resources.get(self._connection, name),
            tuple(one["message"] for one in generic.get("partialFailures", ())),
        )

    def _merged(self, version: str, alias: str) -> ModelVersion:
        path = f"/v1/{resources.quoted(version)}:mergeVersionAliases"
        found = self._connection.post(path, {"versionAliases": [alias]})
        return results.model_version(found)
