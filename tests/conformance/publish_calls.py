"""Runs commands and told calls, one after the other, in a process that has the SDK.

Reads a JSON list of steps by name from standard input, prints what came of each as one
JSON object. A step is the words of a command, or Python, with variables beside.
"""

import contextlib
import dataclasses
import json
import os
import sys
import warnings
from typing import Any

warnings.simplefilter("ignore")

import command_line  # noqa: E402  # warnings come first


def run(step: dict[str, Any]) -> dict[str, Any]:
    """Return what came of one step."""
    if "python" in step:
        with contextlib.redirect_stdout(sys.stderr):
            exec(step["python"], {})  # noqa: S102  # that is the test
        return {}
    for name in step.get("without", ()):
        os.environ.pop(name, None)
    url = os.environ["HOMEPORT_URL"]
    ended = command_line.run(*step["words"], url=url, **step.get("with", {}))
    return dataclasses.asdict(ended)


if __name__ == "__main__":
    seen = {name: run(step) for name, step in json.load(sys.stdin)}
    # Behind what the SDK itself prints.
    sys.stdout.write("\n" + json.dumps(seen))
