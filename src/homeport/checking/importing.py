"""What an archive's code imports, against what will be there."""

import pathlib
from collections.abc import Iterable

from homeport.archive.inventory import Inventory
from homeport.archive.lockfile import Lock
from homeport.checking import failures
from homeport.packing import completion, imports
from homeport.packing.imports import Import, ImportScan, Kind


def scan(inventory: Inventory, model_dir: pathlib.Path) -> ImportScan:
    """Return what the archive laid out at `model_dir` imports; nothing is run.

    Raises:
        InvalidArgumentError: A module that is reached does not compile.
    """
    sources = {
        member.path: model_dir / member.path
        for member in inventory.members
        if not member.path.startswith("MAR-INF/")
    }
    return imports.scan(sources, manifest=inventory.manifest)


def lacking_here(found: ImportScan) -> tuple[Import, ...]:
    """Return the needed imports that Homeport's own environment does not provide."""
    return tuple(one for one in found.found if one.needed and one.kind is Kind.MISSING)


def lacking_anywhere(found: ImportScan) -> tuple[Import, ...]:
    """Return those that no package could provide: modules of the author's, or of ts."""
    return tuple(one for one in lacking_here(found) if not one.distribution)


def lacking_in(lock: Lock, found: ImportScan) -> tuple[Import, ...]:
    """Return the needed imports that no package of a lock provides."""
    return completion.unprovided(found, [pin.name for pin in lock.pins])


def doubts(lacking: Iterable[Import], where: str) -> tuple[str, ...]:
    """Return a warning for each module that is lacking and may never be asked for.

    Args:
        lacking: Imports that nothing provides.
        where: They should come from, as in "the lock".
    """
    first: dict[str, Import] = {}
    for one in lacking:
        if one.late:
            first.setdefault(one.module, one)
    return tuple(
        f"{one.where} imports {one.module}, which {where} does not have: if that line "
        f"ever runs, {failures.remedy_of(one)}"
        for one in first.values()
    )


def summary(found: ImportScan) -> str:
    """Return in one line, for people, where the imports come from."""
    packages = {one.distribution for one in found.found if one.kind is not Kind.STDLIB}
    return ", ".join(sorted(packages - {""})) or "the standard library alone"
