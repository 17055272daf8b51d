"""The network: two convolution blocks for 3x32x32 images, ten classes."""

import torch
from torch import nn


class ImageClassifier(nn.Module):
    def __init__(self, num_classes: int = 10, input_channels: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(input_channels, 64, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
            nn.Conv2d(64, 128, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(128 * 8 * 8, 512),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(512, num_classes),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (batch, num_classes) for images (batch, channels, 32, 32)."""
        features = self.features(images)
        logits: torch.Tensor = self.classifier(torch.flatten(features, 1))
        return logits
