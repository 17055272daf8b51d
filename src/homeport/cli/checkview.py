"""How a check is shown to people: a line for each stage as it ends, then the result."""

import sys
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from homeport.checking.report import Report, Stage, StageName, Verdict
from homeport.cli.texts import printable

_NAME_WIDTH: Final = max(len(name) for name in StageName)
_STYLES: Final = {
    Verdict.PASSED: "green",
    Verdict.FAILED: "bold red",
    Verdict.SKIPPED: "dim",
}
_SHOWN_LINE: Final = 100


class View:
    """Shows one check.

    On a terminal the stage that runs is shown as well.

    Args:
        quiet: The report is printed elsewhere, for programs: no line is.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(
            highlight=False, markup=False, emoji=False, soft_wrap=True, quiet=quiet
        )
        # Where the lines go, so that the one does not run into the other.
        shared = sys.stdout.isatty() and not quiet
        self._status = Status(
            _running(StageName.READ),
            console=self._console if shared else Console(stderr=True, markup=False),
        )
        self._watched = shared or sys.stderr.isatty()
        self._stage = StageName.READ

    def __enter__(self) -> Self:
        if self._watched:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._status.stop()

    def show(self, stage: Stage) -> None:
        """Show a stage that has ended, and name the next."""
        seconds = "" if stage.verdict is Verdict.SKIPPED else f"{stage.seconds:8.2f} s"
        line = Text()
        line.append(f"{stage.name:{_NAME_WIDTH}}  ")
        line.append(f"{stage.verdict:7}", style=_STYLES[stage.verdict])
        line.append(f"{seconds:10}  {printable(stage.detail)}".rstrip())
        self._console.print(line)
        self._name_next(stage.name)

    def tell(self, line: str) -> None:
        """Show a line of what runs, while it runs."""
        said = printable(line)[:_SHOWN_LINE]
        self._status.update(f"{_running(self._stage)} {said}")

    def conclude(self, report: Report) -> None:
        """Show what came of it: the cause and the remedy, or what is known now."""
        print_ = self._console.print
        failure = report.failure
        print_()
        if failure is None:
            for warning in report.warnings:
                print_(f"warning: {printable(warning)}")
            proof = report.batching
            print_(f"batching  {proof.verdict}: {printable(proof.reason)}")
            print_(Text(report.outcome, style="bold green"))
            return
        print_(Text(f"{failure.name} failed", style="bold red"))
        print_(printable(failure.cause))
        if failure.traceback:
            print_()
            for line in failure.traceback.rstrip().splitlines():
                print_(f"  {printable(line)}")
        if failure.remedy:
            print_()
            print_(f"What to do: {printable(failure.remedy)}")

    def _name_next(self, ended: StageName) -> None:
        order = list(StageName)
        following = order.index(ended) + 1
        if following < len(order):
            self._stage = order[following]
            self._status.update(_running(self._stage))


def _running(name: StageName) -> str:
    return f"{name} ..."
