"""Vertex AI's registry, by Google's own client over REST."""

import dataclasses
from typing import Any, Final

from google.api_core.operation import Operation
from google.auth.credentials import Credentials
from google.cloud import aiplatform_v1

from homeport.errors import NotFoundError
from homeport.pipelines import waiting
from homeport.pipelines.googleerrors import translated
from homeport.pipelines.place import Place
from homeport.pipelines.registry import Parent, Version
from homeport.pipelines.uploadspec import Serving, UploadSpec
from homeport.pipelines.waiting import Canceller

_TIMEOUT_S: Final = 120.0
_DELETION_S: Final = 20.0
_UPLOADING: Final = "registering the model"
_DELETING: Final = "removing the version"


@dataclasses.dataclass(frozen=True, slots=True)
class VertexUpload:
    """A version that Vertex AI is registering."""

    operation: Operation
    canceller: Canceller

    def version(self, timeout_s: float) -> Version:
        """Wait for the version.

        Raises:
            EndedError: Vertex AI has ended it without one.
            DeadlineExceededError: It takes longer.
            HomeportError: Vertex AI cannot be asked.
        """
        answer = waiting.result(self.operation, _UPLOADING, timeout_s)
        return Version(str(answer.model), str(answer.model_version_id))

    def cancel(self) -> None:
        """Ask Vertex AI to end it, which may be too late.

        Raises:
            HomeportError: Vertex AI cannot be asked.
        """
        self.canceller.cancel(self.operation, _UPLOADING)


class VertexRegistry:
    """Models of one project and location."""

    def __init__(self, place: Place, credentials: Credentials) -> None:
        self._place = place
        self._canceller = Canceller(place, credentials)
        self._client: Any = aiplatform_v1.ModelServiceClient(
            credentials=credentials,
            transport="rest",
            client_options={"api_endpoint": place.url},
        )

    def parent(self, wanted: str) -> Parent:
        """Return the model of a full name or id.

        Raises:
            NotFoundError: There is none.
            InvalidArgumentError: It is neither a name nor an id.
            HomeportError: As Vertex AI says.
        """
        name = self._place.resource("parent_model", "models", wanted)
        try:
            with translated("looking for the parent_model"):
                found = self._client.get_model(name=name, timeout=_TIMEOUT_S)
        except NotFoundError as error:
            raise NotFoundError(
                f"parent_model {wanted!r:.200} does not exist: give a model of "
                f"{self._place.parent}, or leave it out for a new one"
            ) from error
        return Parent(name, str(found.version_id))

    def begin(
        self, spec: UploadSpec, folder: str, parent: Parent | None
    ) -> VertexUpload:
        """Ask for a version of the archive in a folder.

        Raises:
            HomeportError: As Vertex AI says.
        """
        request = aiplatform_v1.UploadModelRequest(
            parent=self._place.parent,
            parent_model=parent.name if parent else "",
            model=_model(spec, folder),
        )
        with translated(_UPLOADING):
            operation = self._client.upload_model(request, timeout=_TIMEOUT_S)
        return VertexUpload(operation, self._canceller)

    def delete(self, version: Version, parent: Parent | None) -> None:
        """Undo an upload: the version goes, and the model with its only one.

        Raises:
            HomeportError: As Vertex AI says.
        """
        with translated(_DELETING):
            if parent is None:
                operation = self._client.delete_model(
                    name=version.model, timeout=_TIMEOUT_S
                )
            else:
                self._give_back_default(version, parent)
                operation = self._client.delete_model_version(
                    name=version.name, timeout=_TIMEOUT_S
                )
        waiting.result(operation, _DELETING, _DELETION_S)

    def _give_back_default(self, version: Version, parent: Parent) -> None:
        """Move "default" back to who had it: its version cannot be deleted."""
        made = self._client.get_model(name=version.name, timeout=_TIMEOUT_S)
        if "default" in made.version_aliases:
            self._client.merge_version_aliases(
                name=f"{parent.name}@{parent.default_version}",
                version_aliases=["default"],
                timeout=_TIMEOUT_S,
            )


def _model(spec: UploadSpec, folder: str) -> aiplatform_v1.Model:
    entry = spec.entry
    return aiplatform_v1.Model(
        display_name=entry.display_name,
        description=entry.description,
        version_description=entry.version_description,
        version_aliases=["default"] if entry.is_default else [],
        artifact_uri=folder,
        container_spec=_container(spec.serving),
    )


def _container(serving: Serving) -> aiplatform_v1.ModelContainerSpec:
    spec = aiplatform_v1.ModelContainerSpec(
        image_uri=serving.image, args=serving.args, command=serving.command
    )
    if serving.custom:
        spec.health_route = serving.health_route
        spec.predict_route = serving.predict_route
        spec.ports = [aiplatform_v1.Port(container_port=port) for port in serving.ports]
        spec.env = [
            aiplatform_v1.EnvVar(name=name, value=value)
            for name, value in serving.variables.items()
        ]
    return spec
