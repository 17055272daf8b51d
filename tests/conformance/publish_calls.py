"""Runs commands and told calls, one after the other, in a process that has the SDK.

Reads a JSON list of steps by name from standard input, prints what came of each as one
JSON object. A step is the words of a command, or Python, with variables beside; where
one of them is SIGINT or SIGTERM, it is the address of a service that sends this signal
to who asks it.
"""

import contextlib
import dataclasses
import json
import os
import signal
import sys
import threading
import warnings
from typing import Any

warnings.simplefilter("ignore")

import command_line  # noqa: E402  # warnings come first
from answering import Answer, answering  # noqa: E402  # as above

ASKING = threading.get_ident()


def signalling(number: signal.Signals) -> Answer:
    """Return what knows nothing, and signals whoever lists objects or registers.

    Nothing else: a thread of the storage client's own asks for the bucket.
    """

    def answer(method: str, path: str) -> dict[str, Any]:
        del method
        if path.partition("?")[0].endswith(("/o", "/models:upload")):
            signal.pthread_kill(ASKING, number)
        return {}

    return answer


def run(step: dict[str, Any], places: dict[str, str]) -> dict[str, Any]:
    """Return what came of one step.

    Args:
        step: What is run.
        places: Addresses by the words that stand for them.
    """
    if "python" in step:
        with contextlib.redirect_stdout(sys.stderr):
            exec(step["python"], {})  # noqa: S102  # that is the test
        return {}
    for name in step.get("without", ()):
        os.environ.pop(name, None)
    url = os.environ["HOMEPORT_URL"]
    words = [places.get(word, word) for word in step["words"]]
    variables = {
        name: places.get(value, value) for name, value in step.get("with", {}).items()
    }
    ended = command_line.run(*words, url=url, **variables)
    return dataclasses.asdict(ended)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with (
        answering(signalling(signal.SIGINT)) as interrupting,
        answering(signalling(signal.SIGTERM)) as terminating,
    ):
        there = {"SIGINT": interrupting, "SIGTERM": terminating}
        seen = {name: run(step, there) for name, step in json.load(sys.stdin)}
    # Behind what the SDK itself prints.
    sys.stdout.write("\n" + json.dumps(seen))
