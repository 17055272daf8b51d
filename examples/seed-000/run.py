"""From trained weights to a served prediction, and to a second version.

    homeport serve                      # in another terminal
    python examples/seed-000/run.py [FOLDER]

Needs `homeport[vision]`, google-cloud-aiplatform and google-cloud-storage.
"""

import argparse
import base64
import io
import os
import pathlib
import runpy
import shutil
import subprocess
import sys
import warnings
from typing import Any

import torch
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
BUCKET = "your-bucket"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default="demo/seed-000")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    sys.path.insert(0, str(HERE))
    url = os.environ.setdefault("HOMEPORT_URL", "http://127.0.0.1:8080")
    os.environ["STORAGE_EMULATOR_HOST"] = url
    # The SDK's modules warn about each other, and torch about TorchScript.
    warnings.simplefilter("ignore")

    for version in (1, 2):
        train(seed=version)
        script("save_model.py")
        archive()
        copy(f"models/image-classifier/{version}/")
        if version == 1:
            model = script("register_pytorch_model.py")["model"]
            os.environ["MODEL_ID"] = model.name
            endpoint = script("deploy.py")["endpoint"]
        else:
            model = script("new_version.py")["new_version"]
            endpoint.deploy(model, traffic_percentage=100)
        show(endpoint.predict(instances=[{"data": picture()}]), str(version))


def train(seed: int) -> None:
    """Write weights. Nobody waits for a training here: they are random ones."""
    import network  # noqa: PLC0415  # lies beside this script

    torch.manual_seed(seed)
    torch.save(network.ImageClassifier().state_dict(), "trained_weights.pth")


def archive() -> None:
    """Package the model for TorchServe: with its own tool if it is installed."""
    beside = str(pathlib.Path(sys.executable).parent)
    tool = shutil.which("torch-model-archiver", path=beside)
    pathlib.Path("model-store").mkdir(exist_ok=True)
    subprocess.run(
        [*([tool] if tool else [sys.executable, "-m", "homeport", "pack"]),
         "--model-name", "image-classifier",
         "--version", "1.0",
         "--serialized-file", "model.pt",
         "--handler", str(HERE / "handler.py"),
         "--export-path", "model-store/",
         "--force"],
        check=True,
    )  # fmt: skip


def copy(folder: str) -> None:
    """What `gsutil cp model-store/image-classifier.mar gs://your-bucket/...` does."""
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415
    from google.cloud import storage  # noqa: PLC0415

    client = storage.Client("your-project-id", AnonymousCredentials())
    bucket = client.lookup_bucket(BUCKET) or client.create_bucket(BUCKET)
    blob = bucket.blob(f"{folder}image-classifier.mar")
    blob.upload_from_filename("model-store/image-classifier.mar")


def script(name: str) -> dict[str, Any]:
    print(f"\n$ python {name}", flush=True)
    return runpy.run_path(str(HERE / name))


def picture() -> str:
    content = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def show(answer: Any, version: str) -> None:
    prediction = answer.predictions[0]
    assert answer.model_version_id == version
    assert abs(sum(prediction["all_probabilities"].values()) - 1) < 1e-4
    print(f"version {version}: {prediction['predicted_class']}")


if __name__ == "__main__":
    main()
