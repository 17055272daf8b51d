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
from homeport.checking.failures import Allowance
from homeport.checking.report import Measures, Report, Stage, StageName
from homeport.checking.surroundings import OURS, Builder, Choice, Surroundings
from homeport.checking.trial import NOT_REACHED, Trial
from homeport.environments.build import Environments
from homeport.errors import NotFoundError
from homeport.packing import checkpoints
from homeport.worker.replica import ReplicaSpec
from homeport.worker.sandbox import Sandbox

_NO_VARIABLES: Final[Mapping[str, str]] = types.MappingProxyType({})


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """How a checker works.

    Attributes:
        choice: Which environment archives are checked in.
        allow_build: Whether packages without a wheel may be built, which runs their
            code.
        timeout_s: For the handler to be imported and the model loaded, and again for
            each prediction.
        timeout_option: What sets that, for people.
        on_line: Receives lines that tell how resolving and building go.
        on_predictions: Receives the answer to each archive's sample, as JSON.
        sandbox: What workers are kept in, None for nothing.
    """

    choice: Choice = Choice.AUTO
    allow_build: bool = False
    timeout_s: float = 120.0
    timeout_option: str = "--timeout"
    on_line: Callable[[str], None] = lambda _line: None
    on_predictions: Callable[[str], None] = lambda _text: None
    sandbox: Sandbox | None = None


DEFAULT_OPTIONS: Final = Options()


class Checker:
    """Checks archives, one after the other or several at once.

    Args:
        environments: Where the environments of locks are.
        scratch_dir: Where workers have their private directories; it is there.
        options: How it works.
    """

    def __init__(
        self,
        environments: Environments,
        scratch_dir: pathlib.Path,
        options: Options = DEFAULT_OPTIONS,
    ) -> None:
        self._options = options
        self._scratch_dir = scratch_dir
        self._builder = Builder(
            environments, options.choice, options.allow_build, options.on_line
        )

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
        check = _Check(course, golden)
        with contextlib.suppress(StageFailedError), contextlib.ExitStack() as until:
            model_dir = check.read(read)
            python = check.prepare(self._builder, model_dir, until)
            spec = ReplicaSpec(
                model_dir,
                environment,
                self._options.timeout_s,
                scratch_dir=self._scratch_dir,
                python=python,
                server_config=server_config,
                sandbox=self._options.sandbox,
            )
            check.try_out(spec, self._options)
        course.end()
        return check.report(archive_bytes)


class _Check:
    """One check under way: what is known of its archive so far."""

    def __init__(self, course: Course, golden: Golden | None) -> None:
        self._course = course
        self._golden = golden
        self._inventory: Inventory | None = None
        self._surroundings = Surroundings()
        self._trial: Trial | None = None
        self._findings: tuple[str, ...] = ()

    def read(self, read: Callable[[], pathlib.Path]) -> pathlib.Path:
        with self._course.stage(StageName.READ, (NotFoundError, *OURS)) as stage:
            model_dir = read()
            self._inventory = folder.check(model_dir)
            stage.detail = _summary(self._inventory)
            self._findings = _imported_by_loading(model_dir, self._inventory)
            self._golden = self._golden or golden_file.read(model_dir)
        return model_dir

    def prepare(
        self, builder: Builder, model_dir: pathlib.Path, until: contextlib.ExitStack
    ) -> pathlib.Path | None:
        inventory = self._known_inventory
        self._surroundings = builder.prepare(self._course, inventory, model_dir, until)
        return self._surroundings.python

    def try_out(self, spec: ReplicaSpec, options: Options) -> None:
        trial = Trial(
            self._course,
            spec,
            self._golden,
            Allowance(options.timeout_s, option=options.timeout_option),
            options.on_predictions,
        )
        self._trial = trial
        # asyncio's own loop: a check is no server, and may run in any thread.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(trial.run())
        detail = measuring.summary(self._measures(None))
        self._course.pass_(StageName.MEASURE, trial.measuring_s, detail)

    @property
    def _known_inventory(self) -> Inventory:
        if self._inventory is None:
            raise RuntimeError("the archive has not been read")
        return self._inventory

    def report(self, archive_bytes: int | None) -> Report:
        """Return what was found so far."""
        inventory, trial = self._inventory, self._trial
        return Report(
            model_name="" if inventory is None else inventory.manifest.model_name,
            stages=self._course.stages,
            batching=NOT_REACHED if trial is None else trial.proof,
            measures=self._measures(archive_bytes),
            lock=self._surroundings.lock,
            warnings=(
                *map(self._course.clean, self._findings),
                *map(self._course.clean, self._surroundings.warnings),
                *(() if trial is None else trial.warnings),
            ),
        )

    def _measures(self, archive_bytes: int | None) -> Measures:
        inventory, trial = self._inventory, self._trial
        return dataclasses.replace(
            Measures() if trial is None else trial.measures,
            archive_bytes=archive_bytes,
            unpacked_bytes=None if inventory is None else inventory.total_bytes,
            environment_bytes=self._surroundings.size_bytes,
        )


def _imported_by_loading(
    model_dir: pathlib.Path, inventory: Inventory
) -> tuple[str, ...]:
    found = checkpoints.report(model_dir, inventory)
    return tuple(one.finding for one in found if one.refused)


def _summary(inventory: Inventory) -> str:
    declared = inventory.manifest
    count = len(inventory.members)
    return (
        f"{declared.model_name} {declared.version}, {count} files, "
        f"{inventory.total_bytes:,} bytes"
    )
