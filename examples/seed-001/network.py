"""A residual network in plain torch, small enough to be made on the spot.

One class, with all of its parts inside: TorchServe wants exactly one in a model file.
"""

import torch
from torch import nn


class SmallResNet(nn.Module):
    def __init__(self, classes: int = 10, channels: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 7, stride=4, padding=3, bias=False)
        self.bodies = nn.ModuleList(_body(channels) for _ in range(3))
        self.pool = nn.AvgPool2d(2)
        self.head = nn.Linear(channels, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (batch, classes) for (batch, 3, height, width) in units of spread."""
        features = torch.relu(self.stem(images))
        for body in self.bodies:
            features = self.pool(torch.relu(features + body(features)))
        return self.head(features.mean(dim=(2, 3)))


def _body(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
    )
