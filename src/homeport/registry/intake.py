"""Intake: what an upload brings, taken in and proven before it is registered."""

import dataclasses
import datetime as dt
import pathlib
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from homeport.archive import framework
from homeport.checking import report as reports
from homeport.checking.apart import CheckError, Subject
from homeport.checking.ending import Ending
from homeport.checking.report import Report, Stage, Verdict
from homeport.errors import Code, FailedPreconditionError
from homeport.registry import configuration, papers
from homeport.registry.artifacts import Artifacts
from homeport.registry.papers import Papers
from homeport.resources import images
from homeport.resources.check import Check, CheckPolicy, CheckState
from homeport.resources.model import Artifact, ContainerSpec, VersionSpec
from homeport.resources.operation import Failure
from homeport.resources.torchserve import TorchServeWords

_NOT_RUN: Final = "nothing was run: this server registers with --check-policy none"


class Checker(Protocol):
    """Runs an archive; `homeport.checking.apart` is the server's."""

    def check(
        self, read: Callable[[], pathlib.Path], subject: Subject, ending: Ending
    ) -> Report:
        """Return what the archive is found to be; a fault of it is in the report.

        Args:
            read: Checks the archive and returns the folder it is laid out in.
            subject: What goes with it.
            ending: Through which it can be ended from another thread.

        Raises:
            CancelledError: It was ended so.
            CheckError: It could not be found out, by no fault of the archive.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What an upload brings.

    Attributes:
        check: What was proven.
        artifact: Its bytes, None for an image alone.
        words: Of its archive and the version's variables, what does not act yet.
        lock: What its environment is built from, "" for the server's own.
        notes: Sentences about what has no effect.
        failures: What failed and does not keep it from being registered.
        papers: What tells people what it is.
        framework: What its weights were saved with, "" where that cannot be told.
    """

    check: Check
    artifact: Artifact | None = None
    words: TorchServeWords = dataclasses.field(default_factory=TorchServeWords)
    lock: str = ""
    notes: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    papers: Papers = dataclasses.field(default_factory=Papers)
    framework: str = ""


