"""What a check found, stage by stage. A law: `from_json(to_json(report)) == report`."""

import dataclasses
import enum
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from homeport.errors import InvalidArgumentError

# Raised when a reader of the present form would misread the next one.
FORMAT: Final = 1


class Verdict(enum.StrEnum):
    """How a stage ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class StageName(enum.StrEnum):
    """The stages, in the order in which they run and are reported."""

    READ = "read archive"
    IMPORTS = "static imports"
    RESOLVE = "resolve"
    BUILD = "build environment"
    IMPORT = "import handler"
    LOAD = "load model"
    PREDICT = "predict"
    COMPARE = "compare"
    SERIALIZE = "serialize"
    BATCH = "batch"
    MEASURE = "measure"


class Batching(enum.StrEnum):
    """Whether two requests may share a call of the handler."""

    PROVEN = "proven"
    REFUTED = "refuted"
    UNPROVEN = "unproven"


@dataclasses.dataclass(frozen=True, slots=True)
class Stage:
    """How one stage went.

    Attributes:
        name: Which one.
        verdict: How it ended.
        seconds: What it took, 0.0 if it was skipped.
        detail: What was found, or why it was skipped; for people, one line.
        cause: Of a failure: the one true cause, without a final full stop.
        remedy: Of a failure: what to do, one sentence; "" where the cause says it.
        traceback: Of a failure: the author's frames alone, "" if there are none.
    """

    name: StageName
    verdict: Verdict
    seconds: float = 0.0
    detail: str = ""
    cause: str = ""
    remedy: str = ""
    traceback: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class BatchingProof:
    """What is known about calls that hold two requests.

    Attributes:
        verdict: The result.
        reason: One line for people.
    """

    verdict: Batching
    reason: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """The numbers of a check; None is what was not measured.

    Attributes:
        archive_bytes: The archive's own length.
        unpacked_bytes: Its files together.
        environment_bytes: The environment that was built for it.
        peak_memory_bytes: The worker's largest resident set, model and predictions.
        import_s: From the start of the process to the handler's module imported.
        load_s: What initialize took.
        latency_s: The median prediction of the sample, through the worker's socket.
    """

    archive_bytes: int | None = None
    unpacked_bytes: int | None = None
    environment_bytes: int | None = None
    peak_memory_bytes: int | None = None
    import_s: float | None = None
    load_s: float | None = None
    latency_s: float | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of one check.

    Attributes:
        model_name: As the manifest has it, "" if it could not be read.
        stages: Every stage in order, those that were skipped included.
        batching: Whether requests may share a call.
        measures: Sizes, memory, times.
        lock: The text that the environment was built from, "" for the environment that
            the checker itself runs in.
        warnings: What may surprise later, one sentence each.
    """

    model_name: str
    stages: tuple[Stage, ...]
    batching: BatchingProof
    measures: Measures = dataclasses.field(default_factory=Measures)
    lock: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no stage failed."""
        return self.failure is None

    @property
    def failure(self) -> Stage | None:
        """The stage that failed, None if none did."""
        failed = (one for one in self.stages if one.verdict is Verdict.FAILED)
        return next(failed, None)

    @property
    def outcome(self) -> str:
        """How it ended, for people; of one that passed also what it does not prove."""
        if self.failure is not None:
            return Verdict.FAILED.value
        if any(
            one.name is StageName.PREDICT and one.verdict is Verdict.PASSED
            for one in self.stages
        ):
            return Verdict.PASSED.value
        return (
            "passed, as far as loading goes: nothing was predicted, there was no sample"
        )

    @property
    def lock_digest(self) -> str:
        """The sha256 of the lock's text, "" without one."""
        return hashlib.sha256(self.lock.encode()).hexdigest() if self.lock else ""


def to_json(report: Report) -> str:
    """Return the report as a JSON object; `passed` and `lock_digest` are for readers.

    Equal reports give equal text.
    """
    document = {
        "format": FORMAT,
        "passed": report.passed,
        "lock_digest": report.lock_digest,
        **dataclasses.asdict(report),
    }
    return json.dumps(document, indent=2, allow_nan=False)


def from_json(text: str | bytes) -> Report:
    """Return the report that `to_json` wrote.

    Raises:
        InvalidArgumentError: It is no report, or one of another format.
    """
    try:
        return _report(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidArgumentError(
            f"this is no report of a check in format {FORMAT} "
            f"({type(error).__name__}): check the archive again"
        ) from error


def _report(document: Mapping[str, Any]) -> Report:
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']!r:.20}")
    proof = document["batching"]
    return Report(
        model_name=_text(document["model_name"]),
        stages=tuple(_stage(one) for one in document["stages"]),
        batching=BatchingProof(Batching(proof["verdict"]), _text(proof["reason"])),
        measures=_measures(document["measures"]),
        lock=_text(document["lock"]),
        warnings=tuple(_text(one) for one in document["warnings"]),
    )


def _stage(document: Mapping[str, Any]) -> Stage:
    texts = ("detail", "cause", "remedy", "traceback")
    return Stage(
        StageName(document["name"]),
        Verdict(document["verdict"]),
        _seconds(document["seconds"]),
        **{name: _text(document[name]) for name in texts},
    )


def _measures(document: Mapping[str, Any]) -> Measures:
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Measures):
        value = document[field.name]
        if value is not None:
            read = _seconds if field.name.endswith("_s") else _count
            values[field.name] = read(value)
    return Measures(**values)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where text belongs")
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{type(value).__name__} where a whole number belongs")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{type(value).__name__} where seconds belong")
    if not math.isfinite(value):
        raise ValueError("seconds are finite")
    return float(value)
