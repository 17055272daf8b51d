"""One network in four archives: two would fail once deployed, two work.

    python examples/seed-001/run.py [FOLDER]

Needs what `make demo` installs. The first run builds an environment with torch.
"""

import argparse
import importlib.metadata
import pathlib
import subprocess
import sys

import numpy as np
import torch
from network import SmallResNet
from PIL import Image

HERE = pathlib.Path(__file__).parent
HOMEPORT = [sys.executable, "-m", "homeport"]
FAILED = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default="demo/seed-001")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    make_model(folder)

    title("missing: torch is listed, torchvision is not")
    refused(pack(folder, "missing", "handler_torchvision.py"), "torchvision")

    title("mispinned: a torch and a torchvision that do not go together")
    refused(
        pack(folder, "mispinned", "handler_torchvision.py"),
        "torchvision 0.15.1",
        "torch==1.13.1",
    )
    print("\nAn archive that was packed without a lock is stopped by the check:")
    pack(folder, "mispinned", "handler_torchvision.py", "--no-lock")
    stopped(check(folder, "mispinned"), "resolve", "torchvision 0.15.1")

    title("corrected: the installed torch, pictures prepared with Pillow and numpy")
    sample = ("--sample", str(folder / "picture.png"))
    answers = str(folder / "answers.json")
    passed(pack(folder, "corrected", "handler_pillow.py", *sample))
    passed(check(folder, "corrected", "--save-predictions", answers))
    print("\nThe answer travels with the archive, and later checks compare with it:")
    expected = (*sample, "--expected", answers)
    passed(pack(folder, "corrected", "handler_pillow.py", *expected))
    passed(check(folder, "corrected"))

    title("custom: a transform of the training code, in a module of its own")
    passed(pack(folder, "custom", "handler_custom.py", *sample))
    passed(check(folder, "custom"))
    print("\nTwo were stopped before anything was uploaded, two work.")


def make_model(folder: pathlib.Path) -> None:
    """Write weights, a picture and requirements, always the same."""
    installed = importlib.metadata.version("torch").partition("+")[0]
    (folder / "requirements.txt").write_text(f"torch=={installed}\n")
    torch.manual_seed(1)
    torch.save(SmallResNet().state_dict(), folder / "weights.pt")
    y, x = np.mgrid[0:240, 0:320]
    colours = np.stack([x * 255 // 319, y * 255 // 239, (x // 20 + y // 20) % 2 * 255])
    Image.fromarray(colours.transpose(1, 2, 0).astype(np.uint8)).save(
        folder / "picture.png"
    )


Ran = subprocess.CompletedProcess[str]


def pack(folder: pathlib.Path, name: str, handler: str, *options: str) -> Ran:
    own = HERE / f"requirements-{name}.txt"
    requirements = own if own.exists() else folder / "requirements.txt"
    return run(
        "pack", "--force", "--model-name", name,
        "--serialized-file", str(folder / "weights.pt"),
        "--model-file", str(HERE / "network.py"),
        "--handler", str(HERE / handler),
        "--requirements-file", str(requirements),
        "--export-path", str(folder), *options,
    )  # fmt: skip


def check(folder: pathlib.Path, name: str, *options: str) -> Ran:
    return run("check", str(folder / f"{name}.mar"), *options)


def run(*words: str) -> Ran:
    print(f"\n$ homeport {' '.join(words)}", flush=True)
    done = subprocess.run(
        [*HOMEPORT, *words], capture_output=True, text=True, check=False
    )
    print((done.stdout + done.stderr).rstrip())
    return done


def refused(done: Ran, *names: str) -> None:
    """Require that a command failed and said these names."""
    require(done, 1, names)


def stopped(done: Ran, stage: str, *names: str) -> None:
    """Require that a check failed in that stage and said these names."""
    require(done, FAILED, (f"{stage} failed", *names))


def passed(done: Ran) -> None:
    require(done, 0, ())


def require(done: Ran, code: int, names: tuple[str, ...]) -> None:
    if done.returncode != code:
        raise SystemExit(f"\nexit code {done.returncode} where {code} was expected")
    for name in names:
        if name not in done.stdout + done.stderr:
            raise SystemExit(f"\nthis should have named {name!r}")


def title(text: str) -> None:
    print(f"\n\n== {text}", flush=True)


if __name__ == "__main__":
    main()
