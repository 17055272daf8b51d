"""What torch sets up when a process first runs TorchScript, done before it matters."""

import warnings
from typing import Final

import torch

# The mean is not among the operations whose derivative torch knows without compiling
# its library of them, which takes longer than many a prediction.
_SCRIPT: Final = """
def mean(x):
    return x.mean()
"""
# The first run is observed, the second optimised.
_RUNS: Final = 2


def warm() -> None:
    """Run a function of one number, so that no prediction waits for the setting up.

    Without TorchScript, which later releases of torch may leave out, there is nothing
    to do.
    """
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore", DeprecationWarning)
            functions = torch.jit.CompilationUnit(_SCRIPT)
            for _ in range(_RUNS):
                functions.mean(torch.zeros(1))
    except (AttributeError, RuntimeError):
        return
