"""Lineage: where a version comes from, as those say who made it."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final

from homeport.errors import InvalidArgumentError
from homeport.resources.check import Check
from homeport.resources.model import ModelVersion

MAX_ENTRIES: Final = 64
MAX_VALUE: Final = 1024  # characters
# Of an upload's labels, those that are lineage too: the official clients send labels.
LABEL_PREFIX: Final = "lineage_"
# Of an upload's `metadata`, which is free JSON.
METADATA_KEY: Final = "homeportLineage"
# Where a request says who uploads, when it cannot send a header.
UPLOADED_BY: Final = "uploaded_by"
# What the server alone knows: the digest of the lock.
LOCK: Final = "lock"

_KEY_RE: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclasses.dataclass(frozen=True, slots=True)
class Provenance:
    """Everything known of where a version comes from.

    Attributes:
        version: What it is, its artifact and its words.
        lineage: What was said of it, and what the server adds.
        check: What came of checking it.
    """

    version: ModelVersion
    lineage: Mapping[str, str]
    check: Check


def check_lineage(lineage: Mapping[str, str], where: str, *reserved: str) -> None:
    """Refuse lineage that breaks its rules.

    Args:
        lineage: By key.
        where: It was given, for the message.
        reserved: Keys that cannot be given there.

    Raises:
        InvalidArgumentError: Too many entries, a key or value that cannot be, or a
            reserved key.
    """
    if len(lineage) > MAX_ENTRIES:
        raise InvalidArgumentError(
            f"{where} has {len(lineage)} entries: at most {MAX_ENTRIES}"
        )
    for key, value in lineage.items():
        if not _KEY_RE.fullmatch(key):
            raise InvalidArgumentError(
                f"{where}: the key {key!r:.80} is not up to 63 lower-case letters, "
                "digits and '_', beginning with a letter"
            )
        if key in reserved:
            raise InvalidArgumentError(
                f"{where}: {key} is what the server finds out: leave it out"
            )
        if not value or len(value) > MAX_VALUE or not value.isprintable():
            raise InvalidArgumentError(
                f"{where}: {key} is {value!r:.80}: 1 to {MAX_VALUE} printable "
                "characters"
            )


def of_request(
    metadata: object, labels: Mapping[str, str], pipeline_job: object
) -> dict[str, str]:
    """Return the lineage that an upload says in fields that every client can send.

    Of a key that is said twice, `metadata` goes first, then labels, then the job.

    Args:
        metadata: The model's, any JSON; `homeportLineage` in it is an object of texts.
        labels: The version's; those that begin with `lineage_`.
        pipeline_job: Its name is the run, None for none.

    Raises:
        InvalidArgumentError: `homeportLineage` is something else.
    """
    said = {"run": pipeline_job} if isinstance(pipeline_job, str) else {}
    for label, value in labels.items():
        key = label.removeprefix(LABEL_PREFIX)
        # A label may have other letters than a key, and no value.
        if label != key and value and key != LOCK and _KEY_RE.fullmatch(key):
            said[key] = value
    return {**said, **_of_metadata(metadata)}


def _of_metadata(metadata: object) -> dict[str, str]:
    given: Any = metadata.get(METADATA_KEY, {}) if isinstance(metadata, dict) else {}
    if not isinstance(given, dict) or not all(
        isinstance(value, str) for value in given.values()
    ):
        raise InvalidArgumentError(
            f"model.metadata.{METADATA_KEY} is no object of texts: give it as "
            '{"run": "...", "dataset": "..."}'
        )
    check_lineage(given, f"model.metadata.{METADATA_KEY}", LOCK)
    return dict(given)
