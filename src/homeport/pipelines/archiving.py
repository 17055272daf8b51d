"""The staged files as one archive, and the place in a bucket where it is kept."""

import dataclasses
import hashlib
from pathlib import Path

from homeport.errors import HomeportError
from homeport.packing import pack, sources
from homeport.pipelines import addresses
from homeport.pipelines.uploadspec import UploadSpec


@dataclasses.dataclass(frozen=True, slots=True)
class Archived:
    """An archive on this machine.

    Attributes:
        path: Where it is.
        sha256: Of its bytes, in hex.
        warnings: What may surprise later, one sentence each.
    """

    path: Path
    sha256: str
    warnings: tuple[str, ...]


def archive(spec: UploadSpec, staged: Path, output: Path) -> Archived:
    """Pack the staged files; the same files always give the same bytes.

    What the code imports and is not found in this environment is a warning: the
    serving image has packages of its own.

    Args:
        spec: What is uploaded.
        staged: The folder of all files.
        output: The folder for the archive.

    Raises:
        HomeportError: As `pack.pack`, with paths below `staged`.
    """
    files = spec.files
    requirements = staged / files.requirements if files.requirements else None
    wanted = pack.PackSpec(
        model_name=spec.model_name,
        version=spec.version,
        handler=_handler(spec, staged),
        serialized_file=staged / files.weights,
        extra_files=(str(staged),),
        requirements_file=requirements,
        lock=False,
        runs_elsewhere=True,
    )
    # Where they were copied to says nothing to anybody.
    copied = f"{staged}/"
    try:
        packed = pack.pack(wanted, output)
    except HomeportError as error:
        raise type(error)(error.message.replace(copied, "")) from error
    # The model's folder is meant to lie flat.
    meant = sources.flattened_packages([str(staged)])
    warnings = (
        warning.replace(copied, "")
        for warning in packed.warnings
        if warning not in meant
    )
    with packed.path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Archived(packed.path, sha256, tuple(warnings))


def folder_of(spec: UploadSpec, model_folder: str, sha256: str) -> str:
    """Return the address of an archive's folder, one for each content.

    So no run overwrites what another registered, and what the registry copies is the
    archive alone.
    """
    folder = spec.archive_folder or model_folder
    return addresses.joined(folder, f"mar-{sha256[:16]}")


def _handler(spec: UploadSpec, staged: Path) -> str:
    handler = spec.files.handler
    if not handler:
        return "base_handler"
    return str(staged / handler) if spec.files.handler_file else handler
