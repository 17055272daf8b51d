"""What torch sets up when a process first meets TorchScript, done before it matters."""

import functools
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


@functools.cache  # Once does for the process, and for what is forked from it.
def warm() -> bool:
    """Write, read and run a small module, so that no replica waits for the setting up.

    Returns:
        Whether it ran; a later torch may leave TorchScript out.
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
    # It raises many kinds, and whoever cannot be warmed serves all the same, later.
    except Exception:  # noqa: BLE001  # of torch; only time is lost
        return False
    return True
