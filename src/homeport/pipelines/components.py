"""The components for Kubeflow Pipelines: each hands its inputs to one of `steps`.

Their bodies travel as text and are run alone, in an image that has `homeport` and
`kfp`: so each imports what it needs. Defaults are empty texts and lists, as a pipeline
cannot hand over None.
"""

from typing import Final

from kfp import dsl

from homeport.pipelines.artifacts import (
    VertexBatchPredictionJob,
    VertexEndpoint,
    VertexModel,
)

# What the Dockerfile of the repository builds, until somebody names another.
IMAGE: Final = "homeport-pipelines-python:latest"
_installed = dsl.component(
    base_image=IMAGE, install_kfp_package=False, packages_to_install=[]
)


@_installed  # type: ignore[untyped-decorator]  # kfp is not installed here
def upload_pytorch_model(
    project_id: str,
    location: str,
    gcs_model_path: dsl.Input[dsl.Artifact],
    local_model_file: str,
    model_display_name: str,
    vertex_model: dsl.Output[VertexModel],
    model_name: str = "model",
    version: str = "v1.0",
    extra_files_to_ignore: list[object] = [],
    extra_files_staging_path: str = "",
    extra_prediction_files: str = "",
    handler: str = "",
    requirements: str = "",
    custom_tokenizer_path: str = "",
    custom_tokenizer_name: str = "",
    custom_container: bool = False,
    serving_container_image_uri: str = (
        "europe-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.1-12:latest"
    ),
    health_route: str = "/ping",
    predict_route: str = "/predictions/model",
    serving_container_ports: list[object] = [],
    serving_environment_vars: dict[str, object] = {},
    serving_container_args: list[object] = [],
    serving_container_command: list[object] = [],
    model_description: str = "",
    parent_model: str = "",
    is_default_version: bool = False,
    version_description: str = "",
    api_endpoint: str = "",
    archive_path: str = "",
) -> None:
    """Packs a PyTorch model for TorchServe and uploads it to the Model Registry.

    Args:
        project_id: GCP project ID.
        location: GCP location.
        gcs_model_path: Artifact whose uri is the model's folder, or its file.
        local_model_file: Name of the model's file, such as pytorch_model.bin.
        model_display_name: Display name in the Model Registry.
        vertex_model: The version; metadata resourceName, DisplayName, VertexModelID.
        model_name: Name for TorchServe; another than model needs a custom container.
        version: Version for TorchServe.
        extra_files_to_ignore: Files of the model's folder that stay out of the archive.
        extra_files_staging_path: Folder of the files named below.
        extra_prediction_files: Names of files for predictions, separated by commas.
        handler: Name of the custom handler's file; empty for TorchServe's default.
        requirements: Name of a requirements file; needs a custom container.
        custom_tokenizer_path: Address of the custom tokenizer's file.
        custom_tokenizer_name: Its name in the archive.
        custom_container: Whether the serving image is not a prebuilt one.
        serving_container_image_uri: The serving image.
        health_route: Health route of a custom container.
        predict_route: Prediction route of a custom container.
        serving_container_ports: Ports of a custom container.
        serving_environment_vars: Environment variables of a custom container.
        serving_container_args: In place of the image's CMD.
        serving_container_command: In place of the image's ENTRYPOINT.
        model_description: Description of the model.
        parent_model: Resource name or ID of the model that gets a new version.
        is_default_version: Whether the alias default moves to the new version.
        version_description: Description of the version.
        api_endpoint: Address of another service than Vertex AI's own.
        archive_path: Folder for the archive; empty for the model's folder.
    """
    from homeport.pipelines import addresses, parameters, steps, uploadspec
    from homeport.pipelines.place import Place

    resource = steps.upload(
        uploadspec.UploadSpec(
            place=Place(project_id, location, api_endpoint),
            files=uploadspec.ModelFiles(
                folder=addresses.normalized("gcs_model_path", gcs_model_path.uri),
                weights=local_model_file,
                ignored=parameters.words(
                    "extra_files_to_ignore", extra_files_to_ignore
                ),
                staging=addresses.optional(
                    "extra_files_staging_path", extra_files_staging_path
                ),
                extra=parameters.names(extra_prediction_files),
                handler=handler.strip(),
                requirements=requirements.strip(),
                tokenizer=addresses.optional(
                    "custom_tokenizer_path", custom_tokenizer_path
                ),
                tokenizer_name=custom_tokenizer_name.strip(),
            ),
            serving=uploadspec.Serving(
                custom=custom_container,
                image=serving_container_image_uri.strip(),
                health_route=health_route,
                predict_route=predict_route,
                ports=parameters.ports(serving_container_ports),
                variables=parameters.variables(serving_environment_vars),
                args=parameters.words("serving_container_args", serving_container_args),
                command=parameters.words(
                    "serving_container_command", serving_container_command
                ),
            ),
            entry=uploadspec.Entry(
                display_name=model_display_name,
                description=model_description,
                parent=parent_model.strip(),
                is_default=is_default_version,
                version_description=version_description,
            ),
            model_name=model_name,
            version=version,
            archive_folder=addresses.optional("archive_path", archive_path),
        )
    )
    vertex_model.uri = resource.uri
    vertex_model.metadata.update(resource.metadata)


