"""Calls every method of the SDK's Model and ModelRegistry that touches the registry.

Run by the interpreter of whichever environment has the SDK, with the server's URL and a
folder for files; imports nothing of ours. Prints what it saw as one JSON object.
"""

import json
import pathlib
import sys
import warnings
from collections.abc import Callable
from typing import Any

warnings.simplefilter("ignore")

from google.api_core import exceptions  # noqa: E402  # warnings come first
from google.auth.credentials import AnonymousCredentials  # noqa: E402
from google.cloud import aiplatform, aiplatform_v1beta1, storage  # noqa: E402
from google.cloud.aiplatform import utils  # noqa: E402
from google.cloud.aiplatform_v1beta1.services.model_service.transports import (  # noqa: E402
    ModelServiceRestTransport,
)

IMAGE = "us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest"
EXPLANATION = {
    "explanation_metadata": {"inputs": {"x": {}}, "outputs": {"y": {}}},
    "explanation_parameters": {"sampled_shapley_attribution": {"path_count": 3}},
}


def upload_with_every_argument(folder: pathlib.Path) -> dict[str, Any]:
    """Upload with every argument that reaches the server; show what came back."""
    directory = folder / "whole"
    directory.mkdir()
    (directory / "model.joblib").write_bytes(b"joblib")
    model = aiplatform.Model.upload(
        serving_container_image_uri=IMAGE,
        artifact_uri=str(directory),
        model_id="whole",
        is_default_version=True,
        version_aliases=["golden"],
        version_description="first",
        serving_container_predict_route="/predict",
        serving_container_health_route="/health",
        serving_container_invoke_route_prefix="/*",
        description="all of it",
        serving_container_command=["serve"],
        serving_container_args=["--fast"],
        serving_container_environment_variables={"A": "1"},
        serving_container_ports=[8081],
        serving_container_grpc_ports=[9001],
        instance_schema_uri="gs://staging/instance.yaml",
        parameters_schema_uri="gs://staging/parameters.yaml",
        prediction_schema_uri="gs://staging/prediction.yaml",
        explanation_metadata=aiplatform.explain.ExplanationMetadata(
            EXPLANATION["explanation_metadata"]
        ),
        explanation_parameters=aiplatform.explain.ExplanationParameters(
            EXPLANATION["explanation_parameters"]
        ),
        display_name="Whole",
        project="p",
        location="us-central1",
        credentials=AnonymousCredentials(),
        labels={"team": "a"},
        encryption_spec_key_name="projects/p/locations/l/keyRings/r/cryptoKeys/k",
        staging_bucket="gs://staging",
        sync=True,
        upload_request_timeout=60.0,
        serving_container_deployment_timeout=60,
        serving_container_shared_memory_size_mb=64,
        serving_container_startup_probe_exec=["true"],
        serving_container_startup_probe_period_seconds=5,
        serving_container_startup_probe_timeout_seconds=3,
        serving_container_health_probe_exec=["true"],
        serving_container_health_probe_period_seconds=5,
        serving_container_health_probe_timeout_seconds=3,
    )
    seen = model.to_dict()
    for changing in ("createTime", "updateTime", "etag", "artifactUri"):
        assert seen.pop(changing), changing
    for changing in ("versionCreateTime", "versionUpdateTime"):
        assert seen.pop(changing), changing
    return {
        "resource": seen,
        "display_name": model.display_name,
        "uri": model.uri.startswith("gs://staging/vertex_ai_auto_staging/"),
        "version_id": model.version_id,
        "aliases": sorted(model.version_aliases),
        "formats": sorted(model.supported_export_formats),
        "instance_schema": model.predict_schemata.instance_schema_uri,
        "key": model.encryption_spec.kms_key_name,
    }


def versions(folder: pathlib.Path) -> dict[str, Any]:
    """Drive all seven methods of ModelRegistry, on a model with three versions."""
    del folder
    first = aiplatform.Model.upload(
        display_name="Versions", serving_container_image_uri="example.com/m:1"
    )
    for number in (2, 3):
        aiplatform.Model.upload(
            display_name="Versions",
            parent_model=first.resource_name,
            serving_container_image_uri=f"example.com/m:{number}",
            is_default_version=number == 3,
            version_description=f"number {number}",
        )
    registry = aiplatform.models.ModelRegistry(first.resource_name)
    registry.add_version_aliases(["beta", "golden"], "2")
    registry.remove_version_aliases(["beta"], "golden")
    registry.update_version("2", version_description="new", labels={"a": "b"})
    info = registry.get_version_info("golden")
    listed = [
        (one.version_id, sorted(one.version_aliases))
        for one in registry.list_versions()
    ]
    found = registry.get_model("golden")
    registry.delete_version("1")
    return {
        "listed": listed,
        "info": [info.version_id, info.version_description, info.model_display_name],
        "labels": dict(found.labels),
        "left": [one.version_id for one in registry.list_versions()],
        "default": aiplatform.Model(first.resource_name).version_id,
        "refused": refusal(lambda: registry.delete_version("3")),
        "untouchable": refusal(
            lambda: registry.remove_version_aliases(["default"], "3")
        ),
    }


