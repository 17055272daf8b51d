"""What follows the upload: the version is deployed, asked, and given a batch."""

from kfp import components, dsl
from training import training_step

PROJECT = "your-project-id"
LOCATION = "us-central1"


@training_step
def ask(
    vertex_endpoint: dsl.Input[dsl.Artifact], api_endpoint: str, texts: list
) -> list:
    """Ask the endpoint, by Google's own client."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import aiplatform

    aiplatform.init(
        project="your-project-id",
        location="us-central1",
        api_endpoint=api_endpoint or None,
        api_transport="rest",
        # A server on this machine wants none, Vertex AI those of the environment.
        credentials=AnonymousCredentials() if api_endpoint else None,
    )
    endpoint = aiplatform.Endpoint(vertex_endpoint.metadata["resourceName"])
    answer = endpoint.predict(instances=[{"data": text} for text in texts])
    print("answered by version", answer.model_version_id, answer.predictions)
    return answer.predictions


def deploy_and_ask(vertex_model, api_endpoint, texts):
    """Add the steps that deploy a version and ask it."""
    deploy_op = components.load_component_from_file("./deploy_component.yaml")(
        project_id=PROJECT,
        location=LOCATION,
        vertex_model=vertex_model,
        endpoint_display_name="texts",
        machine_type="n1-standard-2",
        undeploy_others=True,
        api_endpoint=api_endpoint,
    )
    return ask(
        vertex_endpoint=deploy_op.outputs["vertex_endpoint"],
        api_endpoint=api_endpoint,
        texts=texts,
    )


def predict_batch(vertex_model, api_endpoint):
    """Add the step that predicts the texts of a file."""
    return components.load_component_from_file("./batch_predict_component.yaml")(
        project_id=PROJECT,
        location=LOCATION,
        vertex_model=vertex_model,
        job_display_name="texts",
        gcs_source=["gs://your-bucket/batches/texts.jsonl"],
        gcs_destination_prefix="gs://your-bucket/predictions",
        machine_type="n1-standard-2",
        api_endpoint=api_endpoint,
    )
