"""Register the PyTorch model in Vertex AI Model Registry."""

import os

from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform

aiplatform.init(
    project="your-project-id",
    location="us-central1",
    # These three lines lead to Homeport.
    api_endpoint=os.environ["HOMEPORT_URL"],
    api_transport="rest",
    credentials=AnonymousCredentials(),
)

# Upload the model to the registry
model = aiplatform.Model.upload(
    display_name="image-classifier-pytorch",
    description="PyTorch image classifier trained on CIFAR-10",
    # GCS path containing the model archive
    artifact_uri="gs://your-bucket/models/image-classifier/1/",
    # Pre-built PyTorch serving container
    serving_container_image_uri="us-docker.pkg.dev/vertex-ai/prediction/pytorch-gpu.2-1:latest",
    # TorchServe specific configuration
    serving_container_environment_variables={
        "TS_DEFAULT_WORKERS_PER_MODEL": "1",
    },
    labels={
        "framework": "pytorch",
        "model-type": "image-classifier",
        "dataset": "cifar10",
    },
)

print(f"Model registered: {model.resource_name}")
print(f"Model ID: {model.name}")
