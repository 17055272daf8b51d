"""How a check fails: every cause and remedy that is worded here, and no other place.

What the author's code raised is worded by `worker.loading`, what is wrong with an
archive by `archive`, what cannot be resolved or built by `environments`.
"""

import dataclasses
from collections.abc import Sequence
from typing import Final

from homeport.checking.comparison import Difference
from homeport.checking.report import StageName
from homeport.errors import FailedPreconditionError, HomeportError
from homeport.packing.imports import Import, Kind
from homeport.worker import distributions
from homeport.worker.examination import Examination
from homeport.worker.replica import ReplicaLoadError

_DOING: Final = {
    StageName.IMPORT: "while it imported the handler",
    StageName.LOAD: "while it loaded the model",
    StageName.PREDICT: "while it predicted the sample",
    StageName.BATCH: "while it predicted two samples together",
    StageName.MEASURE: "while it predicted the sample again",
}
_SLOW: Final = {
    StageName.IMPORT: "importing the handler",
    StageName.LOAD: "loading the model",
    StageName.PREDICT: "predicting the sample",
    StageName.BATCH: "predicting two samples together",
    StageName.MEASURE: "predicting the sample again",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """Why a stage failed; see `report.Stage` for what the fields hold."""

    cause: str
    remedy: str = ""
    traceback: str = ""
    detail: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Allowance:
    """The time that something may take.

    Attributes:
        seconds: How long.
        source: Where the archive or the deployment sets it, "" for the check itself.
        option: What sets it for the check itself.
    """

    seconds: float
    source: str = ""
    option: str = "--timeout"


class FaultError(FailedPreconditionError):
    """A stage found a fault of the archive."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.cause)
        self.failure = failure


def told(error: HomeportError) -> Failure:
    """Return the failure that an error is, whose sentence ends with the remedy."""
    if isinstance(error, FaultError):
        return error.failure
    if isinstance(error, ReplicaLoadError):
        return Failure(error.cause, error.remedy, error.traceback)
    return Failure(error.message)


def not_provided(lacking: Sequence[Import], where: str) -> FaultError:
    """Return the error for imports that nothing provides.

    Args:
        lacking: At least one; the first is told in full.
        where: It should come from, as in "the lock".
    """
    first = lacking[0]
    return _lacks(lacking, f"which {where} does not have", remedy_of(first))


def not_locked(lacking: Sequence[Import], source: str) -> FaultError:
    """Return the error for imports that no package of a lock provides.

    Args:
        lacking: At least one; the first is told in full.
        source: Of the lock, as in "requirements.txt".
    """
    first = lacking[0]
    remedy = _listing(first)
    if first.kind is Kind.MISSING:
        remedy = _missing_remedy(first)
    said = f"which is neither in the archive nor in a package of its {source}"
    return _lacks(lacking, said, remedy)


def _lacks(lacking: Sequence[Import], said: str, remedy: str) -> FaultError:
    first = lacking[0]
    others = sorted({one.module for one in lacking} - {first.module})
    also = f"; nor {', '.join(others)}" if others else ""
    return FaultError(
        Failure(
            f"{first.where} imports {first.module}, {said}{also}",
            f"{remedy[:1].upper()}{remedy[1:]}.",
        )
    )


def remedy_of(lacking: Import) -> str:
    """Return what to do about an import that nothing provides, without a full stop."""
    return lacking.remedy or _listing(lacking)


def _listing(found: Import) -> str:
    return (
        f"list {found.distribution}=={found.version or 'VERSION'} in the requirements "
        "file and pack the archive again with it"
    )


def _missing_remedy(found: Import) -> str:
    """Return what to do; installing it here would not bring it into the lock."""
    if not found.distribution:
        return found.remedy
    if found.implied or distributions.is_renamed(found.module):
        return _listing(found)
    top = found.module.partition(".")[0]
    return (
        f"if {top} is code of yours, give it with --extra-files; if it is a package, "
        f"{_listing(found)}"
    )


def ended(stage: StageName, how: str, printed: Sequence[str]) -> Failure:
    """Return the failure of a worker that ended; `how` as in "exited with code 3"."""
    passive = "was " if how.startswith("killed") else ""
    return Failure(
        f"the worker process {passive}{how} {_DOING[stage]}",
        "Let the handler raise an exception where something is wrong, instead of "
        "ending the process; a process that was killed may have needed more memory "
        "than there is.",
        detail=_last_words(printed),
    )


def too_slow(stage: StageName, allowed: Allowance, printed: Sequence[str]) -> Failure:
    """Return the failure of a stage that did not end."""
    said = f" ({allowed.source})" if allowed.source else ""
    return Failure(
        f"{_SLOW[stage]} did not end within {allowed.seconds:g} s{said}",
        "Look for what it waits for, such as a download or a lock, or allow more time "
        f"with {allowed.source or allowed.option}.",
        detail=_last_words(printed),
    )


def refused(examined: Examination) -> Failure:
    """Return the failure of a call that its request or the handler failed."""
    remedy = examined.remedy or "Correct the handler or the sample, and pack again."
    if examined.traceback:
        # Mostly it took its rows for something else, which other servers send.
        remedy += " 'homeport check --explain-payload' shows what a handler receives."
    return Failure(examined.cause, remedy, examined.traceback)


def not_sendable(examined: Examination) -> Failure:
    """Return the failure of a result that is no JSON."""
    return Failure(
        examined.cause,
        examined.remedy
        or "Return lists, dicts, texts and numbers from postprocess, and pack again.",
        examined.traceback,
    )


def failed_again(message: str) -> FaultError:
    """Return the error for a sample that was answered at first and then not."""
    return FaultError(
        Failure(
            f"the sample was answered once, and then failed: {message}",
            "Look for what the handler keeps from one call to the next.",
        )
    )


def differs(difference: Difference) -> Failure:
    """Return the failure of predictions that are not the expected ones."""
    return Failure(
        str(difference),
        "Correct the handler or the weights; if the new prediction is the right one, "
        "keep it with --save-predictions and pack it with --expected.",
    )


def mixes_requests(batch_size: int, difference: Difference) -> Failure:
    """Return the failure of a batching archive whose requests touch each other."""
    return Failure(
        f"the archive's batchSize is {batch_size}, and two requests that share a call "
        f"are answered otherwise than alone: {difference}",
        "Let the handler answer each row by itself and in order, or set batchSize to "
        "1 in the model's config file.",
    )


def batches_fail(batch_size: int) -> str:
    """Return the warning for an archive whose batches are taken apart again."""
    return (
        f"the archive's batchSize is {batch_size}, and a call with two requests fails: "
        "each is then tried alone, so batches cost time and win none"
    )


def _last_words(printed: Sequence[str]) -> str:
    return f"it printed last: {' / '.join(printed)}" if printed else ""
