"""Packing one model: its files are checked, collected, and written into an archive."""

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import homeport
from homeport.archive import golden, lineage, lockfile, manifest, reading
from homeport.archive.golden import Golden
from homeport.archive.lockfile import Lock
from homeport.archive.manifest import Manifest
from homeport.errors import FailedPreconditionError, InvalidArgumentError
from homeport.packing import (
    containers,
    dependencies,
    imports,
    localmodules,
    publishing,
    requirements,
    sourcecode,
    sources,
    tokenizers,
)
from homeport.packing.containers import ArchiveFormat, Contents
from homeport.packing.dependencies import Settled, Terms
from homeport.packing.formats import recognition
from homeport.packing.formats.evidence import Evidence
from homeport.packing.formats.format import Wanted
from homeport.packing.imports import ImportScan
from homeport.packing.installed import Installed
from homeport.packing.sourcecode import Handler
from homeport.worker import config

# The oldest date a zip can hold, and the newest (APPNOTE 4.4.6, MS-DOS format).
EARLIEST: Final = dt.datetime(1980, 1, 1, tzinfo=dt.UTC)
LATEST: Final = dt.datetime(2107, 12, 31, 23, 59, 58, tzinfo=dt.UTC)

_CREATED_FORMAT: Final = "%d/%m/%Y %H:%M:%S"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PackSpec:
    """What goes into an archive.

    Attributes:
        model_name: `[A-Za-z0-9][A-Za-z0-9_.-]*`, also the archive's file name.
        version: The model's version, any text.
        handler: A path to a .py file, `path.py:function`, or base_handler.
        serialized_file: The saved model, or a Hugging Face directory, whose files then
            lie in the archive's root; None only if the handler needs none.
        model_file: Python source of the model's class, for a state dict.
        extra_files: Paths and patterns; see `sources.collect` for what they become.
        keep_directories: An extra directory keeps its own name, instead of its content
            lying in the archive's root.
        tokenizer: A custom tokenizer: a file, or the directory its save_pretrained
            wrote.
        tokenizer_name: What it is called in the archive's root; "" keeps its own name.
        requirements_file: pip requirements: names and versions alone.
        config_file: The model's configuration, YAML.
        runtime: "python" or "python3".
        description: For people.
        golden: A sample request, and the predictions it should have.
        lineage: Where the model comes from, by key; see `resources.lineage`.
        lock: Whether the requirements, completed with what the code imports, are
            resolved to a lock; None does so if there is a requirements file.
        allow_build: Whether packages without a wheel may be built for that, which runs
            their code.
        runs_elsewhere: Whether what serves it has packages of its own, which nobody
            here knows: a module that is not found is a warning then.
        trust_pickle: The author made the saved model and lets loading it run code. It
            is recorded in the archive, and the worker then unpickles without limits.
        created_on: The date every member and the manifest carry, UTC, kept within
            1980 to 2107. It is fixed by default, so that packing twice gives the same
            bytes.
    """

    model_name: str
    version: str = manifest.DEFAULT_VERSION
    handler: str = "base_handler"
    serialized_file: Path | None = None
    model_file: Path | None = None
    extra_files: tuple[str, ...] = ()
    keep_directories: bool = False
    tokenizer: Path | None = None
    tokenizer_name: str = ""
    requirements_file: Path | None = None
    config_file: Path | None = None
    runtime: str = "python"
    description: str = ""
    golden: Golden | None = None
    lineage: Mapping[str, str] = dataclasses.field(default_factory=dict)
    lock: bool | None = None
    allow_build: bool = False
    runs_elsewhere: bool = False
    trust_pickle: bool = False
    created_on: dt.datetime = EARLIEST


@dataclasses.dataclass(frozen=True, slots=True)
class Packed:
    """An archive that was written.

    Attributes:
        path: Where it is.
        size_bytes: Its length.
        warnings: What may surprise later, one sentence each.
        pulled_in: Local modules that the code imports and that were not given: a file,
            or a package's folder with a `/` behind, as paths in the archive.
        added: `name==version` of what the lock holds because the code imports it and
            no requirement names it.
        lock: What the archive's environment holds, None if it has no lock.
    """

    path: Path
    size_bytes: int
    warnings: tuple[str, ...]
    pulled_in: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    lock: Lock | None = None


