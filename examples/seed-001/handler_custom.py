"""Pictures to classes, with a transform of our own that the training code uses too."""

import io

import torch
from PIL import Image
from training_transforms import MiddleSquare, Normalize, Scale
from ts.torch_handler.base_handler import BaseHandler

CROP, SCALE = MiddleSquare(), Scale(224)
NORMALIZE = Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def prepare(picture: Image.Image) -> torch.Tensor:
    """Return a picture as (3, 224, 224) float32."""
    return NORMALIZE(SCALE(CROP(picture.convert("RGB"))))


class Classifier(BaseHandler):
    def preprocess(self, data: list[dict[str, bytes]]) -> torch.Tensor:
        pictures = (Image.open(io.BytesIO(row["data"])) for row in data)
        return torch.stack([prepare(picture) for picture in pictures])

    def postprocess(self, data: torch.Tensor) -> list[list[float]]:
        return torch.softmax(data, dim=1).tolist()
