"""The registry: two versions under one display name, chosen, compared, rolled back.

    homeport serve                      # in another terminal
    python examples/seed-004/run.py [FOLDER]

Needs `homeport[torch]`.
"""

import argparse
import os
import pathlib
import runpy
import sys
import warnings

import network
import torch

import homeport

HERE = pathlib.Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default="demo/seed-004")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    # torch warns about TorchScript.
    warnings.simplefilter("ignore")

    for name, neurons in (("my_model_v1", 10), ("my_model_v2", 12)):
        sample = torch.zeros(1, network.INPUTS)
        homeport.pack(
            network.model(neurons), name=name, sample=sample, output=folder,
            force=True,
        )  # fmt: skip
    os.chdir(folder)
    sys.path.insert(0, str(HERE))
    runpy.run_path(str(HERE / "registry.py"))


if __name__ == "__main__":
    main()
