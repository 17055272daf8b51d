"""Custom TorchServe handler for the image classifier."""

import base64
import io

import numpy as np
import torch
from PIL import Image
from ts.torch_handler.base_handler import BaseHandler


def transform(image):
    """Resize, ToTensor and Normalize, without torchvision."""
    pixels = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR), "float32")
    return torch.from_numpy((pixels / 255 - 0.5) / 0.5).permute(2, 0, 1)


class ImageClassifierHandler(BaseHandler):
    """Custom handler for the image classification model."""

    def __init__(self):
        super().__init__()
        # Class labels
        self.classes = [
            "airplane", "automobile", "bird", "cat", "deer",
            "dog", "frog", "horse", "ship", "truck",
        ]  # fmt: skip

    def preprocess(self, data):
        """Preprocess the input data - expects base64-encoded images."""
        images = []
        for row in data:
            # Get the image data from the request
            image_data = row.get("data") or row.get("body")
            if isinstance(image_data, str):
                image_data = base64.b64decode(image_data)

            # Convert to PIL Image and apply transforms
            image = Image.open(io.BytesIO(image_data)).convert("RGB")
            images.append(transform(image))

        return torch.stack(images)

    def inference(self, data):
        """Run inference on the preprocessed data."""
        with torch.no_grad():
            outputs = self.model(data)
            return torch.nn.functional.softmax(outputs, dim=1)

    def postprocess(self, data):
        """Convert model outputs to a readable format."""
        results = []
        for probs in data:
            # Get top prediction
            top_prob, top_idx = torch.max(probs, 0)
            result = {
                "predicted_class": self.classes[top_idx.item()],
                "confidence": top_prob.item(),
                "all_probabilities": {
                    self.classes[i]: probs[i].item() for i in range(len(self.classes))
                },
            }
            results.append(result)
        return results
