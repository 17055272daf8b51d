"""Check: what came of proving a version when it was registered."""

import dataclasses
import datetime as dt
import enum


class CheckPolicy(enum.StrEnum):
    """What registering a version demands of its archive."""

    NONE = "none"
    WARN = "warn"
    REQUIRE = "require"


class CheckState(enum.StrEnum):
    """How a version stands."""

    PASSED = "passed"
    FAILED = "failed"
    EXEMPT = "exempt"
    UNCHECKED = "unchecked"


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """What is stored with a version about its check.

    Attributes:
        state: How it stands.
        detail: One sentence for people.
        report: The server's own report as JSON text, "" where nothing was run.
        time: When it ended, UTC; None where it was never asked for.
    """

    state: CheckState
    detail: str
    report: str = ""
    time: dt.datetime | None = None
