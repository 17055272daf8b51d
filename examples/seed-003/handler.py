"""Classes of pixels, for tiles as Earth Engine sends them over HTTP."""

import json
import pathlib

import numpy as np
import torch
from ts.torch_handler.base_handler import BaseHandler

BANDS = ["B2", "B3", "B4"]


class LandCover(BaseHandler):
    def initialize(self, context):
        super().initialize(context)
        folder = pathlib.Path(context.system_properties["model_dir"])
        self.names = json.loads((folder / "index_to_name.json").read_text())

    def preprocess(self, data):
        """Take ND_ARRAYS, a tile (bands, H, W), or RAW_JSON, a dict of bands (H, W).

        RAW_JSON has its numbers as texts. The answer must be in the format of the
        request.
        """
        self.is_raw_json = isinstance(data[0], dict)
        tiles = [
            [tile[band] for band in BANDS] if isinstance(tile, dict) else tile
            for tile in data
        ]
        return torch.as_tensor(np.asarray(tiles, dtype="float32"))

    def inference(self, data):
        with torch.no_grad():
            return self.model(data)

    def postprocess(self, data):
        classes = data.argmax(dim=1)
        if not self.is_raw_json:
            return classes.float().tolist()
        return [
            {"class": one.tolist(), "name": self.names[str(int(one.mode().values[0]))]}
            for one in classes
        ]
