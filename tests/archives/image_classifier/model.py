import torch.nn as nn


class ImageClassifier(nn.Module):
    def __init__(self, num_classes=10, input_channels=3):
        super(ImageClassifier, self).__init__()
        self.features = nn.Sequential(
            nn.Conv2d(input_channels, 4, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(4, 4),
        )
        self.classifier = nn.Linear(4 * 8 * 8, num_classes)

    def forward(self, x):
        x = self.features(x)
        x = x.view(x.size(0), -1)
        return self.classifier(x)
