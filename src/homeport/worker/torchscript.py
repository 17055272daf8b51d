"""What torch sets up when a process first meets TorchScript, done before it matters."""

import io
import warnings
from typing import Final

import torch

# The first run is observed, the second optimised.
_RUNS: Final = 2


class _Mean(torch.nn.Module):
    """An operation whose derivative torch looks up in a library of its own.

    It compiles that library when it first does so, which takes longer than many a
    prediction.
    """

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.mean()


def warm() -> None:
    """Write, read and run a small module, so that no replica waits for the setting up.

    Without TorchScript, which a later torch may leave out, there is nothing to do.
    """
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore", DeprecationWarning)
            file = io.BytesIO()
            torch.jit.save(torch.jit.script(_Mean()), file)
            file.seek(0)
            module = torch.jit.load(file)  # type: ignore[no-untyped-call]  # torch's
            for _ in range(_RUNS):
                module(torch.zeros(1))
    except (AttributeError, RuntimeError):
        return
