"""MAR-INF/lineage.json: where a model comes from, said by who packed it.

It travels in the archive, so it is hostile input as the rest. A law:
`parse(serialize(lineage)) == lineage`.
"""

import json
from collections.abc import Mapping
from typing import Final

from homeport.errors import InvalidArgumentError
from homeport.resources.lineage import LOCK, UPLOADED_BY, check_lineage

PATH: Final = "MAR-INF/lineage.json"
MAX_BYTES: Final = 1 << 20


def parse(text: bytes) -> dict[str, str]:
    """Return what `text`, a lineage.json, holds.

    Raises:
        InvalidArgumentError: Over 1 MiB, no JSON object of texts, or lineage that
            breaks its rules.
    """
    if len(text) > MAX_BYTES:
        raise InvalidArgumentError(
            f"{PATH} has {len(text)} bytes, the limit is {MAX_BYTES}: say less"
        )
    try:
        document = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            f"{PATH} is not valid JSON ({error}): pack the archive again"
        ) from error
    if not isinstance(document, dict) or not all(
        isinstance(value, str) for value in document.values()
    ):
        raise InvalidArgumentError(
            f"{PATH} holds no JSON object of texts: pack the archive again"
        )
    check(document)
    return document


def serialize(lineage: Mapping[str, str]) -> bytes:
    """Return lineage as a lineage.json; equal ones give equal bytes."""
    check(lineage)
    return json.dumps(dict(lineage), indent=2, sort_keys=True).encode() + b"\n"


def check(lineage: Mapping[str, str]) -> None:
    """Refuse what no archive can say.

    Raises:
        InvalidArgumentError: It breaks the rules, or is what a server finds out.
    """
    check_lineage(lineage, PATH, LOCK, UPLOADED_BY)
