"""Writes down what torchvision makes of our pictures; run by hand, once per release.

Needs torchvision, which is no dependency of ours:

    python tests/freeze_torchvision.py
"""

import importlib
from typing import Any

import numpy as np
import torch

import pictures


def define_missing_operators() -> None:
    """Let a torchvision that was built for another torch build be imported."""
    library: Any = vars(torch.library)["Library"]("torchvision", "DEF")
    KEPT.append(library)
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor boxes, Tensor scores, float iou) -> Tensor")


# A library that is collected takes its operators along.
KEPT: list[object] = []


def main() -> None:
    if not torch.version.cuda:
        define_missing_operators()
    transforms = importlib.import_module("torchvision.transforms")
    process = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    arrays = {
        name: process(make())[:, :: pictures.STEP, :: pictures.STEP].numpy()
        for name, make in pictures.PICTURES.items()
    }
    np.savez_compressed(pictures.FROZEN, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main()
