"""The two models of the comparison, as archives and as requests with answers.

Weights are random under a fixed seed: the work of a prediction does not depend on
what the model has learned.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import warnings

import torch
from environment import Environment
from torch import nn

# Distinct requests whose answers are compared before anything is timed.
INSTANCES = 8
# Largest difference of one output between a server and the model in process.
TOLERANCE = 1e-4


class Mlp(nn.Module):
    """16-32-4: almost no arithmetic, so that the server is what is measured."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return (batch, 4) for (batch, 16)."""
        scores: torch.Tensor = self.layers(rows)
        return scores


class Cnn(nn.Module):
    """Ten classes of 3x32x32: two conv blocks of 64 and 128, 512 hidden units."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(_block(3, 64), _block(64, 128))
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(128 * 8 * 8, 512),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(512, 10),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (batch, 10) for (batch, 3, 32, 32)."""
        scores: torch.Tensor = self.head(self.blocks(images))
        return scores


def _block(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


KINDS: dict[str, tuple[type[nn.Module], tuple[int, ...]]] = {
    "mlp": (Mlp, (16,)),
    "cnn": (Cnn, (3, 32, 32)),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Archive:
    """One version of one model, ready for every peer.

    Attributes:
        model: Its name, a key of `KINDS`.
        version: The version's number, from 1; also the seed of its weights.
        mar: What torch-model-archiver made, with handler base_handler.
        torchscript: The traced module inside it, for servers that read no archive.
        bodies: JSON request bodies of one instance each, all different.
        answers: The model's own outputs for them, in the same order.
    """

    model: str
    version: int
    mar: pathlib.Path
    torchscript: pathlib.Path
    bodies: tuple[bytes, ...]
    answers: tuple[tuple[float, ...], ...]


def build(
    model: str, version: int, directory: pathlib.Path, environment: Environment
) -> Archive:
    """Trace, pack and answer one version of a model under `directory`."""
    home = directory / f"{model}-{version}"
    home.mkdir(parents=True)
    kind, shape = KINDS[model]
    torch.manual_seed(version)
    module = kind().eval()
    # The numbers a client would send: six decimals, the same to every server.
    instances = [torch.rand(shape).mul(1e6).round().div(1e6) for _ in range(INSTANCES)]
    torchscript = home / f"{model}.pt"
    with warnings.catch_warnings(), torch.inference_mode():
        # torch deprecates TorchScript; archives in the wild are made with it.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(module, torch.rand(1, *shape)).save(str(torchscript))
        answers = [module(each.unsqueeze(0))[0].tolist() for each in instances]
    _require_different(answers)
    return Archive(
        model=model,
        version=version,
        mar=_pack(model, version, torchscript, environment),
        torchscript=torchscript,
        bodies=tuple(_body(each) for each in instances),
        answers=tuple(tuple(answer) for answer in answers),
    )


def _require_different(answers: list[list[float]]) -> None:
    """Refuse instances whose answers could be mistaken for each other's."""
    rows = torch.tensor(answers)
    apart = (rows.unsqueeze(0) - rows.unsqueeze(1)).abs().amax(-1)
    apart.fill_diagonal_(float("inf"))
    if apart.min() <= 2 * TOLERANCE:
        raise ValueError(f"answers differ by {apart.min():.1e} only; change the seed")


def _body(instance: torch.Tensor) -> bytes:
    rows = json.loads(json.dumps(instance.tolist()), parse_float=_six_decimals)
    return json.dumps({"instances": [rows]}, separators=(",", ":")).encode()


def _six_decimals(text: str) -> float:
    return round(float(text), 6)


def _pack(
    model: str, version: int, torchscript: pathlib.Path, environment: Environment
) -> pathlib.Path:
    home = torchscript.parent
    # The archiver stages in $TMPDIR/<model name>: two runs at once would collide.
    stage = home / "stage"
    stage.mkdir()
    subprocess.run(
        [
            environment.executable("torch-model-archiver"),
            *("--model-name", model),
            *("--version", str(version)),
            *("--serialized-file", str(torchscript)),
            *("--handler", "base_handler"),
            *("--export-path", str(home)),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(stage)},
    )
    return (home / f"{model}.mar").rename(home / f"{model}-{version}.mar")
