"""The import scan: what an archive's code imports, and where each import comes from.

Nothing is run: source is parsed, pickles are read opcode by opcode.
"""

import dataclasses
import enum
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from homeport.archive.manifest import Manifest
from homeport.errors import InvalidArgumentError
from homeport.packing import importstatements, localmodules, needs
from homeport.packing.formats.evidence import Evidence
from homeport.packing.importstatements import Source, Statement
from homeport.packing.installed import Installed
from homeport.packing.localmodules import LocalModules
from homeport.worker import distributions, loading, torchserve

# Python 2's names, which old pickle protocols still use.
_BUILT_IN: Final = sys.stdlib_module_names | {"__builtin__", "copy_reg"}
_NO_SOURCE: Final = Source((), changes_path=False)


class Kind(enum.StrEnum):
    """Where an imported module comes from."""

    STDLIB = "stdlib"
    TS = "ts"
    LOCAL = "local"
    DISTRIBUTION = "distribution"
    MISSING = "missing"


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Import:
    """One import of the archive's.

    Attributes:
        module: Absolute, with dots; a relative one that leads nowhere as written.
        file: Its path in the archive, or the default handler that needs the module.
        line: Of the source, from 1; 0 where no source says it.
        kind: Where the module comes from; `TS` is what the server itself brings.
        distribution: What provides it, normalized; if missing, what would, "" if no
            distribution could.
        version: The installed one, public; "" if it is not a distribution's.
        optional: Whether the code goes on without it.
        reached: Whether the handler or the model comes to this import.
        late: Whether they may serve without ever coming to it: it stands in a function,
            or a branch of one, or in a module that only such an import brings.
        implied: Whether it is not the archive that imports it, but the part of the
            server that the archive relies on.
        remedy: What to do about a missing one, without a full stop.
    """

    module: str
    file: str
    line: int
    kind: Kind
    distribution: str = ""
    version: str = ""
    optional: bool = False
    reached: bool = True
    late: bool = False
    implied: bool = False
    remedy: str = ""

    @property
    def needed(self) -> bool:
        """Whether the archive is meant to be served with it."""
        return self.reached and not self.optional

    @property
    def indispensable(self) -> bool:
        """Whether the archive cannot be served without it."""
        return self.needed and not self.late

    @property
    def where(self) -> str:
        """The place, for people: `handler.py line 3`."""
        return f"{self.file} line {self.line}" if self.line else self.file


@dataclasses.dataclass(frozen=True, slots=True)
class ImportScan:
    """What was found.

    Attributes:
        found: Every import, by module and place.
        sources: The files that were looked at, with those that were pulled in.
        pulled_in: The paths of these: a file, or a package with a `/` behind.
    """

    found: tuple[Import, ...]
    sources: Mapping[str, Path]
    pulled_in: tuple[str, ...]


def scan(
    sources: Mapping[str, Path],
    *,
    manifest: Manifest | None = None,
    installed: Installed | None = None,
    pull_in_beside: Sequence[Path] | None = None,
    skip: Path | None = None,
) -> ImportScan:
    """Return what the files of an archive import.

    Args:
        sources: The file of each path in the archive.
        manifest: Tells what is run; without it, every module counts as reached.
        installed: What could provide modules; by default this environment.
        pull_in_beside: Folders on the disk, besides those of the importing files, from
            which local modules that are missing are taken; None takes nothing.
        skip: Never to be taken: the archive itself.

    Raises:
        InvalidArgumentError: A module that is reached does not compile; a package is
            too large to be taken unasked.
    """
    local = LocalModules(sources, pull_in_beside or (), skip)
    scanner = _Scanner(local, installed or Installed(), pull_in_beside is not None)
    if manifest is None:
        scanner.follow([path for path in sources if path.endswith(".py")])
    else:
        scanner.imply(needs.of_manifest(manifest, sources))
        scanner.follow(_entry_files(manifest, sources))
    for path, source in sources.items():
        scanner.unpickle(path, source)
    scanner.finish()
    return ImportScan(
        tuple(sorted(scanner.found)),
        dict(sorted(local.sources.items())),
        tuple(sorted(local.pulled_in)),
    )


def _entry_files(manifest: Manifest, sources: Mapping[str, Path]) -> list[str]:
    handler = manifest.handler.partition(":")[0].removesuffix(".py") + ".py"
    named = (handler, f"{manifest.handler_module}.py", manifest.model_file)
    return [path for path in dict.fromkeys(named) if path in sources]


