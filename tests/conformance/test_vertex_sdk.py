"""The official SDK over REST, unmodified, drives the whole of the main job."""

import collections
import pathlib
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

with warnings.catch_warnings():
    # The SDK's own imports warn about each other.
    warnings.simplefilter("ignore")
    from google.api_core import exceptions
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import aiplatform, storage

pytestmark = [
    pytest.mark.service,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:google"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

IMAGE = "us-docker.pkg.dev/vertex-ai/prediction/pytorch-gpu.2-1:latest"
ROWS = [[1.0, 2.0, 3.0, 4.0]]


@pytest.fixture(scope="module")
def sdk(shared_server: Any) -> Iterator[Any]:
    """The SDK, set up as docs/compatibility.md says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", shared_server.url)
        aiplatform.init(
            project="p",
            location="us-central1",
            api_endpoint=shared_server.url,
            api_transport="rest",
            credentials=AnonymousCredentials(),
            staging_bucket="gs://staging",
        )
        yield aiplatform


@pytest.fixture(scope="module")
def bucket(sdk: Any) -> Any:
    del sdk
    client = storage.Client(project="p", credentials=AnonymousCredentials())
    return client.create_bucket("sdk-models")


@pytest.fixture
def model(sdk: Any, bucket: Any, mlp_archive: pathlib.Path) -> Any:
    bucket.blob("mlp/1/model.mar").upload_from_filename(str(mlp_archive))
    return sdk.Model.upload(
        display_name="mlp",
        description="A tiny network",
        artifact_uri="gs://sdk-models/mlp/1/",
        serving_container_image_uri=IMAGE,
        serving_container_environment_variables={"TS_DEFAULT_WORKERS_PER_MODEL": "1"},
        labels={"framework": "pytorch", "team": "a"},
    )


def test_upload_registers_what_was_given(model: Any) -> None:
    found = aiplatform.Model(model.resource_name)

    assert model.version_id == "1"
    assert found.display_name == "mlp"
    assert found.labels == {"framework": "pytorch", "team": "a"}
    assert list(found.version_aliases) == ["default"]
    (variable,) = found.container_spec.env
    assert (variable.name, variable.value) == ("TS_DEFAULT_WORKERS_PER_MODEL", "1")


def test_list_finds_by_display_name(sdk: Any, model: Any) -> None:
    names = [one.resource_name for one in sdk.Model.list(filter='display_name="mlp"')]

    assert model.resource_name in names
    assert sdk.Model.list(filter='display_name="other"') == []


def test_a_version_under_a_parent_leaves_the_default_where_it_is(
    sdk: Any, model: Any
) -> None:
    second = sdk.Model.upload(
        display_name="mlp",
        parent_model=model.resource_name,
        artifact_uri="gs://sdk-models/mlp/1/",
        serving_container_image_uri=IMAGE,
        version_aliases=["candidate"],
        is_default_version=False,
        version_description="second",
    )

    registry = model.versioning_registry
    listed = registry.list_versions()
    assert second.version_id == "2"
    assert [one.version_id for one in listed] == ["1", "2"]
    assert list(registry.get_version_info("default").version_aliases) == ["default"]
    assert registry.get_version_info("candidate").version_id == "2"


def test_aliases_move_and_versions_go(sdk: Any, model: Any) -> None:
    second = sdk.Model.upload(
        display_name="mlp",
        parent_model=model.resource_name,
        artifact_uri="gs://sdk-models/mlp/1/",
        serving_container_image_uri=IMAGE,
    )
    registry = model.versioning_registry

    registry.add_version_aliases(["golden"], "1")
    registry.add_version_aliases(["golden"], "2")
    registry.delete_version("1")

    assert list(second.versioning_registry.get_version_info("2").version_aliases) == [
        "default",
        "golden",
    ]
    with pytest.raises(exceptions.NotFound):
        registry.get_version_info("1")


def test_deploy_split_undeploy_delete(sdk: Any, model: Any) -> None:
    second = sdk.Model.upload(
        display_name="mlp",
        parent_model=model.resource_name,
        artifact_uri="gs://sdk-models/mlp/1/",
        serving_container_image_uri=IMAGE,
        is_default_version=False,
    )
    endpoint = sdk.Endpoint.create(display_name="split", labels={"team": "a"})

    model.deploy(
        endpoint,
        machine_type="n1-standard-4",
        accelerator_type="NVIDIA_TESLA_T4",
        accelerator_count=1,
        min_replica_count=1,
        max_replica_count=2,
    )
    # Deploy is over: the very first prediction is answered.
    first = endpoint.predict(instances=ROWS)
    second.deploy(endpoint, machine_type="n1-standard-4", traffic_percentage=20)

    assert first.model_version_id == "1"
    assert first.model_resource_name == model.resource_name
    assert len(first.predictions[0]) == 2
    deployed = {one.model_version_id: one.id for one in endpoint.list_models()}
    assert endpoint.traffic_split == {deployed["1"]: 80, deployed["2"]: 20}
    asked = collections.Counter(
        endpoint.predict(instances=ROWS).deployed_model_id for _ in range(100)
    )
    assert asked == {deployed["1"]: 80, deployed["2"]: 20}

    with pytest.raises(exceptions.BadRequest, match="deployed"):
        model.delete()
    endpoint.undeploy(deployed["1"], traffic_split={deployed["2"]: 100})
    assert endpoint.predict(instances=ROWS).model_version_id == "2"
    endpoint.delete(force=True)
    model.delete()
    with pytest.raises(exceptions.NotFound):
        sdk.Model(model.resource_name)


def test_a_mistake_is_an_exception_with_our_sentence(sdk: Any, model: Any) -> None:
    endpoint = sdk.Endpoint.create(display_name="empty")

    with pytest.raises(exceptions.BadRequest, match="doesn't have traffic_split"):
        endpoint.predict(instances=ROWS)
    with pytest.raises(exceptions.NotFound, match="nothing is stored"):
        sdk.Model.upload(
            display_name="none",
            artifact_uri="gs://sdk-models/nothing/",
            serving_container_image_uri=IMAGE,
        )
    assert list(sdk.Endpoint.list(filter='display_name="empty"')) != []
    endpoint.delete()
    model.delete()
