"""Deploy the registered PyTorch model to an endpoint."""

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

# Get the model from the registry
MODEL_ID = os.environ["MODEL_ID"]
model = aiplatform.Model(
    f"projects/your-project-id/locations/us-central1/models/{MODEL_ID}"
)

# Create an endpoint and deploy
endpoint = model.deploy(
    machine_type="n1-standard-4",
    accelerator_type="NVIDIA_TESLA_T4",
    accelerator_count=1,
    min_replica_count=1,
    max_replica_count=3,
)

print(f"Model deployed to: {endpoint.resource_name}")