class _Scanner:
    """Goes from file to file, each once, and notes what they import."""

    def __init__(self, local: LocalModules, installed: Installed, pulls: bool) -> None:  # noqa: FBT001  # private
        self.found: set[Import] = set()
        self._local = local
        self._installed = installed
        self._pulls = pulls
        self._waiting: deque[str] = deque()
        self._waiting_late: deque[str] = deque()
        self._seen: set[str] = set()
        self._roots: tuple[str, ...] = ("",)

    def follow(self, paths: Sequence[str], *, reached: bool = True) -> None:
        """Read these files and every local module they import.

        Those that are imported late come last, when all is known that is not.
        """
        self._await(paths, late=False)
        while self._waiting or self._waiting_late:
            late = not self._waiting
            path = (self._waiting_late if late else self._waiting).popleft()
            if path not in self._seen:
                self._seen.add(path)
                self._follow(path, reached=reached, late=late)

    def _follow(self, path: str, *, reached: bool, late: bool) -> None:
        source = self._read(path, needed=reached and not late)
        if source.changes_path:
            # Where to, only running it tells: any folder may be meant.
            self._roots = self._local.directories()
        for statement in source.statements:
            is_late = late or statement.late
            self._note(
                path, dataclasses.replace(statement, late=is_late), reached=reached
            )

    def imply(self, modules: Mapping[str, Sequence[str]]) -> None:
        """Note modules that the server imports for the archive, by what asks for it."""
        for place, names in modules.items():
            for name in names:
                self._add(Import(name, place, 0, Kind.MISSING, implied=True))

    def unpickle(self, path: str, source: Path) -> None:
        """Note the modules whose classes a pickle names, if the file holds one."""
        for module in _pickled_modules(path, source):
            if module == "__main__":
                self.found.add(_of_main(path))
                continue
            self._resolve(path, Statement(0, module), reached=True)
        self.follow(())

    def finish(self) -> None:
        """Read the modules that nothing has imported."""
        left = [path for path in self._local.sources if path.endswith(".py")]
        self.follow(left, reached=False)

    def _await(self, paths: Sequence[str], *, late: bool) -> None:
        waiting = self._waiting_late if late else self._waiting
        waiting.extend(path for path in paths if path.endswith(".py"))

    def _read(self, path: str, *, needed: bool) -> Source:
        try:
            return importstatements.read(self._local.sources[path])
        except InvalidArgumentError:
            if needed:
                raise
            return _NO_SOURCE  # a template, or another language's Python

    def _note(self, path: str, statement: Statement, *, reached: bool) -> None:
        module = statement.module
        if module.startswith("."):
            module = _absolute(path, module)
            if not module:
                self.found.add(_outside_package(path, statement, reached=reached))
                return
            statement = dataclasses.replace(statement, module=module)
            self._resolve(path, statement, reached=reached, only_local=True)
            return
        self._resolve(path, statement, reached=reached)

    def _resolve(
        self,
        path: str,
        statement: Statement,
        *,
        reached: bool,
        only_local: bool = False,
    ) -> None:
        found = _import_of(path, statement, reached=reached)
        top = statement.module.partition(".")[0]
        if top in {"ts", "homeport"} and not self._find(top):
            self._add_ts(found, statement.names)
            return
        if self._is_local(found, statement.names, only_local=only_local):
            self.found.add(dataclasses.replace(found, kind=Kind.LOCAL))
            return
        if only_local or self._find(top):
            remedy = f"add the file of {statement.module} with --extra-files"
            self.found.add(dataclasses.replace(found, remedy=remedy))
            return
        self._add(found, statement.names)

    def _is_local(
        self, found: Import, names: Sequence[str], *, only_local: bool
    ) -> bool:
        """Look in the archive, then beside its files; follow what is found."""
        top = found.module.partition(".")[0]
        elsewhere = not only_local and (
            top in _BUILT_IN or self._installed.provider(found.module) is not None
        )
        deeper = [f"{found.module}.{name}" for name in names]
        for module in (found.module, *deeper):
            if self._pulls and not (elsewhere and top in _BUILT_IN):
                beside = _roots_of(found.file, self._local.sources)
                self._local.pull_in(module, beside, plain_folders=not elsewhere)
        paths = self._find(found.module)
        if paths is None or (not paths and elsewhere):
            return False
        followed = [self._find(module) or () for module in deeper]
        if not paths and not any(followed) and names:
            return False
        behind = [*paths, *(path for some in followed for path in some)]
        self._await(behind, late=found.late or found.optional)
        return True

    def _find(self, module: str) -> tuple[str, ...] | None:
        return self._local.find(module, self._roots)

    def _add_ts(self, found: Import, names: Sequence[str]) -> None:
        top = found.module.partition(".")[0]
        wanted = [found.module]
        if torchserve.is_package(found.module):
            wanted += [f"{found.module}.{name}" for name in names if name[:1] != "_"]
        refused = [name for name in wanted if not torchserve.offers(name)]
        if top == "ts" and refused:
            missing = dataclasses.replace(found, module=refused[0])
            self.found.add(dataclasses.replace(missing, remedy=loading.OFFERED))
            return
        self.found.add(dataclasses.replace(found, kind=Kind.TS))
        for name in needs.of_modules(wanted):
            self._add(dataclasses.replace(found, module=name, implied=True))

    def _add(self, found: Import, names: Sequence[str] = ()) -> None:
        """Note an import that nothing local answers."""
        if found.module.partition(".")[0] in _BUILT_IN:
            self.found.add(dataclasses.replace(found, kind=Kind.STDLIB))
            return
        # `from google.cloud import storage`: only the name tells whose it is.
        deepest = [f"{found.module}.{name}" for name in names] or [found.module]
        for module in deepest:
            self.found.add(self._provided(found, module))

    def _provided(self, found: Import, module: str) -> Import:
        provider = self._installed.provider(module)
        if provider is not None:
            return dataclasses.replace(
                found,
                kind=Kind.DISTRIBUTION,
                distribution=provider.name,
                version=provider.version,
            )
        advised = distributions.advise(module)
        remedy = (
            f"install {advised} here, or list it in the requirements file as "
            f"{advised}==VERSION"
        )
        if not (found.implied or distributions.is_renamed(module)):
            top = module.partition(".")[0]
            remedy += f"; if {top} is code of yours, give it with --extra-files"
        return dataclasses.replace(found, distribution=advised, remedy=remedy)


