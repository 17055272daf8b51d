"""Resource names: the strings callers know a resource by, parsed once.

`projects/{project}/locations/{location}/models/{model}[@{version or alias}]` and its
siblings. A law of every class here: `C.parse(str(name)) == name`.
"""

import dataclasses
import re
from typing import Final, Self

from homeport.errors import InvalidArgumentError

_SEGMENT: Final = r"[A-Za-z0-9][A-Za-z0-9_.:~-]{0,127}"
_PARENT_RE: Final = re.compile(rf"projects/({_SEGMENT})/locations/({_SEGMENT})")
_MODEL_RE: Final = re.compile(
    rf"projects/({_SEGMENT})/locations/({_SEGMENT})/models/([\w-]+)(?:@([\w-]+))?",
    re.ASCII,
)
_ENDPOINT_RE: Final = re.compile(
    rf"projects/({_SEGMENT})/locations/({_SEGMENT})/endpoints/([\w-]+)", re.ASCII
)
_OPERATION_RE: Final = re.compile(
    rf"projects/({_SEGMENT})/locations/({_SEGMENT})/"
    r"(?:((?:models|endpoints)/[\w-]+)/)?operations/([\w-]+)",
    re.ASCII,
)
# UploadModelRequest.model_id (aiplatform v1 model_service.proto).
_MODEL_ID_RE: Final = re.compile(r"[a-z_][a-z0-9_-]{0,62}")
# CreateEndpointRequest.endpoint_id (aiplatform v1 endpoint_service.proto).
_ENDPOINT_ID_RE: Final = re.compile(
    r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?|0|[1-9][0-9]{0,8}"
)
# Model.version_aliases (aiplatform v1 model.proto): cannot collide with a version id.
_ALIAS_RE: Final = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]")
# DeployedModel.id (aiplatform v1 endpoint.proto).
_DEPLOYED_MODEL_ID_RE: Final = re.compile(r"[1-9][0-9]{0,9}")
# What a bucket may be called (GCS bucket naming page).
_BUCKET_RE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")

DEFAULT_ALIAS: Final = "default"


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Parent:
    """A project and a location: where models and endpoints live."""

    project: str
    location: str

    def __str__(self) -> str:
        return f"projects/{self.project}/locations/{self.location}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the parent that `text` names.

        Raises:
            InvalidArgumentError: It is not `projects/*/locations/*`.
        """
        match = _PARENT_RE.fullmatch(text)
        if match is None:
            raise _not_a("parent", text, "projects/{project}/locations/{location}")
        return cls(match[1], match[2])


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class ModelName:
    """A model, or with `version` one of its versions.

    Attributes:
        parent: Where the model lives.
        model: The model's id.
        version: A version id (decimal), an alias, or "" for the model itself, which
            reads as its default version.
    """

    parent: Parent
    model: str
    version: str = ""

    def __str__(self) -> str:
        suffix = f"@{self.version}" if self.version else ""
        return f"{self.parent}/models/{self.model}{suffix}"

    @property
    def unversioned(self) -> "ModelName":
        """The model itself."""
        return ModelName(self.parent, self.model)

    def at(self, version: str | int) -> "ModelName":
        """Return the name of one version of the model."""
        return ModelName(self.parent, self.model, str(version))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the model or version that `text` names.

        Raises:
            InvalidArgumentError: It is not `projects/*/locations/*/models/*[@*]`.
        """
        match = _MODEL_RE.fullmatch(text)
        if match is None:
            raise _not_a(
                "model name",
                text,
                "projects/{project}/locations/{location}/models/{model}[@{version}]",
            )
        return cls(Parent(match[1], match[2]), match[3], match[4] or "")


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class EndpointName:
    """An endpoint."""

    parent: Parent
    endpoint: str

    def __str__(self) -> str:
        return f"{self.parent}/endpoints/{self.endpoint}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the endpoint that `text` names.

        Raises:
            InvalidArgumentError: It is not `projects/*/locations/*/endpoints/*`.
        """
        match = _ENDPOINT_RE.fullmatch(text)
        if match is None:
            raise _not_a(
                "endpoint name",
                text,
                "projects/{project}/locations/{location}/endpoints/{endpoint}",
            )
        return cls(Parent(match[1], match[2]), match[3])


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class OperationName:
    """A long-running operation, under the resource it works on.

    Attributes:
        parent: Project and location.
        resource: `models/{id}`, `endpoints/{id}`, or "" for neither. The SDK polls a
            fixed list of patterns; these three are on it.
        operation: The operation's id.
    """

    parent: Parent
    resource: str
    operation: str

    def __str__(self) -> str:
        middle = f"{self.resource}/" if self.resource else ""
        return f"{self.parent}/{middle}operations/{self.operation}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the operation that `text` names.

        Raises:
            InvalidArgumentError: It is not `projects/*/locations/*[/...]/operations/*`.
        """
        match = _OPERATION_RE.fullmatch(text)
        if match is None:
            raise _not_a(
                "operation name",
                text,
                "projects/{project}/locations/{location}/[models/{model}/]"
                "operations/{operation}",
            )
        return cls(Parent(match[1], match[2]), match[3] or "", match[4])