def update_and_list(folder: pathlib.Path) -> dict[str, Any]:
    """Change a model's words; find it by each documented filter."""
    del folder
    model = aiplatform.Model.upload(
        display_name="Before",
        serving_container_image_uri="example.com/m:1",
        labels={"level": "version"},
    )
    # With what it read before the alias moved.
    model.versioning_registry.add_version_aliases(["golden"], "1")
    model.update(
        display_name="After", description="changed", labels={"level2": "model"}
    )
    names = [
        [one.name for one in aiplatform.Model.list(filter=text)]
        for text in (
            'display_name="After"',
            f'model="{model.name}"',
            "labels.level2=model",
            "labels.level=version AND labels.level2:*",
        )
    ]
    newest = aiplatform.Model.list(order_by="create_time desc")[0]
    return {
        "words": [model.display_name, model.description],
        "labels": dict(model.labels),
        "found": [found == [model.name] for found in names],
        "newest": newest.name == model.name,
        "by_id": aiplatform.Model(model.name).resource_name == model.resource_name,
    }


def copies(folder: pathlib.Path) -> dict[str, Any]:
    """Copy as a new model, as a version, and to another location."""
    del folder
    model = aiplatform.Model.upload(
        display_name="Source", serving_container_image_uri="example.com/m:1"
    )
    new = model.copy("us-central1", destination_model_id="copied")
    version = model.copy("us-central1", destination_parent_model="copied")
    away = model.copy("europe-west4")
    return {
        "new": [new.name, new.version_id, list(new.version_aliases)],
        "version": [version.name, version.version_id, list(version.version_aliases)],
        "away": [away.location, away.display_name],
        "source": new.gca_resource.original_model_info.model
        == f"{model.resource_name}@1",
    }


def export(folder: pathlib.Path) -> dict[str, Any]:
    """Export a version; read what lies there."""
    directory = folder / "exported"
    directory.mkdir()
    (directory / "model.pkl").write_bytes(b"pickle")
    model = aiplatform.Model.upload(
        display_name="Exported",
        artifact_uri=str(directory),
        serving_container_image_uri=IMAGE,
    )
    told = model.export_model(
        "custom-trained", artifact_destination="gs://staging/exports"
    )
    uri = told["artifactOutputUri"]
    buckets = storage.Client(project="p", credentials=AnonymousCredentials())
    name = uri.removeprefix("gs://staging/") + "/model.pkl"
    return {
        "folder": uri.startswith("gs://staging/exports/model-export-Exported-"),
        "bytes": buckets.bucket("staging").blob(name).download_as_bytes().decode(),
    }


def evaluations(folder: pathlib.Path) -> dict[str, Any]:
    """Import an evaluation as pipelines do; read it with Model."""
    del folder
    model = aiplatform.Model.upload(
        display_name="Evaluated", serving_container_image_uri="example.com/m:1"
    )
    none = len(model.list_model_evaluations())
    client = aiplatform.initializer.global_config.create_client(
        client_class=utils.ModelClientWithOverride
    )
    client.import_model_evaluation(
        parent=model.resource_name,
        model_evaluation={
            "display_name": "held out",
            "metrics_schema_uri": "gs://staging/metrics.yaml",
            "metrics": {"auRoc": 0.5},
        },
    )
    (one,) = model.list_model_evaluations()
    same = model.get_model_evaluation(one.resource_name.rpartition("/")[2])
    return {
        "before": none,
        "metrics": dict(one.metrics),
        "same": same.resource_name == one.resource_name,
        "first": model.get_model_evaluation().resource_name == one.resource_name,
    }


def files_of_frameworks(folder: pathlib.Path) -> dict[str, Any]:
    """Upload single files of scikit-learn and XGBoost, as far as registration."""
    seen = {}
    for name, file, upload in (
        ("sklearn", "a.joblib", aiplatform.Model.upload_scikit_learn_model_file),
        ("xgboost", "b.bst", aiplatform.Model.upload_xgboost_model_file),
    ):
        path = folder / file
        path.write_bytes(b"model")
        model = upload(model_file_path=str(path), display_name=name)
        image = model.container_spec.image_uri
        seen[name] = [model.display_name, model.version_id, f"/{name}-cpu" in image]
    return seen


def upload_of_a_local_model(folder: pathlib.Path) -> dict[str, Any]:
    """Upload what was tried in a container here: its image and what it wants."""
    del folder
    # It wants packages that the SDK alone does not bring.
    from google.cloud.aiplatform import prediction  # noqa: PLC0415

    local = prediction.LocalModel(
        serving_container_image_uri="example.com/predictor:1",
        serving_container_predict_route="/predict",
        serving_container_health_route="/health",
        serving_container_environment_variables={"A": "1"},
        serving_container_ports=[8081],
        serving_container_command=["serve"],
        serving_container_args=["--fast"],
    )
    model = aiplatform.Model.upload(local_model=local, display_name="Local")
    container = model.container_spec
    return {
        "image": container.image_uri,
        "routes": [container.predict_route, container.health_route],
        "variables": {one.name: one.value for one in container.env},
        "ports": [one.container_port for one in container.ports],
        "command": [*container.command, *container.args],
    }


