"""Changing what may change of a model or a version: its words and its labels."""

import datetime as dt
from collections.abc import Mapping
from typing import Final

from homeport.errors import AbortedError, FailedPreconditionError
from homeport.metadata import model_word_rows
from homeport.metadata.database import Transaction
from homeport.resources.labels import check_labels
from homeport.resources.model import (
    ModelPatch,
    check_display_name,
    is_stale,
)
from homeport.resources.names import ModelName

_OF_MODEL: Final = ("display_name", "description")
_OF_VERSION: Final = ("version_description",)


def check(name: ModelName, patch: ModelPatch) -> None:
    """Refuse a patch that the name's level does not have, or that breaks a rule.

    Raises:
        FailedPreconditionError: A field of the model for a version, or the reverse.
        InvalidArgumentError: A name or label breaks its rules.
    """
    level, other, wrong = (
        ("version", "model", _OF_MODEL)
        if name.version
        else ("model", "version", _OF_VERSION)
    )
    given = [field for field in wrong if getattr(patch, field) is not None]
    if given:
        # UpdateModelRequest.model (aiplatform v1): a mismatch is a precondition error.
        raise FailedPreconditionError(
            f"{name} names a {level}, and {', '.join(given)} belongs to its {other}: "
            f"send a request of its own that names the {other}",
            resource=str(name),
        )
    if patch.display_name is not None:
        check_display_name(patch.display_name)
    check_labels(patch.labels or {})
    check_labels(_without_removed(patch.label_changes))


def apply(
    transaction: Transaction,
    name: ModelName,
    etag: str,
    patch: ModelPatch,
    now: dt.datetime,
) -> None:
    """Write a checked patch.

    Args:
        transaction: Where.
        name: A version by its id, or the model itself.
        etag: As it stands.
        patch: What to change.
        now: The time of the change.

    Raises:
        AbortedError: Somebody changed it since the patch's etag was read.
    """
    if patch.etag and is_stale(patch.etag, etag):
        # AIP-154: a stale etag is ABORTED.
        raise AbortedError(
            f"{name} was changed since etag {patch.etag!r} was read: read it again "
            "and retry",
            resource=str(name),
        )
    model_word_rows.update(transaction, name, patch, now)
    if patch.labels is not None:
        model_word_rows.replace_labels(transaction, name, patch.labels)
    if patch.label_changes:
        own = model_word_rows.own_labels(transaction, name)
        changed = _without_removed({**own, **patch.label_changes})
        model_word_rows.replace_labels(transaction, name, changed)


def _without_removed(labels: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if value is not None}
