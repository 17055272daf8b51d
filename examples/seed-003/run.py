"""An archive named "model" to an endpoint by gcloud, then tiles of Earth Engine.

    homeport serve                      # in another terminal
    python examples/seed-003/run.py [FOLDER] [--replay]

Needs `homeport[torch]`. Without gcloud, or with --replay, its requests are sent.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import urllib.request
import uuid
import warnings
from typing import Any

import numpy as np
import torch
from google_cloud import Gcloud, Replay

HERE = pathlib.Path(__file__).resolve().parent
IMAGE = "us-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-4:latest"
CLASSES = ("water", "trees", "built")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default="demo/seed-003")
    parser.add_argument("--replay", action="store_true")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    url = os.environ.get("HOMEPORT_URL", "http://127.0.0.1:8080")
    replay = given.replay or shutil.which("gcloud") is None
    cloud = Replay(url) if replay else Gcloud(url, given.folder)

    archive(given.folder)
    bucket = f"your-bucket-{uuid.uuid4().hex[:8]}"
    cloud.copy(given.folder / "model.mar", bucket, "models/model/model.mar")
    model = cloud.upload(f"gs://{bucket}/models/model", "land-cover", IMAGE)
    endpoint = cloud.create_endpoint("earth-engine")
    cloud.deploy(endpoint, model, "land-cover")

    tiles(url, endpoint)


def archive(folder: pathlib.Path) -> None:
    """Save the model as TorchScript and archive it under the name "model"."""
    warnings.simplefilter("ignore")  # torch warns about TorchScript
    torch.manual_seed(0)
    model = torch.nn.Conv2d(3, len(CLASSES), kernel_size=1).eval()

    model_scripted = torch.jit.script(model)  # Export to TorchScript
    model_scripted.save(folder / "model.pt")  # Save

    names = {str(index): name for index, name in enumerate(CLASSES)}
    (folder / "index_to_name.json").write_text(json.dumps(names))
    beside = str(pathlib.Path(sys.executable).parent)
    tool = shutil.which("torch-model-archiver", path=beside)
    subprocess.run(
        [*([tool] if tool else [sys.executable, "-m", "homeport", "pack"]),
         "-f",
         "--model-name", "model",
         "--version", "1.0",
         "--serialized-file", str(folder / "model.pt"),
         "--handler", str(HERE / "handler.py"),
         "--extra-files", str(folder / "index_to_name.json"),
         "--export-path", str(folder)],
        check=True,
    )  # fmt: skip


def tiles(url: str, endpoint: str) -> None:
    """Ask as Earth Engine does, in the two formats that are plain JSON."""
    pixels = np.random.default_rng(0).random((3, 50, 50), dtype="float32")

    # ND_ARRAYS: numbers in nested lists, channels first.
    (nd_arrays,) = predict(url, endpoint, [pixels.tolist()])
    classes = np.asarray(nd_arrays)
    assert classes.shape == (50, 50)

    # RAW_JSON: bands by name, all numbers as texts.
    bands = {
        band: [[str(value) for value in row] for row in pixels[index]]
        for index, band in enumerate(("B2", "B3", "B4"))
    }
    (raw_json,) = predict(url, endpoint, [bands])
    assert np.array_equal(raw_json["class"], classes)
    print(f"\na tile of 50 x 50 pixels, mostly {raw_json['name']}")


def predict(url: str, endpoint: str, instances: list[Any]) -> list[Any]:
    request = urllib.request.Request(
        f"{url}/v1/{endpoint}:predict",
        json.dumps({"instances": instances}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        return list(json.load(response)["predictions"])


if __name__ == "__main__":
    main()
