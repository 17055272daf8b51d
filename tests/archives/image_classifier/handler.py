# A TorchServe handler as the guides show it, without torchvision.
import base64
import io

import torch
from PIL import Image
from ts.torch_handler.base_handler import BaseHandler


class ImageClassifierHandler(BaseHandler):
    """Custom handler for the image classification model."""

    def __init__(self):
        super().__init__()
        self.classes = ["airplane", "automobile", "bird"]

    def preprocess(self, data):
        images = []
        for row in data:
            image_data = row.get("data") or row.get("body")
            if isinstance(image_data, str):
                image_data = base64.b64decode(image_data)
            image = Image.open(io.BytesIO(image_data)).convert("RGB").resize((32, 32))
            pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
            images.append(pixels.view(32, 32, 3).permute(2, 0, 1) / 255)
        return torch.stack(images)

    def inference(self, data):
        with torch.no_grad():
            outputs = self.model(data)
            probabilities = torch.nn.functional.softmax(outputs, dim=1)
        return probabilities

    def postprocess(self, data):
        results = []
        for probs in data:
            top_prob, top_idx = torch.max(probs, 0)
            results.append(
                {
                    "predicted_class": self.classes[top_idx.item()],
                    "confidence": top_prob.item(),
                    "all_probabilities": {
                        self.classes[i]: probs[i].item()
                        for i in range(len(self.classes))
                    },
                }
            )
        return results