def check_model_id(model_id: str) -> None:
    """Refuse a model id the service would refuse.

    Raises:
        InvalidArgumentError: Not `[a-z0-9_-]{1,63}`, or it begins with a digit or "-".
    """
    if not _MODEL_ID_RE.fullmatch(model_id):
        raise InvalidArgumentError(
            f"model id {model_id!r}: up to 63 characters of a-z, 0-9, '_' and '-', "
            "the first of them a letter or '_'"
        )


def check_endpoint_id(endpoint_id: str) -> None:
    """Refuse an endpoint id the service would refuse.

    Raises:
        InvalidArgumentError: Neither 1-9 digits without a leading zero nor
            `[a-z][a-z0-9-]*[a-z0-9]` of up to 63 characters.
    """
    if not _ENDPOINT_ID_RE.fullmatch(endpoint_id):
        raise InvalidArgumentError(
            f"endpoint id {endpoint_id!r}: up to 9 digits with no leading zero, "
            "or up to 63 characters of a-z, 0-9 and '-' that begin with a letter and "
            "end with a letter or digit"
        )


def check_alias(alias: str) -> None:
    """Refuse a version alias that breaks the field's grammar.

    Raises:
        InvalidArgumentError: Not `[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]`.
    """
    if not _ALIAS_RE.fullmatch(alias):
        raise InvalidArgumentError(
            f"version alias {alias!r}: 2 to 128 letters, digits and '-', beginning "
            "with a lower-case letter and ending with a lower-case letter or digit "
            "(an alias cannot look like a version id)"
        )


def check_deployed_model_id(deployed_model_id: str) -> None:
    """Refuse a chosen deployed-model id the service would refuse.

    Raises:
        InvalidArgumentError: Not 1-10 digits without a leading zero.
    """
    if not _DEPLOYED_MODEL_ID_RE.fullmatch(deployed_model_id):
        raise InvalidArgumentError(
            f"deployed model id {deployed_model_id!r}: 1 to 10 digits, not beginning "
            "with 0; leave it out to have one chosen"
        )


def check_bucket(bucket: str) -> None:
    """Refuse a bucket name Google Cloud Storage would refuse.

    Raises:
        InvalidArgumentError: Not 3 to 63 of a-z, 0-9, '-', '_', '.', or its ends are
            not a letter or digit.
    """
    if not _BUCKET_RE.fullmatch(bucket):
        raise InvalidArgumentError(
            f"bucket name {bucket!r}: 3 to 63 characters of a-z, 0-9, '-', '_' and "
            "'.', beginning and ending with a letter or digit"
        )


def is_version_id(text: str) -> bool:
    """Tell a version id ("12") from an alias ("golden")."""
    return text.isascii() and text.isdigit()


def _not_a(kind: str, text: str, shape: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{text!r} is not a {kind}: expected {shape}")
