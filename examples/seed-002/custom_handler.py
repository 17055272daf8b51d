"""Texts to labels: the handler of the packaged model."""

import json
import pathlib

import file_1
import file_2
import torch
from ts.torch_handler.base_handler import BaseHandler


class TextClassifier(BaseHandler):
    def initialize(self, context):
        folder = pathlib.Path(context.system_properties["model_dir"])
        self.vocabulary = json.loads((folder / "vocabulary.json").read_text())
        self.labels = json.loads((folder / "file_3.json").read_text())
        self.model = file_2.network(len(self.vocabulary), len(self.labels))
        self.model.load_state_dict(torch.load(folder / "ckpt.pt", weights_only=True))
        self.model.eval()
        self.initialized = True

    def preprocess(self, data):
        texts = [row.get("text") or row["data"] for row in data]
        return torch.stack([file_1.counted(text, self.vocabulary) for text in texts])

    def postprocess(self, data):
        return [self.labels[str(number)] for number in data.argmax(dim=1).tolist()]
