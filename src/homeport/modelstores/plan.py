"""What of a model store becomes which version: decided before anything is sent."""

import collections
import dataclasses
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Final

from homeport.archive import mar
from homeport.archive.manifest import PATH as MANIFEST
from homeport.archive.manifest import Manifest
from homeport.errors import HomeportError, InvalidArgumentError
from homeport.modelstores.configuration import StoreConfig

_SUFFIX: Final = ".mar"
# TorchServe's other forms of an archive.
_TGZ: Final = (".tar.gz", ".tgz")
# A workflow calls models that are archives of their own.
_WORKFLOW: Final = ".war"


@dataclasses.dataclass(frozen=True, slots=True)
class Planned:
    """An archive that is to become a version.

    Attributes:
        path: Of the file.
        name: The model's display name: the one TorchServe had it under.
        declared: The archive's manifest.
        words: The config.properties that goes along, "" for none.
        is_default: Whether its model's plain name is to mean it.
        is_loaded: Whether TorchServe served it.
    """

    path: pathlib.Path
    name: str
    declared: Manifest
    words: str = ""
    is_default: bool = True
    is_loaded: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """Something in the store that cannot become a version.

    Attributes:
        file: Its name there.
        reason: One sentence.
    """

    file: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of a store.

    Attributes:
        planned: By name and version, oldest version first.
        problems: What cannot be.
    """

    planned: tuple[Planned, ...]
    problems: tuple[Problem, ...]


def make(folder: pathlib.Path, config: StoreConfig) -> Plan:
    """Return what becomes of a model store.

    Archives are read by their directories and headers alone.

    Raises:
        InvalidArgumentError: The folder cannot be read, or has no archives.
    """
    paths = _archives(folder)
    planned: list[Planned] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            planned += _planned(path, config)
        except HomeportError as error:
            problems.append(Problem(path.name, error.message))
    for missing in config.missing({path.name for path in paths}):
        reason = "the configuration names it and it is not in the store: put it there"
        problems.append(Problem(missing, reason))
    clear, twice = _without_twins(planned)
    return Plan(_with_defaults(clear, config), (*problems, *twice))


def _archives(folder: pathlib.Path) -> list[pathlib.Path]:
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise InvalidArgumentError(
            f"{folder} is no model store that can be read ({error.strerror}): give the "
            "folder with the .mar files, TorchServe's --model-store"
        ) from error
    archives = [path for path in found if _is_archive(path)]
    if not archives:
        raise InvalidArgumentError(
            f"{folder} has no .mar files among its {len(found)} entries: give "
            "TorchServe's --model-store"
        )
    return archives


def _is_archive(path: pathlib.Path) -> bool:
    if path.name.startswith("."):
        return False
    return (
        path.name.endswith((_SUFFIX, _WORKFLOW, *_TGZ)) or (path / MANIFEST).is_file()
    )


def _planned(path: pathlib.Path, config: StoreConfig) -> list[Planned]:
    if path.name.endswith(_WORKFLOW):
        raise InvalidArgumentError(
            "a workflow is not registered: import the archives of its models, and let "
            "its steps ask one endpoint after the other"
        )
    if not path.name.endswith(_SUFFIX) or path.is_dir():
        raise InvalidArgumentError(
            "an archive that is a folder or a .tar.gz is not registered: make a .mar "
            "of the same files with `homeport pack`"
        )
    try:
        declared = mar.check(path).manifest
    except OSError as error:
        raise InvalidArgumentError(
            f"it cannot be read ({error.strerror}): let your account read it"
        ) from error
    return [
        Planned(
            path,
            name,
            declared,
            config.beside(name, declared),
            is_loaded=config.loads(path.name),
        )
        for name in config.names_of(path.name, declared)
    ]


def _without_twins(
    planned: Sequence[Planned],
) -> tuple[list[Planned], tuple[Problem, ...]]:
    """Return those whose name and version no other has, and why the others cannot."""
    by_version = collections.defaultdict(list)
    for one in planned:
        by_version[one.name, one.declared.version].append(one)
    clear: list[Planned] = []
    problems: list[Problem] = []
    for (name, version), same in sorted(by_version.items(), key=_in_order):
        if len(same) == 1:
            clear += same
            continue
        files = ", ".join(one.path.name for one in same)
        reason = (
            f"{files} are all version {version} of model {name}: leave one in the "
            "store, or give them names with load_models=NAME=FILE"
        )
        problems += [Problem(one.path.name, reason) for one in same]
    return clear, tuple(problems)


def _with_defaults(
    planned: Iterable[Planned], config: StoreConfig
) -> tuple[Planned, ...]:
    """Return them with one default for each model: the one said, else the newest."""
    ordered = list(planned)
    newest = {one.name: one.declared.version for one in ordered}
    found = []
    for one in ordered:
        version = one.declared.version
        said = config.is_default(one.name, version)
        default = newest[one.name] == version if said is None else said
        found.append(dataclasses.replace(one, is_default=default))
    return tuple(found)


def _in_order(
    item: tuple[tuple[str, str], object],
) -> tuple[str, list[tuple[int, int, str]]]:
    """Order by name, and 1.10 behind 1.9."""
    (name, version), _ = item
    parts = re.findall(r"[0-9]+|[^0-9.]+", version)
    return name, [
        (1, int(part), "") if part.isascii() and part.isdigit() else (0, 0, part)
        for part in parts
    ]
