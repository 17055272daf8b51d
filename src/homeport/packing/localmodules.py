"""The modules an archive has, and those beside its files that it lacks."""

import importlib.machinery
import importlib.util
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from homeport.errors import InvalidArgumentError
from homeport.packing import sources

_MAX_FILES: Final = 1_000
_MAX_BYTES: Final = 64 << 20
# The longest first, so that `x.abi3.so` is `x`.
_SUFFIXES: Final = tuple(
    sorted(importlib.machinery.all_suffixes(), key=len, reverse=True)
)
_INSTALLED_FOLDERS: Final = frozenset({"site-packages", "dist-packages"})


def folders_of(path: Path) -> tuple[Path, ...]:
    """Return where a file on the disk imports from: its folder, its package's root.

    Nothing for a file that is installed: what lies beside it is no local module.
    """
    folder = path.resolve().parent
    root = folder
    while (root / "__init__.py").is_file() and root != root.parent:
        root = root.parent
    return tuple(one for one in dict.fromkeys((folder, root)) if is_own(one))


def folders_of_this_python() -> tuple[Path, ...]:
    """Return what `sys.path` holds beside the standard library and what is installed.

    That is where modules are that were installed in place (`pip install -e`), and the
    folder of a notebook.
    """
    folders = (Path(entry) for entry in sys.path)
    return tuple(folder for folder in folders if folder.is_dir() and is_own(folder))


def is_own(path: Path) -> bool:
    """Tell whether it lies in neither the standard library nor what is installed."""
    ours = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    return _INSTALLED_FOLDERS.isdisjoint(path.parts) and ours.isdisjoint(
        (path, *path.parents)
    )


def _folders_of_finders(top: str) -> tuple[Path, ...]:
    """Return where this Python knows a module from that is in no folder of its path.

    So it is for projects that setuptools installed in place. Nothing is imported.
    """
    try:
        spec = importlib.util.find_spec(top)
    # What a finder raises is its own affair, and ValueError a module's without a spec.
    except Exception:  # noqa: BLE001  # as said
        return ()
    if spec is None or not spec.has_location or spec.origin is None:
        return ()
    origin = Path(spec.origin)
    if not is_own(origin):
        return ()
    return (origin.parents[1 if origin.name == "__init__.py" else 0],)


