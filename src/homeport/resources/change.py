"""Change: one line of the history, which is only ever added to."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping
from typing import Any, Final

from homeport.errors import InvalidArgumentError
from homeport.resources.names import Parent

ANONYMOUS: Final = "anonymous"
# What the server does by itself, carrying out what somebody asked for.
SERVER: Final = "homeport"
MAX_CALLER: Final = 128  # characters


class ChangeKind(enum.StrEnum):
    """What changed."""

    MODEL = "model"
    VERSION = "version"
    ALIAS = "alias"
    README = "readme"
    EVALUATION = "evaluation"
    ENDPOINT = "endpoint"
    DEPLOYED_MODEL = "deployed_model"
    BATCH_PREDICTION_JOB = "batch_prediction_job"


class ChangeAction(enum.StrEnum):
    """What was done to it; FOUND is how it stood when the history began."""

    FOUND = "found"
    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """What a change is of.

    Attributes:
        parent: Project and location.
        resource: `models/{id}` or `endpoints/{id}`.
        kind: What of it.
        key: The alias, or the id of the version (for its README too), evaluation,
            deployed model or batch prediction job; "" for the model or endpoint itself.
    """

    parent: Parent
    resource: str
    kind: ChangeKind
    key: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One thing that was changed, once.

    Attributes:
        sequence: Later ones have greater numbers.
        time: UTC.
        caller: Who asked for it, by their own account.
        subject: What changed.
        before: How it stood, in wire JSON; None if it was not there.
        after: How it stands since; None if it is gone.
        action: What was done.
    """

    sequence: int
    time: dt.datetime
    caller: str
    subject: Subject
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    action: ChangeAction


@dataclasses.dataclass(frozen=True, slots=True)
class AliasPoint:
    """Which version carried an alias at a time.

    Attributes:
        version: Its id, "" for none.
        change: The one that made it so.
    """

    version: str
    change: Change


def action_of(before: object | None, after: object | None) -> ChangeAction:
    """Return what a change from one state to another is called."""
    if before is None:
        return ChangeAction.CREATED
    return ChangeAction.DELETED if after is None else ChangeAction.UPDATED


def check_caller(caller: str) -> str:
    """Return what somebody calls themselves, "anonymous" for nothing.

    Raises:
        InvalidArgumentError: Longer than a name, or unprintable.
    """
    name = caller.strip()
    if len(name) > MAX_CALLER or not name.isprintable():
        raise InvalidArgumentError(
            f"caller {name!r:.80} has {len(name)} characters: at most {MAX_CALLER}, "
            "all of them printable"
        )
    return name or ANONYMOUS