def pack(
    spec: PackSpec,
    output: Path,
    *,
    archive_format: ArchiveFormat = ArchiveFormat.DEFAULT,
    force: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    on_notice: Callable[[str], None] | None = None,
) -> Packed:
    """Write the archive into the folder `output`, which is made if missing.

    It is called `<model_name>.mar`, or as its format has it. Members are stored, not
    deflated. The archive appears in one step; a failure leaves nothing. Memory stays
    constant.

    Args:
        spec: What goes into it.
        output: The folder for the archive.
        archive_format: How it is kept.
        force: Replace an archive that is there already.
        on_progress: Called with the bytes written and the bytes to write in all.
        on_notice: Called with a line for people before something slow.

    Raises:
        NotFoundError: A file of `spec` does not exist.
        AlreadyExistsError: The archive is there and `force` is not given.
        InvalidArgumentError: A file or name of `spec` cannot be packed, or the code
            imports a module that is not found.
        HomeportError: As `environments.lock.resolve`, where a lock is wanted.
        PermissionDeniedError: The folder cannot be written to.
        FailedPreconditionError: The disk is full, or a file stands where the folder
            should be.
    """
    manifest.check_model_name(spec.model_name)
    lineage.check(spec.lineage)
    target = output / archive_format.file_name(spec.model_name)
    publishing.check_target(target, force=force)
    handler = sourcecode.resolve_handler(spec.handler)
    spec = _opened(spec, handler)
    warnings = _check_files(spec, handler)
    declared = _manifest(spec, handler)
    installed = Installed()
    scan = imports.scan(
        _members(spec, handler, target),
        manifest=declared,
        installed=installed,
        pull_in_beside=_folders(spec, handler),
        skip=target,
    )
    settled = dependencies.settle(scan, _terms(spec, on_notice), installed)
    contents = Contents(
        model_name=spec.model_name,
        documents=_documents(spec, declared, settled),
        members=scan.sources,
        date=_in_range(spec.created_on),
        on_progress=on_progress,
    )
    with publishing.appearing_at(target) as temporary:
        containers.write(archive_format, contents, temporary)
        # Our own reader has the last word: what it refuses is never published.
        size_bytes = reading.check(temporary).archive_bytes
    return Packed(
        target,
        size_bytes,
        (*warnings, *_flattened(spec, scan), *settled.warnings),
        scan.pulled_in,
        settled.added,
        settled.lock,
    )


def _documents(
    spec: PackSpec, declared: Manifest, settled: Settled
) -> dict[str, bytes]:
    """Return what is made for the archive, by path, the manifest in front."""
    made = {manifest.PATH: manifest.serialize(declared)}
    if spec.golden is not None:
        made[golden.PATH] = golden.serialize(spec.golden)
    if spec.lineage:
        made[lineage.PATH] = lineage.serialize(spec.lineage)
    if settled.lock is not None:
        made[lockfile.PATH] = settled.lock.text.encode()
    return made