class LocalModules:
    """What can be imported from an archive's root, which grows by what is pulled in.

    Attributes:
        sources: The file of each path in the archive.
        pulled_in: What was added: a file, or a package's folder with a `/` behind.
    """

    def __init__(
        self, given: Mapping[str, Path], folders: Sequence[Path], skip: Path | None
    ) -> None:
        self.sources = dict(given)
        self.pulled_in: list[str] = []
        self._folders = tuple(folders)
        self._skip = skip.resolve() if skip is not None else None
        self._modules: dict[str, str] = {}
        self._directories: dict[str, Path] = {}
        for path, source in given.items():
            self._index(path, source)

    def find(self, module: str, roots: Sequence[str] = ("",)) -> tuple[str, ...] | None:
        """Return the paths that importing a module runs, None if it is not there.

        A folder without `__init__.py` is a module too, and runs nothing.

        Args:
            module: Absolute, with dots.
            roots: Folders of the archive that are imported from, "" for its own.
        """
        found = (self._find(root, module.split(".")) for root in roots)
        return next((paths for paths in found if paths is not None), None)

    def directories(self) -> tuple[str, ...]:
        """Return the archive's folders with modules in them, its root as ""."""
        return ("", *sorted(self._directories))

    def pull_in(
        self, module: str, beside: Sequence[Path], *, plain_folders: bool
    ) -> None:
        """Add what is missing for a module and lies on the disk.

        A package comes with its folder. Of a folder without `__init__.py` only the
        module asked for is taken, under that folder's name.

        Args:
            module: Absolute, with dots.
            beside: Folders to look in before all others.
            plain_folders: Whether it may begin with a folder without `__init__.py`.

        Raises:
            InvalidArgumentError: A package is too large to be taken unasked.
        """
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            key = "/".join(parts[:end])
            if key in self._modules or key in self._directories:
                continue
            prefix = "/".join(parts[: end - 1])
            folders: Sequence[Path] = (*beside, *self._folders)
            if prefix and prefix not in self._directories:
                return  # a module has no modules in it
            if prefix:
                folders = [self._directories[prefix]]
            found = _locate(folders, parts[end - 1 :], plain=plain_folders or end > 1)
            if found is None and not prefix and plain_folders:
                found = _locate(_folders_of_finders(parts[0]), parts[:1], plain=False)
            if found is None:
                return
            self._add(prefix, *found)

    def _find(self, root: str, parts: Sequence[str]) -> tuple[str, ...] | None:
        paths: list[str] = []
        for end in range(1, len(parts) + 1):
            key = str(PurePosixPath(root, *parts[:end]))
            path = self._modules.get(key)
            if path is not None:
                paths.append(path)
            is_package = key in self._directories
            if path is None and not is_package:
                return None
            if end < len(parts) and not is_package:
                return None
        return tuple(paths)

    def _add(self, prefix: str, folder: Path, relative: PurePosixPath) -> None:
        """Take a module or package that lies in `folder` into `prefix`."""
        name = str(PurePosixPath(prefix) / relative)
        found = folder / relative
        if found.is_dir():
            self._add_package(name, found)
            self.pulled_in.append(f"{name}/")
            return
        self.sources[name] = found
        self._index(name, found)
        self.pulled_in.append(name)

    def _add_package(self, name: str, package: Path) -> None:
        packed = {
            source.resolve()
            for path, source in self.sources.items()
            if _module_key(path) is None
        }
        new = {
            path: source
            for path, source in sources.walk_unasked(package, name)
            if path not in self.sources
            and source.resolve() not in packed
            and not self._is_skipped(source)
        }
        _check_size(name, new)
        self.sources |= new
        for path, source in new.items():
            self._index(path, source)

    def _is_skipped(self, source: Path) -> bool:
        resolved = source.resolve()
        return self._skip in (resolved, *resolved.parents)

    def _index(self, path: str, source: Path) -> None:
        key = _module_key(path)
        if key is None:
            return
        if key:
            self._modules.setdefault(key, path)
        folder = source.parent
        for parent in PurePosixPath(path).parents:
            if parent.name:
                self._directories.setdefault(str(parent), folder)
            folder = folder.parent


def _module_key(path: str) -> str | None:
    """Return a module's path without suffix, a package's folder; None for no module."""
    suffix = next((suffix for suffix in _SUFFIXES if path.endswith(suffix)), None)
    if suffix is None:
        return None
    stem = path.removesuffix(suffix)
    return stem.removesuffix("__init__").rstrip("/")


def _locate(
    folders: Sequence[Path], parts: Sequence[str], *, plain: bool
) -> tuple[Path, PurePosixPath] | None:
    """Return the folder, and the path in it, that has to be taken for a module.

    Modules and packages come before folders that are none, as Python has it.
    """
    for folder in folders:
        if (folder / parts[0] / "__init__.py").is_file():
            return folder, PurePosixPath(parts[0])
        if (folder / f"{parts[0]}.py").is_file():
            return folder, PurePosixPath(f"{parts[0]}.py")
    if plain and len(parts) > 1:
        for folder in folders:
            found = _locate([folder / parts[0]], parts[1:], plain=True)
            if found is not None:
                return folder, PurePosixPath(parts[0]) / found[1]
    return None


def _check_size(name: str, new: Mapping[str, Path]) -> None:
    size_bytes = sum(source.stat().st_size for source in new.values())
    if len(new) > _MAX_FILES or size_bytes > _MAX_BYTES:
        raise InvalidArgumentError(
            f"the code imports the package {name}, whose folder holds {len(new)} files "
            f"and {size_bytes >> 20} MiB, over {_MAX_FILES} files or "
            f"{_MAX_BYTES >> 20} MiB: move out what is no code, or give the folder "
            "with --extra-files and --keep-directories"
        )
