"""A whole check: is this archive what its author thinks it is?

It runs in the worker that serves, in the environment that will be built. It blocks, so
a server calls it from a thread.
"""

import asyncio
import contextlib
import dataclasses
import pathlib
import types
from collections.abc import Callable, Mapping
from typing import Final

from homeport.archive import folder
from homeport.archive import golden as golden_file
from homeport.archive.golden import Golden
from homeport.archive.inventory import Inventory
from homeport.checking import measuring
from homeport.checking.course import Course, StageFailedError
from homeport.checking.report import Measures, Report, Stage, StageName
from homeport.checking.trial import NOT_REACHED, Trial
from homeport.environments.build import Environments
from homeport.errors import DataLossError, NotFoundError, ResourceExhaustedError
from homeport.worker.replica import ReplicaSpec

DEFAULT_TIMEOUT_S: Final = 120.0
# Of this machine, whatever the archive is.
_OURS: Final = (ResourceExhaustedError, DataLossError)
_NO_VARIABLES: Final[Mapping[str, str]] = types.MappingProxyType({})


@dataclasses.dataclass(frozen=True, slots=True)
class _Settings:
    environments: Environments
    scratch_dir: pathlib.Path
    timeout_s: float
    on_predictions: Callable[[str], None]


class Checker:
    """Checks archives, one after the other or several at once.

    Args:
        environments: Where the environments of locks are.
        scratch_dir: Where workers have their private directories; it is there.
        timeout_s: For each of import, load and prediction.
        on_predictions: Receives the answer to each archive's sample, as JSON.
    """

    def __init__(
        self,
        environments: Environments,
        scratch_dir: pathlib.Path,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        on_predictions: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._settings = _Settings(environments, scratch_dir, timeout_s, on_predictions)

    def check(
        self,
        read: Callable[[], pathlib.Path],
        *,
        golden: Golden | None = None,
        environment: Mapping[str, str] = _NO_VARIABLES,
        server_config: str = "",
        archive_bytes: int | None = None,
        on_stage: Callable[[Stage], None] = lambda _stage: None,
    ) -> Report:
        """Return what one archive is found to be; a fault of it is in the report.

        Args:
            read: Checks the archive and returns the folder it is laid out in, which is
                not written into.
            golden: The sample to predict, None for the one in the archive.
            environment: The deployment's variables.
            server_config: The text of the config.properties beside the archive.
            archive_bytes: The archive's own length, for the report.
            on_stage: Called with each stage when it has ended.

        Raises:
            HomeportError: `read` met a fault of this machine, not of the archive.
        """
        course = Course(on_stage, environment)
        check = _Check(self._settings, course, environment)
        with contextlib.suppress(StageFailedError):
            check.run(read, golden, server_config)
        course.end()
        return check.report(archive_bytes)


class _Check:
    """One check under way."""

    def __init__(
        self, settings: _Settings, course: Course, environment: Mapping[str, str]
    ) -> None:
        self._settings = settings
        self._course = course
        self._environment = environment
        self._inventory: Inventory | None = None
        self._trial: Trial | None = None

    def run(
        self,
        read: Callable[[], pathlib.Path],
        golden: Golden | None,
        server_config: str,
    ) -> None:
        with self._course.stage(StageName.READ, (NotFoundError, *_OURS)) as stage:
            model_dir = read()
            self._inventory = folder.check(model_dir)
            stage.detail = _summary(self._inventory)
            sample = golden or _golden_in(model_dir)
        self._course.skip(StageName.IMPORTS, "not looked at")
        why = "no requirements: Homeport's own environment"
        self._course.skip(StageName.RESOLVE, why)
        self._course.skip(StageName.BUILD, why)
        spec = ReplicaSpec(
            model_dir,
            self._environment,
            self._settings.timeout_s,
            scratch_dir=self._settings.scratch_dir,
            server_config=server_config,
        )
        self._trial = Trial(self._course, spec, sample, self._settings.on_predictions)
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._trial.run())
        with self._course.stage(StageName.MEASURE) as stage:
            stage.detail = measuring.summary(self._trial.measures)

    def report(self, archive_bytes: int | None) -> Report:
        """Return what was found so far."""
        inventory, trial = self._inventory, self._trial
        measures = Measures() if trial is None else trial.measures
        return Report(
            model_name="" if inventory is None else inventory.manifest.model_name,
            stages=self._course.stages,
            batching=NOT_REACHED if trial is None else trial.proof,
            measures=dataclasses.replace(
                measures,
                archive_bytes=archive_bytes,
                unpacked_bytes=None if inventory is None else inventory.total_bytes,
            ),
        )


def _golden_in(model_dir: pathlib.Path) -> Golden | None:
    try:
        with (model_dir / golden_file.PATH).open("rb") as file:
            return golden_file.parse(file.read(golden_file.MAX_BYTES + 1))
    except FileNotFoundError:
        return None


def _summary(inventory: Inventory) -> str:
    declared = inventory.manifest
    count = len(inventory.members)
    return (
        f"{declared.model_name} {declared.version}, {count} files, "
        f"{inventory.total_bytes:,} bytes"
    )
