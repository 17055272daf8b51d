"""The models of two trainings; the second has more neurons in its first layer."""

import torch

INPUTS = 784


def model(neurons: int) -> torch.nn.Module:
    torch.manual_seed(neurons)
    return torch.nn.Sequential(
        torch.nn.Linear(INPUTS, neurons),
        torch.nn.ReLU(),
        torch.nn.Linear(neurons, 10),
        torch.nn.Softmax(dim=1),
    ).eval()