def _absolute(path: str, module: str) -> str:
    """Return what a relative import means in a file of the archive, "" for nothing."""
    name = module.lstrip(".")
    above = len(module) - len(name) - 1
    package = PurePosixPath(path).parent.parts
    if above >= len(package):
        return ""
    kept = package[: len(package) - above]
    return ".".join((*kept, name) if name else kept)


def _import_of(path: str, statement: Statement, *, reached: bool) -> Import:
    """Return a statement's import as long as nothing is known to provide it."""
    return Import(
        statement.module,
        path,
        statement.line,
        Kind.MISSING,
        optional=statement.optional,
        reached=reached,
        late=statement.late,
    )


def _outside_package(path: str, statement: Statement, *, reached: bool) -> Import:
    return dataclasses.replace(
        _import_of(path, statement, reached=reached),
        remedy=f"{PurePosixPath(path).name} is in no such package there, so write the "
        "import without the leading dots",
    )


def _of_main(path: str) -> Import:
    # A handler may put the class into __main__ before it loads the file: no error.
    return Import(
        "__main__",
        path,
        0,
        Kind.MISSING,
        reached=False,
        remedy="it was saved by a script that defines the class itself, so move the "
        "class into a module, import it from there and save the file again",
    )


def _roots_of(path: str, sources: Mapping[str, Path]) -> tuple[Path, ...]:
    """Return the folders on the disk that a file of the archive imports from."""
    source = sources.get(path)
    if source is None:
        return ()
    parts = PurePosixPath(path).parts
    if len(parts) > 1 and source.parts[-len(parts) :] == parts:
        return (source.parents[len(parts) - 1],)
    return localmodules.folders_of(source)


def _pickled_modules(path: str, source: Path) -> Iterator[str]:
    """Yield the modules named by pickles but those that torch and Python bring."""
    if path.endswith(".py"):
        return
    evidence = Evidence(source)
    if not evidence.head.startswith((b"PK", b"\x80")):
        return
    for found in (evidence.torch_pickle, evidence.plain_pickle):
        for module in found.modules if found is not None else ():
            top = module.partition(".")[0]
            # `__torch__` is TorchScript's own: such a file brings its code.
            if top not in _BUILT_IN and top not in {"", "torch", "__torch__"}:
                yield module
