"""Registers the Flask server as a custom container, deploys it and asks it.

    python examples/seed-000/custom-container/deploy.py [IMAGE]

IMAGE is run by the server's container engine. Without one, a server that was started
with --allow-host-commands runs serve.py itself. STORAGE_EMULATOR_HOST is the server's
address, http://127.0.0.1:8080 if it is not set.
"""

import os
import pathlib
import sys
import tempfile
import warnings

warnings.simplefilter("ignore")
URL = os.environ.setdefault("STORAGE_EMULATOR_HOST", "http://127.0.0.1:8080")

from google.auth.credentials import AnonymousCredentials  # noqa: E402  # needs the URL
from google.cloud import aiplatform, storage  # noqa: E402  # the same
from simple_save import save  # noqa: E402  # the same

HERE = pathlib.Path(__file__).parent
PROJECT = "your-project-id"
BUCKET = "your-bucket"
FOLDER = "models/image-classifier-flask/1"


def main() -> None:
    aiplatform.init(
        project=PROJECT,
        location="us-central1",
        api_endpoint=URL,
        api_transport="rest",
        credentials=AnonymousCredentials(),
        staging_bucket=f"gs://{BUCKET}",
    )
    upload_files()
    image = sys.argv[1] if sys.argv[1:] else ""
    model = aiplatform.Model.upload(
        display_name="image-classifier-flask",
        artifact_uri=f"gs://{BUCKET}/{FOLDER}/",
        serving_container_image_uri=image or "example.com/not-run/flask:1",
        serving_container_command=None if image else [sys.executable, "serve.py"],
        serving_container_predict_route="/predict",
        serving_container_health_route="/health",
        labels={"framework": "pytorch"},
    )
    print(f"Model registered: {model.resource_name}@{model.version_id}")
    endpoint = model.deploy(machine_type="n1-standard-4", min_replica_count=1)
    print(f"Model deployed to: {endpoint.resource_name}")
    picture = [[[0.5] * 32] * 32] * 3
    (probabilities,) = endpoint.predict(instances=[picture]).predictions
    print(f"{len(probabilities)} classes, together {sum(probabilities):.4f}")
    endpoint.undeploy_all()
    endpoint.delete()
    model.delete()
    print("Undeployed and deleted")


def upload_files() -> None:
    """Put the checkpoint and the program where the registry takes them from."""
    client = storage.Client(project=PROJECT, credentials=AnonymousCredentials())
    bucket = client.lookup_bucket(BUCKET) or client.create_bucket(BUCKET)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = pathlib.Path(folder) / "model_checkpoint.pth"
        save(checkpoint)
        for path in (checkpoint, HERE / "network.py", HERE / "serve.py"):
            bucket.blob(f"{FOLDER}/{path.name}").upload_from_filename(str(path))


if __name__ == "__main__":
    main()
