"""The guide's Flask server: POST /predict and GET /health."""

import os

import torch
from flask import Flask, Response, jsonify, request
from network import ImageClassifier

app = Flask(__name__)

# The files of artifact_uri, or what the image has beside this program.
folder = os.environ.get("AIP_STORAGE_URI") or "."
checkpoint = torch.load(f"{folder}/model_checkpoint.pth")
model = ImageClassifier(num_classes=checkpoint["model_config"]["num_classes"])
model.load_state_dict(checkpoint["model_state_dict"])
model.eval()


@app.route("/predict", methods=["POST"])
def predict() -> Response:
    """Handle prediction requests."""
    instances = request.json.get("instances", [])
    input_tensor = torch.tensor(instances, dtype=torch.float32)
    with torch.no_grad():
        outputs = model(input_tensor)
        predictions = torch.softmax(outputs, dim=1).tolist()
    return jsonify({"predictions": predictions})


@app.route("/health", methods=["GET"])
def health() -> Response:
    return jsonify({"status": "healthy"})


if __name__ == "__main__":
    # Vertex AI and Homeport say where; on its own it listens where the guide's does.
    port = int(os.environ.get("AIP_HTTP_PORT", "8080"))
    app.run(host="0.0.0.0", port=port)  # noqa: S104  # from outside of its container
