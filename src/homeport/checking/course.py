"""The stages of one check as they pass, in their order; the first failure ends it."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

from homeport.checking import failures
from homeport.checking.failures import Failure
from homeport.checking.report import Stage, StageName, Verdict
from homeport.errors import HomeportError
from homeport.worker.redaction import redacted


class StageFailedError(Exception):
    """A stage failed and was noted; the stages after it have nothing to work on."""


@dataclasses.dataclass(slots=True)
class Running:
    """A stage under way; `detail` is what it will be reported with."""

    detail: str = ""


class Course:
    """Notes each stage once, in order, and tells of it.

    Args:
        on_stage: Called with each stage when it has ended.
        environment: Variables whose values no stage tells.
    """

    def __init__(
        self, on_stage: Callable[[Stage], None], environment: Mapping[str, str]
    ) -> None:
        self._on_stage = on_stage
        self._environment = environment
        self._stages: list[Stage] = []

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Those that were noted."""
        return tuple(self._stages)

    @contextlib.contextmanager
    def stage(
        self, name: StageName, ours: tuple[type[HomeportError], ...] = ()
    ) -> Iterator[Running]:
        """Run one stage: it passes, unless a HomeportError ends it.

        Args:
            name: Which one.
            ours: Errors that are no fault of the archive, and pass through.

        Raises:
            StageFailedError: It did.
        """
        running = Running()
        began = time.perf_counter()
        try:
            yield running
        except ours:
            raise
        except HomeportError as error:
            self.fail(name, time.perf_counter() - began, failures.told(error))
        self.pass_(name, time.perf_counter() - began, running.detail)

    def pass_(self, name: StageName, seconds: float, detail: str = "") -> None:
        """Note that a stage passed."""
        self._note(Stage(name, Verdict.PASSED, seconds, detail))

    def skip(self, name: StageName, why: str) -> None:
        """Note that a stage had nothing to do."""
        self._note(Stage(name, Verdict.SKIPPED, detail=why))

    def fail(self, name: StageName, seconds: float, failure: Failure) -> NoReturn:
        """Note that a stage failed.

        Raises:
            StageFailedError: Always.
        """
        self._note(Stage(name, Verdict.FAILED, seconds, **dataclasses.asdict(failure)))
        raise StageFailedError

    def clean(self, text: str) -> str:
        """Return the text without values of variables and halves of characters."""
        (clean,) = redacted(
            [text.encode("utf-8", "replace").decode()], self._environment
        )
        return clean

    def end(self) -> None:
        """Note all stages that were not reached as skipped."""
        last = self._stages[-1].name if self._stages else ""
        left = list(StageName)[len(self._stages) :]
        for name in left:
            self.skip(name, f"{last} failed")

    def _note(self, stage: Stage) -> None:
        expected = list(StageName)[len(self._stages)]
        if stage.name is not expected:
            raise RuntimeError(f"{stage.name} was noted where {expected} comes next")
        stage = dataclasses.replace(
            stage,
            detail=self.clean(stage.detail),
            cause=self.clean(stage.cause),
            remedy=self.clean(stage.remedy),
            traceback=self.clean(stage.traceback),
        )
        self._stages.append(stage)
        self._on_stage(stage)
