"""What is done to publish a version, decided before anything is: the calls, in order.

They are told as Python, so that who runs them by hand does the same.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Final

from homeport.client import objects
from homeport.errors import FailedPreconditionError
from homeport.publishing import container
from homeport.publishing.container import Arguments
from homeport.publishing.source import Source
from homeport.resources import images

# By which a second run finds what the first one registered.
LABEL: Final = "homeport_digest"
# Below Google Cloud's longest label, 63.
_DIGEST_LENGTH: Final = 40
_PREBUILT_NAME: Final = "model.mar"
_ARCHIVE: Final = ".mar"
_TRANSPORT: Final = "rest"


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """Where a version is published.

    Attributes:
        project: Of Google Cloud.
        region: Of Vertex AI.
        bucket: `gs://BUCKET`, or with a prefix.
        api_endpoint: Another service than Vertex AI's own of that region, "" for that.
        image_uri: In place of the version's own image, "" for that.
        parent_model: The model that gets the version, by full name or id; "" for the
            one of the same display name, or a new one.
    """

    project: str
    region: str
    bucket: str
    api_endpoint: str = ""
    image_uri: str = ""
    parent_model: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Publication:
    """A version on its way.

    Attributes:
        source: The version.
        target: Where to.
        digest: Of its bytes and its container: the value of the label.
        bucket: Where its files go.
        objects: Names of objects by the paths of files.
        upload: The arguments of `Model.upload`, but for a parent that must be found.
    """

    source: Source
    target: Target
    digest: str
    bucket: str
    objects: Mapping[str, str]
    upload: Mapping[str, object]

    @property
    def init(self) -> dict[str, str]:
        """The arguments of `aiplatform.init`, but for the credentials."""
        address = self.target.api_endpoint
        return {
            "project": self.target.project,
            "location": self.target.region,
            "api_transport": _TRANSPORT,
            **({"api_endpoint": address} if address else {}),
        }

    @property
    def same_name(self) -> str:
        """The filter for models of the same display name."""
        name = self.source.display_name.replace("\\", "\\\\").replace('"', '\\"')
        return f'display_name="{name}"'

    @property
    def same_digest(self) -> str:
        """The filter for versions that are this one."""
        return f'labels.{LABEL}="{self.digest}"'

    @property
    def prefix(self) -> str:
        """With which the names of its objects begin."""
        return f"{_folder(self.target, self.source, self.digest)[1]}/"


def make(source: Source, target: Target) -> Publication:
    """Return what is done to publish a version.

    Raises:
        InvalidArgumentError: The bucket is none, or there is no image for Vertex AI.
        FailedPreconditionError: The image needs another artifact.
        UnimplementedError: The SDK has no argument for something of its container.
    """
    told = container.arguments(source.container, target.image_uri)
    digest = _digest(source, told)
    bucket, folder = _folder(target, source, digest)
    names = _names(source, str(told["serving_container_image_uri"]))
    upload: Arguments = {
        "display_name": source.display_name,
        "description": source.description,
        "version_description": source.version_description,
        "version_aliases": list(source.aliases),
        "is_default_version": source.is_default,
        "labels": {**source.labels, LABEL: digest},
        "artifact_uri": f"gs://{bucket}/{folder}" if names else "",
        **told,
        "parent_model": target.parent_model,
    }
    return Publication(
        source,
        target,
        digest,
        bucket,
        {path: f"{folder}/{name}" for path, name in names.items()},
        {key: value for key, value in upload.items() if value not in ("", [])},
    )


def told(publication: Publication) -> Iterator[str]:
    """Yield the calls that are made, as Python; the copy of the files is `folder`."""
    found = publication
    yield "from google.cloud import aiplatform, storage"
    yield _call("aiplatform.init", found.init)
    yield "# Nothing is done if this finds the version:"
    parent = found.target.parent_model
    if parent:
        yield _call("aiplatform.Model", {"model_name": parent})
        registry = _call("aiplatform.models.ModelRegistry", {"model": parent})
        yield f"{registry}.{_call('list_versions', {'filter': found.same_digest})}"
    else:
        yield "# (a model that this finds becomes parent_model, and its versions"
        yield f"# are listed with filter={found.same_digest!r})"
        yield _call("aiplatform.Model.list", {"filter": found.same_name})
    yield from _told_copies(found)
    yield _call("aiplatform.Model.upload", found.upload)


def _told_copies(found: Publication) -> Iterator[str]:
    if not found.objects:
        return
    yield "# Files that are there with the same bytes are left as they are:"
    client = _call("storage.Client", {"project": found.target.project})
    where = {"bucket_or_name": found.bucket, "prefix": found.prefix}
    yield f"{client}.{_call('list_blobs', where)}"
    for path, name in found.objects.items():
        blob = f"{client}.bucket({found.bucket!r}).blob({name!r})"
        yield f"{blob}.{_call('upload_from_filename', upload_of(path))}"


def upload_of(path: str, folder: pathlib.Path = pathlib.Path()) -> dict[str, object]:
    """Return the arguments with which a file is sent: whole, and over nothing."""
    return {
        "filename": str(folder / path),
        "if_generation_match": 0,
        "checksum": "crc32c",
    }


def _call(function: str, arguments: Mapping[str, object]) -> str:
    said = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    return f"{function}({said})"


def _digest(source: Source, told: Arguments) -> str:
    said = json.dumps([source.digest, told], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:_DIGEST_LENGTH]


def _folder(target: Target, source: Source, digest: str) -> tuple[str, str]:
    bucket, prefix = objects.parse_uri(target.bucket)
    parts = [part for part in prefix.split("/") if part]
    return bucket, "/".join([*parts, source.model_id, digest])


def _names(source: Source, image_uri: str) -> dict[str, str]:
    """Return how the files are called, by path.

    Vertex AI's image for archives looks for one file, model.mar.
    """
    names = {one.path: one.path for one in source.files}
    if not images.runs_archives(image_uri):
        return names
    archives = [path for path in names if path.endswith(_ARCHIVE)]
    if not archives and len(names) == 1:
        archives = list(names)
    if len(archives) != 1:
        raise FailedPreconditionError(
            f"{source.name} has {len(archives)} archives, and {image_uri} serves one, "
            "model.mar: give the image that serves it with --container-image-uri"
        )
    return {**names, archives[0]: _PREBUILT_NAME}
