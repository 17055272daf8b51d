"""What torch sets up for TorchScript is set up ahead, or left where it cannot be."""

import subprocess
import sys

import pytest

WARM = "from homeport.worker import torchscript\nprint(torchscript.warm())"


@pytest.mark.parametrize(
    ("before", "told"),
    [
        pytest.param("", "True", id="as it is"),
        pytest.param("del torch.jit.script", "False", id="without TorchScript"),
        # A call of what is none: torch raises more kinds than can be listed.
        pytest.param("torch.jit.save = 0", "False", id="whatever it raises"),
    ],
)
def test_a_process_is_warmed_or_goes_on_without(before: str, told: str) -> None:
    # Of its own: what is set up once stays for the process.
    code = f"import torch\n{before}\n{WARM}"

    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout == f"{told}\n"