@_installed  # type: ignore[untyped-decorator]  # kfp is not installed here
def deploy_model(
    project_id: str,
    location: str,
    vertex_model: dsl.Input[VertexModel],
    vertex_endpoint: dsl.Output[VertexEndpoint],
    endpoint: str = "",
    endpoint_display_name: str = "",
    deployed_model_display_name: str = "",
    machine_type: str = "n1-standard-4",
    accelerator_type: str = "",
    accelerator_count: int = 0,
    min_replica_count: int = 1,
    max_replica_count: int = 1,
    traffic_percentage: int = 100,
    undeploy_others: bool = False,
    api_endpoint: str = "",
) -> None:
    """Deploys a version to an endpoint, which is made if there is none.

    Args:
        project_id: GCP project ID.
        location: GCP location.
        vertex_model: The version, as an upload gave it.
        vertex_endpoint: The endpoint; metadata resourceName.
        endpoint: Resource name or ID of an endpoint.
        endpoint_display_name: Of the endpoint that is looked for, and made if there
            is none; empty for the model's display name.
        deployed_model_display_name: Empty for the model's display name.
        machine_type: What each replica runs on.
        accelerator_type: Such as NVIDIA_TESLA_T4; empty for none.
        accelerator_count: Accelerators of each replica.
        min_replica_count: The fewest replicas.
        max_replica_count: The most replicas.
        traffic_percentage: Of the endpoint's traffic; the others keep their shares of
            the rest.
        undeploy_others: Whether what was deployed there before is undeployed then.
        api_endpoint: Address of another service than Vertex AI's own.
    """
    from homeport.pipelines import deploying, steps
    from homeport.pipelines.place import Place

    called = vertex_model.metadata.get("DisplayName", "")
    resource = steps.deploy(
        deploying.Deployment(
            place=Place(project_id, location, api_endpoint),
            version=steps.resource_name("vertex_model", vertex_model.metadata),
            endpoint=endpoint.strip(),
            endpoint_display_name=endpoint_display_name or called,
            display_name=deployed_model_display_name or called,
            machine=deploying.Machine(
                machine_type=machine_type,
                accelerator_type=accelerator_type,
                accelerator_count=accelerator_count,
                min_replicas=min_replica_count,
                max_replicas=max_replica_count,
            ),
            percentage=traffic_percentage,
            replaces=undeploy_others,
        )
    )
    vertex_endpoint.uri = resource.uri
    vertex_endpoint.metadata.update(resource.metadata)


@_installed  # type: ignore[untyped-decorator]  # kfp is not installed here
def batch_predict(
    project_id: str,
    location: str,
    vertex_model: dsl.Input[VertexModel],
    job_display_name: str,
    gcs_source: list[object],
    gcs_destination_prefix: str,
    vertex_batch_prediction_job: dsl.Output[VertexBatchPredictionJob],
    instances_format: str = "jsonl",
    predictions_format: str = "jsonl",
    machine_type: str = "n1-standard-4",
    accelerator_type: str = "",
    accelerator_count: int = 0,
    starting_replica_count: int = 1,
    max_replica_count: int = 1,
    batch_size: int = 0,
    model_parameters: dict[str, object] = {},
    api_endpoint: str = "",
) -> None:
    """Predicts the instances of files, without an endpoint.

    Args:
        project_id: GCP project ID.
        location: GCP location.
        vertex_model: The version, as an upload gave it.
        job_display_name: Display name of the job.
        gcs_source: Addresses of files with instances.
        gcs_destination_prefix: Folder in which the job makes one for its output.
        vertex_batch_prediction_job: The job when it has ended; metadata resourceName,
            gcsOutputDirectory.
        instances_format: Of the files with instances.
        predictions_format: Of the output.
        machine_type: What each replica runs on.
        accelerator_type: Such as NVIDIA_TESLA_T4; empty for none.
        accelerator_count: Accelerators of each replica.
        starting_replica_count: Replicas at the beginning.
        max_replica_count: The most replicas.
        batch_size: Instances of one request; 0 for the service's own number.
        model_parameters: What the model is given beside the instances.
        api_endpoint: Address of another service than Vertex AI's own.
    """
    from homeport.pipelines import addresses, batches, parameters, steps
    from homeport.pipelines.deploying import Machine
    from homeport.pipelines.place import Place

    resource = steps.predict(
        batches.Batch(
            place=Place(project_id, location, api_endpoint),
            version=steps.resource_name("vertex_model", vertex_model.metadata),
            display_name=job_display_name,
            sources=tuple(
                addresses.normalized("gcs_source", source)
                for source in parameters.words("gcs_source", gcs_source)
            ),
            destination=addresses.normalized(
                "gcs_destination_prefix", gcs_destination_prefix
            ),
            instances_format=instances_format,
            predictions_format=predictions_format,
            machine=Machine(
                machine_type=machine_type,
                accelerator_type=accelerator_type,
                accelerator_count=accelerator_count,
                min_replicas=starting_replica_count,
                max_replicas=max_replica_count,
            ),
            batch_size=batch_size,
            parameters=model_parameters,
        )
    )
    vertex_batch_prediction_job.uri = resource.uri
    vertex_batch_prediction_job.metadata.update(resource.metadata)
