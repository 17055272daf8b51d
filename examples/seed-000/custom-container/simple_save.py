"""Saves the weights beside what is needed to build the network again."""

import pathlib
import sys

import torch
from network import ImageClassifier


def save(path: pathlib.Path) -> None:
    """Write a checkpoint; without training, always the same."""
    torch.manual_seed(0)
    model = ImageClassifier(num_classes=10)
    checkpoint = {
        "model_state_dict": model.state_dict(),
        "model_config": {"num_classes": 10, "input_channels": 3},
    }
    torch.save(checkpoint, path)


if __name__ == "__main__":
    save(pathlib.Path(sys.argv[1] if sys.argv[1:] else "model_checkpoint.pth"))
