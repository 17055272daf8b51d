"""The whole way, on a real model: train, pack, serve, register, deploy, predict.

    make demo            or            python examples/demo.py

Everything is written into the folder `demo/`. On a terminal the server goes on until
Ctrl-C; elsewhere it is stopped at the end. Nothing is lost either way: start it again
with `homeport serve --data-dir demo/data` and the endpoint answers again.
"""

import argparse
import contextlib
import json
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

EXAMPLE = pathlib.Path(__file__).parent / "image_classifier"
NAME = "image-classifier"
HOMEPORT = [sys.executable, "-m", "homeport"]


def main() -> None:
    arguments = parse_arguments()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    step(1, "Train the image classifier of examples/image_classifier")
    run(sys.executable, str(EXAMPLE / "train.py"), "--output", str(folder))

    step(2, "Pack model and handler into a .mar archive")
    run(
        *HOMEPORT, "pack", "--force", "--model-name", NAME,
        "--serialized-file", str(folder / "model.pt"),
        "--handler", str(EXAMPLE / "handler.py"),
        "--requirements-file", str(EXAMPLE / "requirements.txt"),
        "--export-path", str(folder),
    )  # fmt: skip

    step(3, "Start the server")
    with server(folder, arguments.port) as url:
        print(f"listening at {url}, log in {folder / 'server.log'}")

        step(4, "Upload, register, deploy, and wait until it answers")
        run(*HOMEPORT, "deploy", "--url", url, str(folder / f"{NAME}.mar"))

        step(5, "Predict images that the training never saw")
        predict(folder, url)

        took = time.monotonic() - began
        print(f"\nDone in {took:.0f} s. Go on with:")
        print(next_commands(folder, url))
        if sys.stdin.isatty() and not arguments.exit:
            print("\nThe server runs until you press Ctrl-C.")
            signal.pause()
    print(
        "\nThe server is stopped. Start it again, and the endpoint answers again:\n"
        f"  homeport serve --data-dir {folder / 'data'}"
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("demo"))
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    parser.add_argument("--exit", action="store_true", help="stop the server at once")
    return parser.parse_args()


def step(number: int, title: str) -> None:
    print(f"\n[{number}/5] {title}", flush=True)


def run(*command: str) -> None:
    shown = list(command)
    if command[: len(HOMEPORT)] == tuple(HOMEPORT):
        shown = ["homeport", *command[len(HOMEPORT) :]]
    if shown[0] == sys.executable:
        shown[0] = "python"
    print("$", " ".join(shown), flush=True)
    finished = subprocess.run(command, check=False)
    if finished.returncode:
        sys.exit(f"that failed with exit code {finished.returncode}")


@contextlib.contextmanager
def server(folder: pathlib.Path, port: int) -> Iterator[str]:
    """Start a server, yield its URL, and stop it."""
    command = [
        *HOMEPORT,
        "serve",
        "--port",
        str(port),
        "--data-dir",
        str(folder / "data"),
    ]
    print("$ homeport", " ".join(command[len(HOMEPORT) :]), flush=True)
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert process.stdout is not None
    try:
        match = re.search(r"http://\S+:\d+", process.stdout.readline())
        if match is None:
            said = (folder / "server.log").read_text().strip()
            sys.exit(f"the server did not start: {said}")
        # Ctrl-C reaches the server too: it stops by itself, we only wait.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield match[0]
    except KeyboardInterrupt:
        pass
    finally:
        process.terminate()
        process.wait()


def predict(folder: pathlib.Path, url: str) -> None:
    """Show some predictions for images with known labels."""
    held_out = json.loads((folder / "held_out.json").read_text())
    files = [argument for one in held_out for argument in ("--file", one["file"])]
    command = [*HOMEPORT, "predict", "--url", url, NAME, *files]
    answer = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True
    )
    predictions = json.loads(answer.stdout)["predictions"]
    right = 0
    for one, prediction in zip(held_out, predictions, strict=True):
        is_right = prediction["predicted_class"] == one["label"]
        right += is_right
        print(
            f"  {one['file']}: a {one['label']}, predicted "
            f"{prediction['predicted_class']} ({prediction['confidence']:.1%})"
            f"{'' if is_right else '   <- wrong'}"
        )
    print(f"{right} of {len(held_out)} right")


def next_commands(folder: pathlib.Path, url: str) -> str:
    return "\n".join(
        f"  {command}"
        for command in (
            f"export HOMEPORT_URL={url}",
            f"homeport predict {NAME} --file {folder / 'held_out/0.png'}",
            "homeport models list",
            "homeport endpoints list",
            f"homeport logs {NAME}",
            f"homeport deploy --traffic 20 {folder / NAME}.mar    # a second version",
        )
    )


if __name__ == "__main__":
    main()
