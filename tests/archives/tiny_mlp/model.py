import torch


class TinyMLP(torch.nn.Module):
    def __init__(self, inputs=16, hidden=32, outputs=4):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(inputs, hidden),
            torch.nn.ReLU(),
            torch.nn.Linear(hidden, outputs),
        )

    def forward(self, x):
        return self.net(x)
