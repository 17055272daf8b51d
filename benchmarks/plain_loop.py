"""What anybody would write: read lines, predict 64 at a time, write lines.

    python benchmarks/plain_loop.py MODEL.pt IN.jsonl OUT.jsonl FIRST_BYTE LAST_BYTE

One process, of several that share a file; no server, no checks, no progress, nothing
to go on from. A line belongs to whom its first byte belongs. It prints the seconds it
took, without importing torch and loading the model.
"""

import pathlib
import sys
import time
import warnings

import orjson
import torch

BATCH = 64


def main() -> None:
    """Predict the lines that begin in the given part of the file."""
    model_path, source, target = map(pathlib.Path, sys.argv[1:4])
    first, last = int(sys.argv[4]), int(sys.argv[5])
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", DeprecationWarning)
    model = torch.jit.load(str(model_path)).eval()
    rows: list[list[float]] = []
    began = time.monotonic()
    with (
        source.open("rb") as lines,
        target.open("wb") as output,
        torch.inference_mode(),
    ):

        def predict() -> None:
            for row, scores in zip(
                rows, model(torch.tensor(rows)).tolist(), strict=True
            ):
                line = {"instance": row, "prediction": scores}
                output.write(orjson.dumps(line) + b"\n")
            rows.clear()

        if first:
            lines.seek(first - 1)
            lines.readline()
        while lines.tell() < last and (line := lines.readline()):
            rows.append(orjson.loads(line))
            if len(rows) == BATCH:
                predict()
        if rows:
            predict()
    print(time.monotonic() - began)


main()
