"""Pictures to classes, prepared by torchvision: as it was written for training."""

import io

import torch
from PIL import Image
from torchvision import transforms
from ts.torch_handler.base_handler import BaseHandler

PREPARE = transforms.Compose(
    [
        transforms.Resize((224, 224)),
        transforms.ToTensor(),
        transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
    ]
)


class Classifier(BaseHandler):
    def preprocess(self, data: list[dict[str, bytes]]) -> torch.Tensor:
        pictures = (Image.open(io.BytesIO(row["data"])) for row in data)
        return torch.stack([PREPARE(picture.convert("RGB")) for picture in pictures])

    def postprocess(self, data: torch.Tensor) -> list[list[float]]:
        return torch.softmax(data, dim=1).tolist()
