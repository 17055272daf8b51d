"""Transforms of the training code: the handler imports them, so they must travel."""

import numpy as np
import torch
from PIL import Image


class MiddleSquare:
    """The largest square in the middle: nothing is stretched when it is scaled."""

    def __call__(self, picture: Image.Image) -> Image.Image:
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        return picture.crop((left, top, left + side, top + side))


class Scale:
    def __init__(self, side: int) -> None:
        self.side = side

    def __call__(self, picture: Image.Image) -> Image.Image:
        return picture.resize((self.side, self.side), Image.Resampling.BILINEAR)


class Normalize:
    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        self.mean = np.array(mean, dtype=np.float32)
        self.std = np.array(std, dtype=np.float32)

    def __call__(self, picture: Image.Image) -> torch.Tensor:
        pixels = (np.asarray(picture, dtype=np.float32) / 255 - self.mean) / self.std
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
