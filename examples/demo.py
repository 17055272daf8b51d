"""The whole way, on a real model: train, pack, serve, register, deploy, predict.

    make demo            or            python examples/demo.py

Everything is written into the folder `demo/`. On a terminal the server goes on until
Ctrl-C; elsewhere it is stopped at the end. Nothing is lost either way: start it again
with the command that is shown, and the endpoint answers again.
"""

import argparse
import contextlib
import fcntl
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

EXAMPLE = pathlib.Path(__file__).parent / "image_classifier"
NAME = "image-classifier"
HOMEPORT = [sys.executable, "-m", "homeport"]
# A new terminal does not know the command before this.
ACTIVATE = (
    f"  . {os.path.relpath(sys.prefix)}/bin/activate\n"
    if sys.prefix != sys.base_prefix
    else ""
)


def main() -> None:
    arguments = parse_arguments()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    check_free(folder / "data", arguments.port)
    began = time.monotonic()

    step(1, "Train the image classifier of examples/image_classifier")
    run(sys.executable, str(EXAMPLE / "train.py"), "--output", str(folder))

    step(2, "Pack model and handler into a .mar archive")
    run(
        *HOMEPORT, "pack", "--force", "--model-name", NAME,
        "--serialized-file", str(folder / "model.pt"),
        "--handler", str(EXAMPLE / "handler.py"),
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
        print(f"\nDone in {took:.0f} s.")
        if sys.stdin.isatty() and not arguments.exit:
            print("Go on in another terminal with:")
            print(next_commands(folder, url))
            print("\nThe server runs until you press Ctrl-C.")
            signal.pause()
    print("\nThe server is stopped. Start it again, and the endpoint answers again:")
    print(start_command(folder, url))
    print("\nThen, in another terminal:")
    print(next_commands(folder, url))


def check_free(data: pathlib.Path, port: int) -> None:
    """End before the training if the server could not start after it."""
    if port:
        with socket.socket() as probe:
            # As the server does: a port that was just left may be taken again.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                sys.exit(
                    f"port {port} is taken: take a free one with --port 0, "
                    "or make demo DEMO='--port 0'"
                )
    if (data / "lock").exists():
        with (data / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                sys.exit(
                    f"another server uses {data}: stop it, or take another folder with "
                    "--folder, or make demo DEMO='--port 0 --folder demo2'"
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


def start_command(folder: pathlib.Path, url: str) -> str:
    port = url.rpartition(":")[2]
    return f"{ACTIVATE}  homeport serve --port {port} --data-dir {folder / 'data'}"


def next_commands(folder: pathlib.Path, url: str) -> str:
    commands = (
        f"export HOMEPORT_URL={url}",
        f"homeport predict {NAME} --file {folder / 'held_out/0.png'}",
        "homeport models list",
        "homeport endpoints list",
        f"homeport logs {NAME}",
        f"homeport deploy --traffic 20 {folder / NAME}.mar    # a second version",
        f"homeport traffic {NAME} v2=100    # promote it",
    )
    return ACTIVATE + "\n".join(f"  {command}" for command in commands)


if __name__ == "__main__":
    main()
