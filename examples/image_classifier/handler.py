"""A TorchServe handler: base64 images in, a class with its probabilities out.

A row is `{"data": "<base64>"}` (or "body"), or the bytes that `{"b64": "<base64>"}`
stands for. Any image that Pillow reads is taken and scaled to 32x32.
"""

import base64
import binascii
import io
from typing import Any

import numpy as np
import torch
from PIL import Image
from ts.torch_handler.base_handler import BaseHandler

SIZE = (32, 32)
CLASSES = [str(digit) for digit in range(10)]


class ImageClassifierHandler(BaseHandler):
    def preprocess(self, data: list[Any]) -> torch.Tensor:
        """Return the rows as one tensor (batch, 3, 32, 32) float32 in -1..1."""
        return torch.stack([_to_tensor(_image_bytes(row)) for row in data])

    def inference(self, data: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            logits = self.model(data.to(self.device))
        return torch.softmax(logits, dim=1)

    def postprocess(self, data: torch.Tensor) -> list[dict[str, Any]]:
        return [_prediction(probabilities) for probabilities in data.tolist()]


def _image_bytes(row: object) -> bytes:
    """Return the encoded image in one row, wherever it lies."""
    if isinstance(row, dict):
        values = (row.get(key) for key in ("data", "body", "b64"))
        return _image_bytes(next((value for value in values if value), None))
    if isinstance(row, str):
        try:
            return base64.b64decode(row, validate=True)
        except binascii.Error as error:
            raise ValueError(f"the image is not base64 ({error})") from error
    if isinstance(row, (bytes, bytearray)):
        return bytes(row)
    raise ValueError('a row is {"data": "<base64 image>"} or {"b64": "<base64 image>"}')


def _to_tensor(encoded: bytes) -> torch.Tensor:
    with Image.open(io.BytesIO(encoded)) as image:
        scaled = image.convert("RGB").resize(SIZE, Image.Resampling.BILINEAR)
    pixels = np.asarray(scaled, dtype=np.float32) / 127.5 - 1.0
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def _prediction(probabilities: list[float]) -> dict[str, Any]:
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    return {
        "predicted_class": CLASSES[best],
        "confidence": probabilities[best],
        "all_probabilities": dict(zip(CLASSES, probabilities, strict=True)),
    }
