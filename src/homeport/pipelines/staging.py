"""Which files become the archive's, and copying them here."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from homeport.archive import members
from homeport.errors import InvalidArgumentError, NotFoundError
from homeport.pipelines import addresses
from homeport.pipelines.storage import Storage
from homeport.pipelines.uploadspec import ModelFiles

# Where this step leaves archives beside the model; see `archiving.folder_of`.
_ARCHIVES_RE: Final = re.compile(r"(?:.*/)?mar-[0-9a-f]{16}/", re.DOTALL)
_NAMED: Final = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What will be copied.

    Attributes:
        folder: Address of the model's folder.
        sources: The address of each path in the archive.
        warnings: What may surprise, one sentence each.
    """

    folder: str
    sources: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def plan(files: ModelFiles, storage: Storage) -> Plan:
    """Return where each file of the archive lies.

    Nothing is copied: what is missing or would have the name of another is found
    before that.

    Raises:
        NotFoundError: A file is missing.
        InvalidArgumentError: Two files would have one name; the tokenizer is a folder.
        HomeportError: As the store says.
    """
    folder, of_model = _model(files, storage)
    kept = {path: at for path, at in of_model.items() if not _is_ignored(files, path)}
    pairs = [
        *kept.items(),
        *_staged(files, storage),
        *_tokenizer(files, storage),
    ]
    return Plan(folder, _without_twins(pairs), tuple(_doubts(files, of_model)))


def fetch(planned: Plan, storage: Storage, folder: Path) -> None:
    """Copy all files into a folder, laid out as they will be in the archive.

    Raises:
        HomeportError: As the store says.
    """
    for path, address in planned.sources.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        storage.of(address).fetch(address, target)


def _model(files: ModelFiles, storage: Storage) -> tuple[str, dict[str, str]]:
    """Return the model's folder, and the address of each of its files."""
    source = storage.of(files.folder)
    found = [path for path in source.below(files.folder) if not _is_passed_over(path)]
    if files.weights in found:
        every = {path: addresses.joined(files.folder, path) for path in found}
        return files.folder, every
    folder, name = addresses.divided(files.folder)
    if name == files.weights and source.exists(files.folder):
        return folder, {name: files.folder}
    raise NotFoundError(
        f"gcs_model_path {files.folder} has no {files.weights!r}: {_present(found)}; "
        "give the name of the model's file as local_model_file"
    )


def _is_passed_over(path: str) -> bool:
    """Tell whether a path is no file of the model, but of a tool or of this step."""
    *folders, _ = path.split("/")
    return bool(_ARCHIVES_RE.match(path)) or any(
        # Names that lead elsewhere are refused later.
        folder == "__pycache__" or (folder.startswith(".") and folder != "..")
        for folder in folders
    )


def _is_ignored(files: ModelFiles, path: str) -> bool:
    folders = (one for one in files.ignored if one.endswith("/"))
    return path in files.ignored or path.startswith(tuple(folders))


def _staged(files: ModelFiles, storage: Storage) -> Iterator[tuple[str, str]]:
    """Yield the files that were put beside the model, by name."""
    if not any(files.staged.values()):
        return
    present = storage.of(files.staging).below(files.staging)
    for parameter, names in files.staged.items():
        for name in names:
            if name not in present:
                raise NotFoundError(
                    f"{parameter} {name!r} is not in extra_files_staging_path "
                    f"{files.staging}: {_present(present)}; upload it there, or "
                    "correct its name"
                )
            yield name, addresses.joined(files.staging, name)


def _tokenizer(files: ModelFiles, storage: Storage) -> Iterator[tuple[str, str]]:
    if not files.tokenizer:
        return
    source = storage.of(files.tokenizer)
    if not source.exists(files.tokenizer):
        below = sorted(source.below(files.tokenizer))
        if below:
            raise InvalidArgumentError(
                f"custom_tokenizer_path {files.tokenizer} is a folder, and a tokenizer "
                f"is one file here: give its file, such as "
                f"{addresses.joined(files.tokenizer, below[0])}, and what belongs to "
                "it as extra_prediction_files"
            )
        raise NotFoundError(
            f"custom_tokenizer_path {files.tokenizer} does not exist: check the path"
        )
    name = files.tokenizer_name or addresses.divided(files.tokenizer)[1]
    if not addresses.is_plain(name) or name.startswith("."):
        raise InvalidArgumentError(
            f"custom_tokenizer_name {name!r:.80} is no file name: give one such as "
            "tokenizer.pkl"
        )
    yield name, files.tokenizer


def _without_twins(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the address of each path; two that differ only by case are one.

    Nor is a path a folder of another's.
    """
    found: dict[str, str] = {}
    spellings: dict[str, str] = {}
    for path, address in pairs:
        members.check_path(path)
        spelling = spellings.setdefault(path.casefold(), path)
        other = found.setdefault(spelling, address)
        if other != address:
            raise InvalidArgumentError(
                f"{other} and {address} would both be {path!r} in the archive: rename "
                "one of them, or name the model's in extra_files_to_ignore"
            )
    for path, address in found.items():
        for parent in map(str, PurePosixPath(path.casefold()).parents):
            if parent in spellings:
                raise InvalidArgumentError(
                    f"{found[spellings[parent]]} would be a file in the archive and "
                    f"{address} in a folder of that name: rename one of them, or name "
                    "the model's in extra_files_to_ignore"
                )
    return found


def _doubts(files: ModelFiles, of_model: Mapping[str, str]) -> Iterator[str]:
    for name in files.ignored:
        if name not in of_model and not any(
            name.endswith("/") and path.startswith(name) for path in of_model
        ):
            yield f"extra_files_to_ignore has {name!r}, which is not there"


def _present(paths: Iterable[str]) -> str:
    names = sorted(paths)
    if not names:
        return "it has no files"
    more = len(names) - _NAMED
    shown = ", ".join(names[:_NAMED])
    return f"it has {shown} and {more:,} more" if more > 0 else f"it has {shown}"
