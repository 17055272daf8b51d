"""Calls of a client library, run in its own environment; how each failed is printed."""

import json
import sys
import traceback
from collections.abc import Callable, Mapping


def run(calls: Mapping[str, Callable[[], None]]) -> None:
    """Make every call and print call -> its traceback, "" where it went well."""
    results = {}
    for name, call in calls.items():
        try:
            call()
            results[name] = ""
        except Exception:  # noqa: BLE001  # whatever fails is the result
            results[name] = traceback.format_exc(limit=-6)
    sys.stdout.write(json.dumps(results) + "\n")


def failing(call: Callable[[], object]) -> type[Exception]:
    """Return what a call fails with."""
    try:
        call()
    except Exception as error:  # noqa: BLE001  # its type is what is asked for
        return type(error)
    raise AssertionError("it went well")
