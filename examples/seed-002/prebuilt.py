"""The component in a pipeline, with the prebuilt container."""

import kfp
from kfp import components
from training import train_model, tune_tokenizer
from using import deploy_and_ask, predict_batch


# Use the component as part of the pipeline
@kfp.dsl.pipeline(name="Upload PyTorch Model to Vertex Model Registry")
def pipeline(api_endpoint: str, sentences: list, labels: list, questions: list) -> list:

    # Train tokenizer
    tokenizer_op = tune_tokenizer(sentences=sentences)
    # Train model
    train_model_op = train_model(
        sentences=sentences,
        labels=labels,
        path_to_tokenizer=tokenizer_op.outputs["path_to_tokenizer"],
    )

    # Load component
    create_component_op = components.load_component_from_file("./component.yaml")

    # Instantiate component
    upload_model_to_vertex = create_component_op(
        project_id="your-project-id",
        location="us-central1",
        gcs_model_path=train_model_op.output,
        model_display_name="dummy-model-example-docs",
        local_model_file="ckpt.pt",
        extra_files_to_ignore=["log.txt"],
        extra_files_staging_path="gs://your-bucket/extra",
        serving_container_image_uri="europe-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.1-12:latest",
        extra_prediction_files="file_1.py,file_2.py,file_3.json",
        handler="custom_handler.py",
        custom_tokenizer_path=tokenizer_op.outputs["path_to_tokenizer"],
        custom_tokenizer_name="vocabulary.json",
        # Where Homeport is; without this line it is Vertex AI.
        api_endpoint=api_endpoint,
    )

    vertex_model = upload_model_to_vertex.outputs["vertex_model"]
    predict_batch(vertex_model, api_endpoint)
    return deploy_and_ask(vertex_model, api_endpoint, questions).output
