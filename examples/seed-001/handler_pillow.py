"""Pictures to classes, prepared by Pillow and numpy alone."""

import io

import numpy as np
import torch
from PIL import Image
from ts.torch_handler.base_handler import BaseHandler

MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
SPREAD = np.array([0.229, 0.224, 0.225], dtype=np.float32)


def prepare(picture: Image.Image) -> torch.Tensor:
    """Return a picture as (3, 224, 224) float32, in units of spread from the mean."""
    scaled = picture.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    pixels = (np.asarray(scaled, dtype=np.float32) / 255 - MEAN) / SPREAD
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


class Classifier(BaseHandler):
    def preprocess(self, data: list[dict[str, bytes]]) -> torch.Tensor:
        pictures = (Image.open(io.BytesIO(row["data"])) for row in data)
        return torch.stack([prepare(picture) for picture in pictures])

    def postprocess(self, data: torch.Tensor) -> list[list[float]]:
        return torch.softmax(data, dim=1).tolist()
