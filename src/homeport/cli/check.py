"""`homeport check`: does this archive work, in the environment that will be built?"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from homeport.archive import golden as golden_file
from homeport.archive import mar
from homeport.archive.golden import Golden
from homeport.checking import descendants, payloads
from homeport.checking import report as reports
from homeport.checking.preflight import Checker, Options
from homeport.checking.report import Report
from homeport.checking.surroundings import Choice
from homeport.cli import checkcache, options, output, payloadview, signals
from homeport.cli.checkview import View
from homeport.cli.output import Output
from homeport.cli.sandboxing import sandbox_options
from homeport.environments.build import Environments
from homeport.environments.eviction import DEFAULT_LIMITS
from homeport.errors import InvalidArgumentError, NotFoundError, PermissionDeniedError
from homeport.packing import samples, sources
from homeport.worker.sandbox import Level, Sandbox

FAILED: Final = 3
_EPILOG: Final = """\b
Examples:
  homeport check digits.mar
  homeport check digits.mar --sample request.json --save-predictions expected.json
  homeport check digits.mar --sample cat.jpg --expected expected.json
  homeport check digits.mar --output json | jq .stages
  homeport check --explain-payload request.json

\b
Exit codes:
  0  the archive passed
  1  it could not be checked: a file that is not there, a full disk, no package index
  2  the command was not understood
  3  the archive failed; the stage, the cause and the remedy are told
"""


@click.command(epilog=_EPILOG)
@click.argument("archive", type=click.Path(path_type=Path), required=False)
@click.option(
    "--sample",
    type=click.Path(path_type=Path),
    help='The request to predict: JSON {"instances": [...]}, or any other file, such '
    "as a picture, which is sent as one instance. Default: the archive's own.",
)
@click.option(
    "--expected",
    type=click.Path(path_type=Path),
    help='What it should be answered with: JSON {"predictions": [...]}. Default: the '
    "archive's own, for its own sample.",
)
@click.option(
    "--save-predictions",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the answer, to be given with --expected the next time.",
)
@click.option(
    "--environment",
    type=click.Choice([one.value for one in Choice]),
    default=Choice.AUTO.value,
    show_default=True,
    help="own: that of this command. locked: a clean one from the archive's lock or "
    "requirements. auto: locked if it has any, as a deployment does.",
)
@click.option(
    "--allow-build",
    is_flag=True,
    help="Build packages that have no wheel, which runs their code.",
)
@click.option(
    "--env",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    callback=options.variables,
    help="A variable for the handler; may be repeated.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=Options().timeout_s,
    show_default=True,
    help="Seconds for import and load together, and for each prediction.",
)
@sandbox_options
@checkcache.option
@click.option(
    "--explain-payload",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Show what a handler receives for this request through Vertex AI, TorchServe "
    "and KServe, and check nothing.",
)
@output.option(named=False)
def check(  # noqa: PLR0913  # one parameter for each option
    *,
    archive: Path | None,
    sample: Path | None,
    expected: Path | None,
    save_predictions: Path | None,
    environment: str,
    allow_build: bool,
    variables: dict[str, str],
    timeout: float,
    cache_dir: Path | None,
    explain_payload: Path | None,
    form: Output,
    worker_sandbox: str,
    worker_read: tuple[Path, ...],
    worker_write: tuple[Path, ...],
) -> None:
    """Prove ARCHIVE, a .mar, before it is uploaded.

    Stage by stage: the archive is read as hostile input, its imports are looked at,
    its requirements resolved and built into a clean environment; there the handler is
    imported, the model loaded and a sample predicted and compared, alone and together
    with another, by the same worker that serves. What fails is told with its one cause
    and what to do. This runs the archive's code: check what you would also deploy.
    """
    if explain_payload is not None:
        _explain(explain_payload, form)
        return
    if archive is None:
        raise click.UsageError("Missing argument 'ARCHIVE'.")
    view = View(quiet=form is not Output.TABLE)
    settings = Options(
        choice=Choice(environment),
        allow_build=allow_build,
        timeout_s=timeout,
        on_line=view.tell,
        on_predictions=_keeping(save_predictions),
        sandbox=_sandbox(worker_sandbox, worker_read, worker_write),
    )
    environments = Environments(
        (cache_dir or checkcache.default()) / "environments",
        allow_build=allow_build,
        limits=DEFAULT_LIMITS,
    )
    golden = _golden(archive, sample, expected)
    with (
        signals.ending_on_sigterm(),
        tempfile.TemporaryDirectory(prefix="homeport-check-") as scratch,
        descendants.ended(),
        view,
    ):
        checker = Checker(environments, Path(scratch), settings)
        laid_out = Path(scratch) / "archive"

        def read() -> Path:
            mar.extract(archive, laid_out)
            return laid_out

        report = checker.check(
            read,
            golden=golden,
            environment=variables,
            archive_bytes=_size_bytes(archive),
            on_stage=view.show,
        )
    _end(report, view, form)


def _sandbox(
    worker_sandbox: str,
    worker_read: tuple[Path, ...],
    worker_write: tuple[Path, ...],
) -> Sandbox:
    """Return what the three options come to.

    Raises:
        FailedPreconditionError: This host cannot give it.
    """
    sandbox = Sandbox(Level(worker_sandbox), read=worker_read, write=worker_write)
    sandbox.check()
    return sandbox


def _end(report: Report, view: View, form: Output) -> None:
    if form is Output.TABLE:
        view.conclude(report)
    else:
        output.show_document(json.loads(reports.to_json(report)), form)
    if not report.passed:
        sys.exit(FAILED)


def _explain(path: Path, form: Output) -> None:
    sources.check_file(path, "request")
    if path.stat().st_size > golden_file.MAX_BYTES:
        raise InvalidArgumentError(
            f"request {str(path)!r} has {path.stat().st_size} bytes, the limit is "
            f"{golden_file.MAX_BYTES}: give fewer or smaller instances"
        )
    payload = payloads.read(path.read_bytes())
    shapes = payloads.explain(payload)
    if form is Output.TABLE:
        payloadview.show(path.name, payload, shapes)
    else:
        output.show_document(payloadview.documents(shapes), form)


def _golden(archive: Path, sample: Path | None, expected: Path | None) -> Golden | None:
    """Return the sample that the options give, None for the archive's own."""
    if sample is not None:
        return samples.read(sample, expected)
    if expected is None:
        return None
    found = mar.read(archive, {golden_file.PATH}, golden_file.MAX_BYTES)
    if golden_file.PATH not in found:
        raise InvalidArgumentError(
            f"{archive.name} holds no sample that --expected is of: give --sample"
        )
    return samples.expect(golden_file.parse(found[golden_file.PATH]), expected)


def _keeping(path: Path | None) -> Callable[[str], None]:
    if path is not None and not path.parent.is_dir():
        raise NotFoundError(
            f"cannot write {str(path)!r}, as its folder does not exist: make it, or "
            "choose another file for --save-predictions"
        )

    def keep(text: str) -> None:
        if path is None:
            return
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise PermissionDeniedError(
                f"cannot write {str(path)!r} ({error.strerror}): choose another file "
                "for --save-predictions"
            ) from error

    return keep


def _size_bytes(archive: Path) -> int | None:
    return archive.stat().st_size if archive.is_file() else None
