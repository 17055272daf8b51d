"""`homeport pack`: model, handler and what they need become one archive."""

import contextlib
import hashlib
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from homeport.archive import manifest
from homeport.archive.golden import Golden
from homeport.cli import pairs, signals, words
from homeport.errors import InvalidArgumentError
from homeport.packing import pack as packing
from homeport.packing import samples
from homeport.packing.containers import ArchiveFormat
from homeport.packing.formats import recognition
from homeport.packing.formats.evidence import Evidence
from homeport.packing.pack import Packed, PackSpec

_EPILOG: Final = """\b
Examples:
  homeport pack -s model.pt
  homeport pack --model-name digits -s model.pt --handler handler.py \\
      -r requirements.txt --extra-files index_to_name.json,my_package \\
      --keep-directories
  homeport pack -s checkpoint.pth --model-file model.py --handler handler.py
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--model-name",
    callback=words.not_empty,
    help="Default: the serialized file's name.",
)
@click.option("-v", "--version", default=manifest.DEFAULT_VERSION, show_default=True)
@click.option(
    "-s",
    "--serialized-file",
    type=click.Path(path_type=Path),
    help="The saved model: TorchScript, torch.export or AOTInductor (.pt2), a state "
    "dict, a checkpoint, safetensors, or a Hugging Face directory.",
)
@click.option(
    "--model-file",
    type=click.Path(path_type=Path),
    help="Python file with the model's class, for weights without it.",
)
@click.option(
    "--handler",
    callback=words.not_empty,
    help="path.py, path.py:function, base_handler (the default) or image_classifier.",
)
@click.option(
    "--extra-files",
    multiple=True,
    help="Files, directories and patterns, separated by commas; may be repeated. "
    "A directory's content lies in the archive's root.",
)
@click.option(
    "--keep-directories",
    is_flag=True,
    help="An extra directory keeps its name, as a package needs it.",
)
@click.option(
    "--tokenizer",
    type=click.Path(path_type=Path),
    help="A custom tokenizer: its file, or the directory its save_pretrained wrote.",
)
@click.option(
    "--tokenizer-name",
    default="",
    help="What the tokenizer is called in the archive. Default: its own name.",
)
@click.option(
    "-r",
    "--requirements-file",
    type=click.Path(path_type=Path),
    help="The packages it needs, as name==version lines; what the code imports besides "
    "is added as it is installed here.",
)
@click.option(
    "--lock/--no-lock",
    default=None,
    help="Resolve these packages to a lock that travels in the archive, for an "
    "environment of the model's own. Default: if there is a requirements file.",
)
@click.option(
    "--allow-build",
    is_flag=True,
    help="Packages without a wheel may be built for the lock: that runs their code.",
)
@click.option(
    "-c",
    "--config-file",
    type=click.Path(path_type=Path),
    help="The model's configuration, YAML.",
)
@click.option(
    "--export-path",
    type=click.Path(path_type=Path),
    default=Path(),
    show_default="the current folder",
    help="Folder for the archive, made if missing.",
)
@click.option(
    "--archive-format",
    type=click.Choice([one.value for one in ArchiveFormat]),
    default=ArchiveFormat.DEFAULT.value,
    show_default=True,
    help="default and zip-store: a .mar; tgz: a .tar.gz; no-archive: a folder. "
    "Nothing is compressed in any of them.",
)
@click.option("-f", "--force", is_flag=True, help="Replace an archive that is there.")
@click.option(
    "--runtime",
    type=click.Choice(manifest.RUNTIMES),
    default="python",
    show_default=True,
)
@click.option(
    "--sample",
    type=click.Path(path_type=Path),
    help='A request that "homeport check" and a deployment predict: JSON '
    '{"instances": [...]}, or any other file, such as a picture.',
)
@click.option(
    "--expected",
    type=click.Path(path_type=Path),
    help='What the sample should be answered with: JSON {"predictions": [...]}; it may '
    "hold relativeTolerance and absoluteTolerance.",
)
@click.option("--description", default="", help="A line for people.")
@click.option(
    "--lineage",
    multiple=True,
    callback=pairs.parse,
    help="KEY=VALUE, where the model comes from: run, dataset, code, parent or a key "
    "of your own; may be repeated.",
)
@click.option(
    "--trust-pickle",
    is_flag=True,
    help="Pack a whole pickled module: loading it runs code of whoever made it.",
)
def pack(  # noqa: PLR0913  # one parameter for each option
    *,
    model_name: str | None,
    version: str,
    serialized_file: Path | None,
    model_file: Path | None,
    handler: str | None,
    extra_files: tuple[str, ...],
    keep_directories: bool,
    tokenizer: Path | None,
    tokenizer_name: str,
    requirements_file: Path | None,
    lock: bool | None,
    allow_build: bool,
    config_file: Path | None,
    export_path: Path,
    archive_format: str,
    force: bool,
    runtime: str,
    sample: Path | None,
    expected: Path | None,
    description: str,
    lineage: dict[str, str],
    trust_pickle: bool,
) -> None:
    """Make a model archive, a .mar, from a model and what it needs.

    The same files always give the same archive, byte for byte; SOURCE_DATE_EPOCH sets
    the date in it. Nothing of the model is run.
    """
    _check_there(
        {
            "--serialized-file": serialized_file,
            "--model-file": model_file,
            "--handler": _file_of(handler),
            "--tokenizer": tokenizer,
            "--requirements-file": requirements_file,
            "--config-file": config_file,
            "--sample": sample,
            "--expected": expected,
        }
    )
    spec = PackSpec(
        model_name=model_name or _name_from(serialized_file or model_file),
        version=version,
        handler=handler or _default_handler(serialized_file),
        serialized_file=serialized_file,
        model_file=model_file,
        extra_files=_split(extra_files),
        keep_directories=keep_directories,
        tokenizer=tokenizer,
        tokenizer_name=tokenizer_name,
        requirements_file=requirements_file,
        lock=lock,
        allow_build=allow_build,
        config_file=config_file,
        runtime=runtime,
        description=description,
        golden=_golden(sample, expected),
        lineage=lineage,
        trust_pickle=trust_pickle,
        created_on=packing.source_date(os.environ),
    )
    with signals.ending_on_sigterm(), _progress() as on_progress:
        packed = packing.pack(
            spec,
            export_path,
            archive_format=ArchiveFormat(archive_format),
            force=force,
            on_progress=on_progress,
            on_notice=lambda line: click.echo(line, err=True),
        )
    _report(packed)


def _check_there(given: Mapping[str, Path | None]) -> None:
    """Refuse files that are not there, all of them at once."""
    missing = [
        f"{option} {str(path)!r}"
        for option, path in given.items()
        if path is not None and not path.exists()
    ]
    if len(missing) > 1:
        raise InvalidArgumentError(
            f"{' and '.join(missing)} do not exist: check the paths"
        )


def _file_of(handler: str | None) -> Path | None:
    """Return the file of a handler that is one, None for those that have a name."""
    file = (handler or "").partition(":")[0]
    return Path(file) if file.endswith(".py") else None


def _name_from(path: Path | None) -> str:
    if path is None:
        raise InvalidArgumentError(
            "there is no model to name the archive after: give --serialized-file or "
            "--model-name"
        )
    # A directory's dots belong to its name: `bert-base-v1.5`.
    return path.resolve().name if path.is_dir() else path.stem


def _default_handler(serialized_file: Path | None) -> str:
    """Return base_handler if it can load the model; else somebody has to write one."""
    if serialized_file is None or not serialized_file.is_file():
        return "base_handler"
    if recognition.recognize(Evidence(serialized_file)) is None:
        raise InvalidArgumentError(
            f"{serialized_file.name} is in no format that is known, so base_handler "
            "cannot be assumed: give --handler handler.py"
        )
    return "base_handler"


def _golden(sample: Path | None, expected: Path | None) -> Golden | None:
    if sample is not None:
        return samples.read(sample, expected)
    if expected is not None:
        raise InvalidArgumentError(
            "--expected is what a sample is answered with: give --sample too"
        )
    return None


def _split(values: tuple[str, ...]) -> tuple[str, ...]:
    parts = (part.strip() for value in values for part in value.split(","))
    return tuple(part for part in parts if part)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """Yield what draws a bar, where standard error is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    # Deferred: drawing takes as long to import as all the rest.
    from homeport.cli import packbar  # noqa: PLC0415

    with packbar.drawn() as advance:
        yield advance


def _report(packed: Packed) -> None:
    for warning in packed.warnings:
        click.echo(f"warning: {warning}", err=True)
    for path in packed.pulled_in:
        click.echo(f"added    {path}, which the code imports")
    for pin in packed.added:
        click.echo(f"locked   {pin}, which the code imports, as installed here")
    if packed.lock is not None:
        count = len(packed.lock.pins)
        click.echo(f"lock     {count} package{'s' if count != 1 else ''}")
    click.echo(f"archive  {packed.path}")
    click.echo(f"size     {packed.size_bytes:,} bytes")
    if packed.path.is_file():
        with packed.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        click.echo(f"sha256   {digest}")
    verb = "deploy" if packed.path.suffix == ".mar" else "inspect"
    click.echo(f"\nNext:    homeport {verb} {shlex.quote(str(packed.path))}")
