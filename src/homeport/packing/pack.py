"""Writing one `.mar`: a stored zip, the same bytes for the same files for ever."""

import contextlib
import dataclasses
import datetime as dt
import os
import secrets
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

import homeport
from homeport.archive import manifest, mar
from homeport.archive.manifest import Manifest
from homeport.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    PermissionDeniedError,
)
from homeport.packing import requirements, sourcecode, sources
from homeport.packing.formats import recognition
from homeport.packing.formats.evidence import Evidence
from homeport.packing.formats.format import Wanted
from homeport.packing.sourcecode import Handler

# The oldest date a zip can hold, and the newest (APPNOTE 4.4.6, MS-DOS format).
EARLIEST: Final = dt.datetime(1980, 1, 1, tzinfo=dt.UTC)
LATEST: Final = dt.datetime(2107, 12, 31, 23, 59, 58, tzinfo=dt.UTC)

_CHUNK_BYTES: Final = 1 << 18
_MEMBER_MODE: Final = 0o100644 << 16
_UNIX: Final = 3  # APPNOTE 4.4.2: who wrote the modes
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
        requirements_file: pip requirements: names and versions alone.
        config_file: The model's configuration, YAML.
        runtime: "python" or "python3".
        description: For people.
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
    requirements_file: Path | None = None
    config_file: Path | None = None
    runtime: str = "python"
    description: str = ""
    trust_pickle: bool = False
    created_on: dt.datetime = EARLIEST


@dataclasses.dataclass(frozen=True, slots=True)
class Packed:
    """An archive that was written.

    Attributes:
        path: Where it is.
        size_bytes: Its length.
        warnings: What may surprise later, one sentence each.
    """

    path: Path
    size_bytes: int
    warnings: tuple[str, ...]


def pack(
    spec: PackSpec,
    output: Path,
    *,
    force: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Packed:
    """Write `<model_name>.mar` into the folder `output`, which is made if missing.

    Members are stored, not deflated, with their sizes and CRCs in front, so that
    readers which stream from the front (TorchServe's) can read it. The archive appears
    in one step; a failure leaves nothing. Memory stays constant.

    Args:
        spec: What goes into it.
        output: The folder for the archive.
        force: Replace an archive that is there already.
        on_progress: Called with the bytes written and the bytes to write in all.

    Raises:
        NotFoundError: A file of `spec` does not exist.
        AlreadyExistsError: The archive is there and `force` is not given.
        InvalidArgumentError: A file or name of `spec` cannot be packed.
        PermissionDeniedError: The folder cannot be written to.
        FailedPreconditionError: The disk is full, or a file stands where the folder
            should be.
    """
    manifest.check_model_name(spec.model_name)
    target = output / f"{spec.model_name}.mar"
    if target.exists() and not force:
        raise AlreadyExistsError(
            f"{str(target)!r} exists already: give --force to replace it"
        )
    handler = sourcecode.resolve_handler(spec.handler)
    spec = _opened(spec, handler)
    warnings = _check_files(spec, handler)
    main_files = [path for path in (handler.path, *_named_files(spec)) if path]
    members = sources.collect(main_files, spec.extra_files, skip=target)
    declared = _manifest(spec, handler)
    with _appearing_at(target) as temporary:
        with temporary.open("xb") as file:
            _write(file, declared, members, _in_range(spec.created_on), on_progress)
        # Our own reader has the last word: what it refuses is never published.
        size_bytes = mar.check(temporary).archive_bytes
    return Packed(target, size_bytes, warnings)


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


def _check_files(spec: PackSpec, handler: Handler) -> tuple[str, ...]:
    """Return the warnings about the files the manifest names."""
    roles = ("serialized file", "model file", "requirements file", "config file")
    for role, path in zip(roles, _named_files(spec), strict=True):
        if path is not None:
            sources.check_file(path, role)
    warnings: tuple[str, ...] = ()
    if spec.model_file is not None:
        warnings += sourcecode.check_model_file(spec.model_file)
    _check_format(spec, handler)
    if spec.requirements_file is not None:
        warnings += requirements.check(spec.requirements_file)
    return warnings


def _opened(spec: PackSpec, handler: Handler) -> PackSpec:
    """Return the spec of files that a saved model's directory stands for."""
    directory = spec.serialized_file
    if directory is None or not directory.is_dir():
        return spec
    opened = recognition.open_directory(directory, own_handler=handler.path is not None)
    if opened is None:
        return spec
    weights, beside = opened
    extra_files = (*spec.extra_files, *map(str, beside))
    return dataclasses.replace(spec, serialized_file=weights, extra_files=extra_files)


def _check_format(spec: PackSpec, handler: Handler) -> None:
    """Refuse what is known not to load."""
    path = spec.serialized_file
    if path is None:
        if handler.path is None:
            raise InvalidArgumentError(
                "base_handler needs a saved model: give it with --serialized-file"
            )
        return
    evidence = Evidence(path)
    known = recognition.recognize(evidence)
    if known is not None:
        known.check(
            Wanted(
                file_name=path.name,
                evidence=evidence,
                model_file=spec.model_file is not None,
                own_handler=handler.path is not None,
                trust_pickle=spec.trust_pickle,
            )
        )


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


@contextlib.contextmanager
def _appearing_at(target: Path) -> Iterator[Path]:
    """Yield a free path beside `target` that becomes it at the end, or nothing."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(target)
    except PermissionError as error:
        raise PermissionDeniedError(
            f"cannot write to {str(target.parent)!r}: choose another --export-path"
        ) from error
    except OSError as error:
        raise FailedPreconditionError(
            f"cannot write {str(target)!r} ({error.strerror}): make room there or "
            "choose another --export-path"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _write(
    file: BinaryIO,
    declared: Manifest,
    members: Mapping[str, Path],
    date: dt.datetime,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    total_bytes = sum(path.stat().st_size for path in members.values())
    written_bytes = 0
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_entry(manifest.PATH, date), manifest.serialize(declared))
        for archive_path, source in members.items():
            entry = _entry(archive_path, date)
            for chunk_bytes in _copy(source, archive, entry, buffer):
                written_bytes += chunk_bytes
                if on_progress is not None:
                    on_progress(written_bytes, total_bytes)


def _entry(archive_path: str, date: dt.datetime) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(archive_path, date.timetuple()[:6])
    entry.create_system = _UNIX
    entry.external_attr = _MEMBER_MODE
    return entry


def _copy(
    source: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, buffer: memoryview
) -> Iterator[int]:
    """Write one member, yielding the length of each chunk.

    One pass: zipfile sums the CRC while it writes and then sets it into the header in
    front, so what is summed is what was written.
    """
    with source.open("rb", buffering=0) as file:
        entry.file_size = os.fstat(file.fileno()).st_size  # decides for zip64
        left_bytes = entry.file_size
        with archive.open(entry, "w") as member:
            while left_bytes and (chunk_bytes := file.readinto(buffer[:left_bytes])):
                member.write(buffer[:chunk_bytes])
                left_bytes -= chunk_bytes
                yield chunk_bytes
        if left_bytes or file.read(1):
            raise InvalidArgumentError(
                f"{str(source)!r} changed while it was being packed: pack it again"
            )