def source_date(environment: Mapping[str, str]) -> dt.datetime:
    """Return the date that SOURCE_DATE_EPOCH sets, else the fixed one.

    Raises:
        InvalidArgumentError: It is not a number of seconds.
    """
    text = environment.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return EARLIEST
    try:
        return dt.datetime.fromtimestamp(int(text), tz=dt.UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidArgumentError(
            f"SOURCE_DATE_EPOCH is {text!r:.40}: set it to seconds since 1970, or not "
            "at all"
        ) from error


def _named_files(spec: PackSpec) -> tuple[Path | None, ...]:
    return (
        spec.serialized_file,
        spec.model_file,
        spec.requirements_file,
        spec.config_file,
    )


def _members(spec: PackSpec, handler: Handler, target: Path) -> Mapping[str, Path]:
    main_files = [path for path in (handler.path, *_named_files(spec)) if path]
    return sources.collect(
        main_files,
        spec.extra_files,
        named=tokenizers.members(spec.tokenizer, spec.tokenizer_name),
        keep_directories=spec.keep_directories,
        skip=target,
    )


def _check_files(spec: PackSpec, handler: Handler) -> tuple[str, ...]:
    """Return the warnings about the files the manifest names."""
    roles = ("serialized file", "model file", "requirements file", "config file")
    for role, path in zip(roles, _named_files(spec), strict=True):
        if path is not None:
            # Requirements may be none.
            sources.check_file(path, role, may_be_empty=path is spec.requirements_file)
    warnings: tuple[str, ...] = ()
    if spec.model_file is not None:
        warnings += sourcecode.check_model_file(spec.model_file)
    warnings += _check_format(spec, handler)
    if spec.requirements_file is not None:
        warnings += requirements.check(spec.requirements_file)
    if spec.config_file is not None:
        _check_config(spec.config_file)
    return warnings


def _check_config(path: Path) -> None:
    """Refuse a configuration that no worker could start with."""
    # Without a parser here it is left to the worker.
    with contextlib.suppress(FailedPreconditionError):
        config.read(config.ConfigFiles(path.name, path.read_bytes()), {})


def _folders(spec: PackSpec, handler: Handler) -> tuple[Path, ...]:
    """Return where modules lie that the code may import and that were not given."""
    code = [path for path in (handler.path, spec.model_file) if path is not None]
    beside = (folder for path in code for folder in localmodules.folders_of(path))
    return (*beside, *localmodules.folders_of_this_python())


def _terms(spec: PackSpec, on_notice: Callable[[str], None] | None) -> Terms:
    return Terms(
        requirements_file=spec.requirements_file,
        lock=spec.lock,
        allow_build=spec.allow_build,
        runs_elsewhere=spec.runs_elsewhere,
        on_notice=on_notice,
    )


def _flattened(spec: PackSpec, scan: ImportScan) -> tuple[str, ...]:
    """Return the warnings about packages that nothing can import as they lie."""
    if spec.keep_directories:
        return ()
    return sources.flattened_packages(
        path
        for path in spec.extra_files
        if f"{Path(path).resolve().name}/" not in scan.pulled_in
    )


def _opened(spec: PackSpec, handler: Handler) -> PackSpec:
    """Return the spec of files that a saved model's directory stands for."""
    directory = spec.serialized_file
    if directory is None or not directory.is_dir():
        return spec
    opened = recognition.open_directory(directory, default_handler=_default(handler))
    if opened is None:
        return spec
    weights, beside = opened
    extra_files = (*spec.extra_files, *map(str, beside))
    return dataclasses.replace(spec, serialized_file=weights, extra_files=extra_files)


def _check_format(spec: PackSpec, handler: Handler) -> tuple[str, ...]:
    """Refuse what is known not to load; warn of what an own handler may not load."""
    path = spec.serialized_file
    if path is None:
        if handler.path is None:
            raise InvalidArgumentError(
                f"{handler.name} needs a saved model: give it with --serialized-file"
            )
        return ()
    evidence = Evidence(path)
    known = recognition.recognize(evidence)
    if known is None:
        return ()
    wanted = Wanted(
        file_name=path.name,
        evidence=evidence,
        model_file=spec.model_file is not None,
        default_handler=_default(handler),
        trust_pickle=spec.trust_pickle,
    )
    known.check(wanted)
    base = sourcecode.base_that_loads(handler)
    try:
        known.check(
            dataclasses.replace(wanted, default_handler=base, is_inherited=True)
        )
    except InvalidArgumentError as refusal:
        return (f"{handler.name} has no initialize of its own: {refusal.message}",)
    return ()


def _default(handler: Handler) -> str:
    return handler.name if handler.path is None else ""


def _manifest(spec: PackSpec, handler: Handler) -> Manifest:
    return Manifest(
        model_name=spec.model_name,
        version=spec.version,
        handler=handler.name,
        serialized_file=_name(spec.serialized_file),
        model_file=_name(spec.model_file),
        requirements_file=_name(spec.requirements_file),
        config_file=_name(spec.config_file),
        runtime=spec.runtime,
        description=spec.description,
        trust_pickle=spec.trust_pickle,
        archiver_version=f"homeport {homeport.__version__}",
        created_on=_in_range(spec.created_on).strftime(_CREATED_FORMAT),
    )


def _name(path: Path | None) -> str:
    return path.name if path is not None else ""


def _in_range(date: dt.datetime) -> dt.datetime:
    return max(EARLIEST, min(LATEST, date.astimezone(dt.UTC)))
