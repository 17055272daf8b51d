"""An archive's dependencies settled: what its code imports is provided, or is told."""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

from homeport.environments import lock
from homeport.environments.lock import Lock
from homeport.errors import HomeportError, InvalidArgumentError, NotFoundError
from homeport.packing import completion, requirements
from homeport.packing.completion import Completion
from homeport.packing.imports import Import, ImportScan, Kind
from homeport.packing.installed import Installed

_NAMED: Final = 3
# Whoever packs on a machine without them, as a build server is, need not say so.
_OF_SERVER: Final = frozenset({"torch", "numpy"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms dependencies are settled.

    Attributes:
        requirements_file: The author's, checked; None for none.
        lock: Whether they are resolved; None does so if there is a file.
        allow_build: Whether packages without a wheel may be built, which runs their
            code.
        runs_elsewhere: Whether what serves the archive has packages that nobody here
            knows.
        on_notice: Receives a line before something slow.
    """

    requirements_file: Path | None
    lock: bool | None = None
    allow_build: bool = False
    runs_elsewhere: bool = False
    on_notice: Callable[[str], None] | None = None

    @property
    def locks(self) -> bool:
        """Whether there will be a lock."""
        return self.requirements_file is not None if self.lock is None else self.lock


@dataclasses.dataclass(frozen=True, slots=True)
class Settled:
    """What became of them.

    Attributes:
        lock: Of what the requirements and the code need, None if none is wanted.
        added: `name==version` of what the lock holds because the code imports it.
        warnings: What may be lacking later, one sentence each.
    """

    lock: Lock | None
    added: tuple[str, ...]
    warnings: tuple[str, ...]


def settle(scan: ImportScan, terms: Terms, installed: Installed) -> Settled:
    """Return the lock of an archive's dependencies.

    Raises:
        InvalidArgumentError: The code needs a module that is not found and that no
            requirement provides.
        HomeportError: As `lock.resolve`.
    """
    file = terms.requirements_file
    lines = requirements.read(file) if file is not None else ()
    names = completion.names_of(lines)
    lacking = completion.unprovided(scan, names, installed)
    if not terms.locks:
        lacking = tuple(one for one in lacking if not _is_left_to_server(one))
    missing = [one for one in lacking if one.indispensable and one.kind is Kind.MISSING]
    if missing and not terms.runs_elsewhere:
        _refuse(missing)
    warnings = (
        *_left_to_image(missing),
        *_doubts(scan, completion.strangers(scan, names, installed), lacking),
        *_missing_later(lacking),
        *_missing_elsewhere(scan),
    )
    if terms.locks:
        completed = completion.complete(lines, scan)
        resolved = _resolve(completed, terms, installed.versions(names))
        return Settled(resolved, _added(completed, resolved), warnings)
    if file is not None:
        warnings += tuple(_not_listed(file.name, lacking))
    return Settled(None, (), warnings)


def _is_left_to_server(found: Import) -> bool:
    """Tell whether a server has what is missing here, so that none is no mistake.

    Without a lock an archive runs with the server's own packages.
    """
    of_server = found.implied or found.distribution in _OF_SERVER
    return found.kind is Kind.MISSING and of_server


def _refuse(missing: Sequence[Import]) -> NoReturn:
    first, *others = missing
    also = [f"{found.module} in {found.where}" for found in others]
    more = f" (not found either: {_listed(also)})" if also else ""
    raise InvalidArgumentError(f"{_not_found(first)}{more}: {first.remedy}")


def _not_found(found: Import) -> str:
    verb = "needs" if found.implied or not found.line else "imports"
    return f"{found.where} {verb} {found.module}, which is not found"


def _left_to_image(missing: Sequence[Import]) -> Iterator[str]:
    """Yield a warning for each module that only the serving image can have."""
    for found in {one.module: one for one in reversed(missing)}.values():
        yield f"{_not_found(found)} here: the image that serves it has to have it"


def _doubts(
    scan: ImportScan, strangers: Sequence[str], lacking: Sequence[Import]
) -> Iterator[str]:
    """Yield a warning for each missing import that unknown packages may provide."""
    if not strangers:
        return
    for found in _missing(scan):
        if (
            found.needed
            and found not in lacking
            and found.distribution not in strangers
        ):
            yield (
                f"{_not_found(found)} here: unless {_listed(strangers)} provides it, "
                f"{found.remedy}"
            )


def _missing_later(lacking: Sequence[Import]) -> Iterator[str]:
    """Yield a warning for each missing module that may never be asked for."""
    late = (one for one in lacking if one.kind is Kind.MISSING and one.late)
    for found in {one.module: one for one in reversed(list(late))}.values():
        yield f"{_not_found(found)}: if that line ever runs, {found.remedy}"


def _missing_elsewhere(scan: ImportScan) -> Iterator[str]:
    """Yield a warning for each module missing in code that nothing was seen to run."""
    for found in _missing(scan):
        # A package's file that lies flat as well has relative imports to nowhere.
        is_stray = found.module.startswith(".")
        if not (found.reached or found.optional or is_stray):
            yield f"{_not_found(found)}: {found.remedy}"


def _missing(scan: ImportScan) -> list[Import]:
    """Return the missing imports, the first of each module."""
    first: dict[str, Import] = {}
    for found in scan.found:
        if found.kind is Kind.MISSING:
            first.setdefault(found.module, found)
    return list(first.values())


def _not_listed(name: str, lacking: Sequence[Import]) -> Iterator[str]:
    listed: dict[str, Import] = {}
    for found in lacking:
        if found.kind is Kind.DISTRIBUTION and not found.implied:
            listed.setdefault(found.distribution, found)
    for distribution, found in listed.items():
        yield (
            f"{name} lists no {distribution}, which {found.where} needs: "
            f"add {distribution}=={found.version}"
        )


def _resolve(completed: Completion, terms: Terms, here: Mapping[str, str]) -> Lock:
    if terms.on_notice is not None:
        count = len(completed.lines)
        terms.on_notice(f"Resolving {count} requirement{'s' if count != 1 else ''} ...")
    try:
        return lock.resolve(
            completed.lines,
            if_they_fit=(*lock.WORKER_WISHES, *completed.if_they_fit),
            here=here,
            allow_build=terms.allow_build,
        )
    except (lock.ConflictError, NotFoundError) as error:
        added = [pin for pin in completed.added if _is_about(error, pin)]
        if not added:
            raise
        raise type(error)(
            f"{error.message} ({_listed(added)} was added as installed here, since the "
            "code imports it)"
        ) from error


def _is_about(error: HomeportError, pin: str) -> bool:
    name = re.escape(pin.partition("==")[0])
    return bool(re.search(rf"(?<![\w.-]){name}(?![\w-])", error.message))


def _added(completed: Completion, resolved: Lock) -> tuple[str, ...]:
    locked = {f"{pin.name}=={pin.version}" for pin in resolved.pins}
    perhaps = (pin for pin in completed.if_they_fit if pin in locked)
    return tuple(sorted((*completed.added, *perhaps)))


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown
