"""Register a new version of the PyTorch model."""

import os

from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform

aiplatform.init(
    project="your-project-id",
    location="us-central1",
    api_endpoint=os.environ["HOMEPORT_URL"],
    api_transport="rest",
    credentials=AnonymousCredentials(),
)

# Upload as a new version
MODEL_ID = os.environ["MODEL_ID"]
new_version = aiplatform.Model.upload(
    display_name="image-classifier-pytorch",
    parent_model=f"projects/your-project-id/locations/us-central1/models/{MODEL_ID}",
    artifact_uri="gs://your-bucket/models/image-classifier/2/",
    serving_container_image_uri="us-docker.pkg.dev/vertex-ai/prediction/pytorch-gpu.2-1:latest",
    version_description="Retrained with data augmentation, +3% accuracy improvement",
    labels={
        "framework": "pytorch",
        "version": "v2",
    },
)

print(f"New version: {new_version.version_id}")