class Intake:
    """Takes in what versions are made of.

    Args:
        artifacts: Where bytes are taken in.
        checker: Proves archives.
        policy: What is demanded of them.
        now: The time, aware.
    """

    def __init__(
        self,
        artifacts: Artifacts,
        checker: Checker,
        policy: CheckPolicy,
        now: Callable[[], dt.datetime],
    ) -> None:
        self._artifacts = artifacts
        self._checker = checker
        self._policy = policy
        self._now = now

    def runs(self, spec: VersionSpec) -> bool:
        """Tell whether `take_in` will run what the upload brings."""
        return self._policy is not CheckPolicy.NONE and _is_ours(spec)

    def takes_long(self, spec: VersionSpec) -> bool:
        """Tell whether `take_in` will run what the upload brings, or fetch it."""
        fetches = self._artifacts.comes_from_elsewhere(spec.artifact_uri)
        return self.runs(spec) or (bool(spec.artifact_uri) and fetches)

    def take_in(self, spec: VersionSpec, ending: Ending) -> Found:
        """Return what lies at the upload's address, read and, by policy, run.

        Args:
            spec: The upload.
            ending: Through which its check can be ended from another thread.

        Raises:
            CancelledError: It was ended so.
            NotFoundError: Nothing lies there.
            InvalidArgumentError: The archive is broken or hostile, or a word in it or
                beside it cannot be.
            FailedPreconditionError: There is no archive, or not one; or the policy
                requires a check, and it failed.
        """
        artifact = (
            self._artifacts.stage(spec.artifact_uri) if spec.artifact_uri else None
        )
        if artifact is None or not _is_ours(spec):
            exempt = self._unproven(CheckState.EXEMPT, _exempt(spec))
            beside = papers.beside(self._artifacts, artifact) if artifact else Papers()
            paths = [file.path for file in artifact.files] if artifact else []
            return Found(
                exempt,
                artifact,
                notes=beside.notes,
                papers=beside,
                framework=framework.of_names(paths),
            )
        variables = configuration.environment(spec.container)
        settings = configuration.read(self._artifacts, artifact, variables)
        told = papers.of_archive(self._artifacts, artifact)
        found = Found(
            self._unproven(CheckState.UNCHECKED, _NOT_RUN),
            artifact,
            settings.words,
            configuration.lock(self._artifacts, artifact),
            settings.notes + told.notes,
            papers=told,
            framework=self._artifacts.framework_of(
                self._artifacts.archive_of(artifact)
            ),
        )
        if not self.runs(spec):
            return found
        return self._prove(found, artifact, variables, ending)

    def _prove(
        self,
        found: Found,
        artifact: Artifact,
        variables: Mapping[str, str],
        ending: Ending,
    ) -> Found:
        try:
            report = self._report(artifact, variables, ending)
        except CheckError as error:
            if self._policy is CheckPolicy.REQUIRE:
                raise
            return self._not_found_out(found, error)
        failed = report.failure
        if failed is not None and self._policy is CheckPolicy.REQUIRE:
            raise FailedPreconditionError(_storable(_refusal(failed)))
        return self._judged(found, report)

    def prove_again(
        self, artifact: Artifact, container: ContainerSpec | None, ending: Ending
    ) -> Found:
        """Return what the archive of a version is found to be now, by whatever policy.

        Args:
            artifact: It holds one archive.
            container: The version's.
            ending: Through which its check can be ended from another thread.

        Raises:
            CancelledError: It was ended so.
            CheckError: It could not be found out.
        """
        variables = configuration.environment(container)
        unproven = Found(self._unproven(CheckState.UNCHECKED, _NOT_RUN), artifact)
        report = self._report(artifact, variables, ending)
        return self._judged(unproven, report)

    def _report(
        self, artifact: Artifact, variables: Mapping[str, str], ending: Ending
    ) -> Report:
        subject = Subject(
            variables,
            configuration.beside(self._artifacts, artifact),
            self._artifacts.archive_of(artifact).size_bytes,
        )
        return self._checker.check(
            lambda: self._artifacts.lay_out(artifact), subject, ending
        )

    def _judged(self, found: Found, report: Report) -> Found:
        failed = report.failure
        state = CheckState.PASSED if failed is None else CheckState.FAILED
        detail = _passed(report) if failed is None else _storable(_failed(failed))
        return dataclasses.replace(
            found,
            check=Check(state, detail, reports.to_json(report), self._now()),
            lock=report.lock or found.lock,
            notes=found.notes + tuple(map(_storable, report.warnings)),
            failures=(
                () if failed is None else (Failure(Code.FAILED_PRECONDITION, detail),)
            ),
        )

    def _not_found_out(self, found: Found, error: CheckError) -> Found:
        detail = f"the check could not be carried out: {error.message}"
        return dataclasses.replace(
            found,
            check=self._unproven(CheckState.UNCHECKED, detail),
            failures=(Failure(error.code, detail),),
        )

    def _unproven(self, state: CheckState, detail: str) -> Check:
        return Check(state, detail, time=self._now())


def _is_ours(spec: VersionSpec) -> bool:
    image = spec.container.image_uri if spec.container else ""
    return bool(spec.artifact_uri) and images.runs_archives(image)


def _exempt(spec: VersionSpec) -> str:
    image = spec.container.image_uri if spec.container else ""
    return f"only archives are checked, and {image} is an image that runs by itself"


def _passed(report: Report) -> str:
    skipped = [one for one in report.stages if one.verdict is Verdict.SKIPPED]
    predicted = all(one.name is not reports.StageName.PREDICT for one in skipped)
    if predicted:
        return "it loads and predicts its sample"
    return "it loads; the archive has no sample to predict"


def _failed(stage: Stage) -> str:
    return f"the check failed at {stage.name.value!r}: {_because(stage)}"


def _refusal(stage: Stage) -> str:
    told = f"not registered, as {_failed(stage)}"
    return f"{told}\n{stage.traceback}" if stage.traceback else told


def _because(stage: Stage) -> str:
    return f"{stage.cause}. {stage.remedy}" if stage.remedy else stage.cause


def _storable(text: str) -> str:
    """Return what authors raised as text that every database keeps."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
