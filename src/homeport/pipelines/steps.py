"""What a component does in its container: from its inputs to the resource it made."""

import dataclasses
import sys
from collections.abc import Mapping

from homeport.errors import InvalidArgumentError
from homeport.pipelines import credentials, uploading
from homeport.pipelines.batches import Batch, Predictor
from homeport.pipelines.cancelling import by_signals
from homeport.pipelines.deploying import Deployer, Deployment
from homeport.pipelines.folders import Folders
from homeport.pipelines.googlestorage import GoogleBuckets
from homeport.pipelines.place import Place
from homeport.pipelines.storage import Storage
from homeport.pipelines.uploading import Tools
from homeport.pipelines.uploadspec import UploadSpec
from homeport.pipelines.vertex import VertexRegistry


@dataclasses.dataclass(frozen=True, slots=True)
class Resource:
    """What a step hands on.

    Attributes:
        uri: Where the resource is.
        metadata: Of its artifact.
    """

    uri: str
    metadata: dict[str, str]


def upload(spec: UploadSpec) -> Resource:
    """Register a model; see `uploading.upload`.

    Raises:
        HomeportError: As told by whoever could not go on.
        SystemExit: The step was cancelled.
    """
    place = spec.place
    with by_signals() as cancellation:
        identity = credentials.find(place)
        tools = Tools(
            storage=Storage(GoogleBuckets(place, identity), Folders()),
            registry=VertexRegistry(place, identity),
            cancellation=cancellation,
            say=_say,
        )
        version = uploading.upload(spec, tools)
    return _resource(
        place,
        version.name,
        DisplayName=spec.entry.display_name,
        VertexModelID=version.model,
    )


def deploy(wanted: Deployment) -> Resource:
    """Deploy a version; see `deploying.Deployer.deploy`.

    Raises:
        HomeportError: As the service says.
        SystemExit: The step was cancelled.
    """
    place = wanted.place
    with by_signals() as cancellation:
        deployer = Deployer(place, credentials.find(place), cancellation)
        endpoint = deployer.deploy(wanted)
    _say(f"deployed to {endpoint}")
    return _resource(place, endpoint)


def predict(batch: Batch) -> Resource:
    """Predict a batch; see `batches.Predictor.predict`.

    Raises:
        HomeportError: As the service says.
        SystemExit: The step was cancelled.
    """
    place = batch.place
    with by_signals() as cancellation:
        predictor = Predictor(place, credentials.find(place), cancellation)
        ended = predictor.predict(batch)
    _say(f"predicted {ended.successful:,}, failed {ended.failed:,}: {ended.output}")
    return _resource(place, ended.name, gcsOutputDirectory=ended.output)


def resource_name(parameter: str, metadata: Mapping[str, object]) -> str:
    """Return the full name of the resource that an artifact is of.

    Raises:
        InvalidArgumentError: Its metadata does not have it.
    """
    name = metadata.get("resourceName")
    if not isinstance(name, str) or not name:
        raise InvalidArgumentError(
            f"{parameter} has no resourceName in its metadata: give the output of an "
            "upload, or of an importer with metadata"
        )
    return name


def _resource(place: Place, name: str, **metadata: str) -> Resource:
    return Resource(f"{place.url}/v1/{name}", {"resourceName": name, **metadata})


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