def placeholder(folder: pathlib.Path) -> dict[str, Any]:
    """Register what lies elsewhere: neither an artifact nor an image."""
    del folder
    model = aiplatform.Model.upload(
        display_name="Garden",
        model_garden_source_model_name="publishers/google/models/x",
        model_garden_source_model_version_id="1",
    )
    source = model.gca_resource.base_model_source.model_garden_source
    return {
        "source": [source.public_model_name, source.version_id],
        "container": model.container_spec is None or not model.container_spec.image_uri,
    }


def not_waiting(folder: pathlib.Path) -> dict[str, Any]:
    """Upload and delete with sync=False."""
    del folder
    model = aiplatform.Model.upload(
        display_name="Later", serving_container_image_uri="example.com/m:1", sync=False
    )
    model.wait()
    name = model.resource_name
    aiplatform.Model(name).delete(sync=False)
    aiplatform.Model.upload(
        display_name="Chosen",
        model_id="chosen",
        serving_container_image_uri="example.com/m:1",
    )
    taken = refusal(
        lambda: aiplatform.Model.upload(
            display_name="Chosen",
            model_id="chosen",
            serving_container_image_uri="example.com/m:1",
        )
    )
    aiplatform.Model("chosen").delete()
    return {
        "taken": taken,
        "gone": refusal(lambda: aiplatform.Model("chosen")),
    }


def beta(folder: pathlib.Path) -> dict[str, Any]:
    """Upload, export and copy with the client of v1beta1."""
    del folder
    url = aiplatform.initializer.global_config.api_endpoint
    client = aiplatform_v1beta1.ModelServiceClient(
        transport=ModelServiceRestTransport(
            host=url.removeprefix("http://"),
            url_scheme="http",
            credentials=AnonymousCredentials(),
        )
    )
    parent = "projects/p/locations/us-central1"
    container = {"image_uri": "example.com/m:1"}
    uploaded = client.upload_model(
        parent=parent, model={"display_name": "Beta", "container_spec": container}
    ).result(timeout=60)
    copied = client.copy_model(
        request={"parent": parent, "source_model": uploaded.model, "model_id": "beta"}
    ).result(timeout=60)
    updated = client.update_model(
        model={"name": copied.model, "description": "new"},
        update_mask={"paths": ["description"]},
    )
    client.delete_model(name=uploaded.model).result(timeout=60)
    return {
        "uploaded": uploaded.model_version_id,
        "copied": copied.model,
        "updated": updated.description,
        "listed": [
            one.name
            for one in client.list_models(
                request={"parent": parent, "filter": "model=beta"}
            )
        ],
    }


def lineage_of_labels(folder: pathlib.Path) -> dict[str, Any]:
    """Say where a version comes from in labels, and find it by that."""
    del folder
    for run in ("r1", "r2"):
        aiplatform.Model.upload(
            display_name="Traced",
            serving_container_image_uri=IMAGE,
            labels={"lineage_run": run, "lineage_uploaded_by": "ada"},
        )
    found = aiplatform.Model.list(
        filter='display_name="Traced" AND lineage.run=r2 AND lineage.uploaded_by=ada'
    )
    return {
        "models": len(aiplatform.Model.list(filter='display_name="Traced"')),
        "found": [dict(one.labels) for one in found],
    }


def refusal(call: Callable[[], object]) -> str:
    """Return the kind of the exception that a call raises, "" for none."""
    try:
        call()
    except exceptions.GoogleAPICallError as error:
        return type(error).__name__
    return ""


def upload_without_staging_bucket(folder: pathlib.Path) -> dict[str, Any]:
    """Upload a folder when nobody named a bucket: the SDK makes one."""
    directory = folder / "unstaged"
    directory.mkdir()
    (directory / "model.joblib").write_bytes(b"joblib")
    model = aiplatform.Model.upload(
        display_name="Unstaged",
        artifact_uri=str(directory),
        serving_container_image_uri=IMAGE,
    )
    return {"bucket": model.uri.startswith("gs://p-vertex-staging-us-central1-")}


def main(url: str, folder: pathlib.Path, *names: str) -> None:
    """Call the named functions of this module, print what they return."""
    unstaged = "upload_without_staging_bucket" in names
    aiplatform.init(
        project="p",
        location="us-central1",
        api_endpoint=url,
        api_transport="rest",
        credentials=AnonymousCredentials(),
        staging_bucket=None if unstaged else "gs://staging",
    )
    seen = {name: globals()[name](folder) for name in names}
    # Behind what the SDK itself prints.
    sys.stdout.write("\n" + json.dumps({"sdk": aiplatform.__version__, **seen}))


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]), *sys.argv[3:])
