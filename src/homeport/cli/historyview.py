"""Changes as a table: what, by whom, and how it stood before and after."""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from homeport.cli import output
from homeport.cli.texts import printable
from homeport.client import history as histories
from homeport.client import resources
from homeport.client.connection import Connection
from homeport.client.history import Change
from homeport.errors import InvalidArgumentError, NotFoundError


def name_of(connection: Connection, kind: str, wanted: str) -> str:
    """Return a full name; what is gone and has a history is taken at its word.

    Raises:
        NotFoundError: It never was.
    """
    try:
        there = resources.found(connection, kind, wanted)
        return str(there["name"]).partition("@")[0]
    except NotFoundError:
        parent = connection.address.parent
        name = wanted if "/" in wanted else f"{parent}/{kind}/{wanted}"
        with contextlib.suppress(InvalidArgumentError):
            if next(histories.changes(connection, name), None) is not None:
                return name
        raise


def show(found: list[Change]) -> None:
    """Print a row for each change, nothing for none."""
    if not found:
        return
    rows = [
        [
            one.time,
            who(one),
            printable(f"{one.kind} {one.key}".strip()),
            one.action,
            _state(one.before, one.after),
            _state(one.after, one.before),
        ]
        for one in found
    ]
    output.table(["TIME", "WHO", "WHAT", "DONE", "BEFORE", "AFTER"], rows)


def who(change: Change) -> str:
    """Return who asked for a change, by their own account."""
    return printable(change.caller) or "unknown"


def _state(state: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return what of a state is not so in the other."""
    told = {key: state[key] for key in state if state[key] != other.get(key)}
    texts = (f"{key}={json.dumps(told[key], ensure_ascii=False)}" for key in told)
    return printable(" ".join(texts))
