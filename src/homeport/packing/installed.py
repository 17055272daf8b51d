"""The distributions of this Python environment, and the modules they provide."""

import dataclasses
import functools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata

from homeport.worker import distributions


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Distribution:
    """One that is installed.

    Attributes:
        name: Normalized, as in "scikit-learn".
        version: The public one: "2.13.0" for "2.13.0+cpu".
    """

    name: str
    version: str


class Installed:
    """What is installed, looked at when it is first asked for.

    Args:
        search_path: Folders to look in; None means those of this interpreter.
    """

    def __init__(self, search_path: Sequence[str] | None = None) -> None:
        self._search_path = list(sys.path if search_path is None else search_path)
        self._providers: dict[str, Distribution | None] = {}

    def provider(self, module: str) -> Distribution | None:
        """Return the distribution that provides a module, None if none does.

        Of several that share a namespace (`google.*`) it is the one whose files come
        closest to the module; of several with the same module the best known one.
        """
        if module not in self._providers:
            found = self._best_known(module) or self._closest(module)
            self._providers[module] = _value(found) if found is not None else None
        return self._providers[module]

    def has(self, name: str) -> bool:
        """Tell whether a distribution is installed."""
        normalized = distributions.normalize(name)
        return any(_name(found) == normalized for found in self._found)

    def versions(self, names: Iterable[str]) -> dict[str, str]:
        """Return the public version of each of these that is installed, by name."""
        wanted = frozenset(map(distributions.normalize, names))
        values = (_value(found) for found in self._found if _name(found) in wanted)
        return {value.name: value.version for value in values}

    def _best_known(self, module: str) -> metadata.Distribution | None:
        """Look for the one of the known name: the others need not be read."""
        name = distributions.advise(module)
        found = metadata.Distribution.discover(name=name, path=self._search_path)
        first = next(iter(found), None)
        if first is None or not _depth(first, module.split(".")):
            return None
        return first

    def _closest(self, module: str) -> metadata.Distribution | None:
        found = self._by_module.get(module.partition(".")[0], ())
        return min(_closest(found, module), key=_name, default=None)

    @functools.cached_property
    def _found(self) -> Sequence[metadata.Distribution]:
        # Of two with one name, the first on the path is the one imported.
        first: dict[str, metadata.Distribution] = {}
        for found in metadata.distributions(path=self._search_path):
            if found.name:  # a broken one has none
                first.setdefault(_name(found), found)
        return tuple(first.values())

    @functools.cached_property
    def _by_module(self) -> Mapping[str, tuple[metadata.Distribution, ...]]:
        by_module: dict[str, tuple[metadata.Distribution, ...]] = {}
        for found in self._found:
            for top in _top_modules(found):
                by_module[top] = (*by_module.get(top, ()), found)
        return by_module


def _top_modules(found: metadata.Distribution) -> set[str]:
    tops = {path.partition("/")[0] for path in _python_files(found)}
    named = (found.read_text("top_level.txt") or "").split()
    return {top.partition(".")[0] for top in tops} | set(named)


def _python_files(found: metadata.Distribution) -> Iterator[str]:
    """Yield what can be imported; `files` would make an object of every line."""
    for line in (found.read_text("RECORD") or "").splitlines():
        path = line.partition(",")[0]
        if path.endswith((".py", ".so", ".pyd")) and not path.startswith(("..", "/")):
            yield path


def _closest(
    found: Sequence[metadata.Distribution], module: str
) -> tuple[metadata.Distribution, ...]:
    """Return those that provide most of a module's name, none if all provide nothing.

    Folders alone are nothing: `google` belongs to everybody.
    """
    depths = [_depth(one, module.split(".")) for one in found]
    most = max(depths, default=0)
    pairs = zip(found, depths, strict=True)
    return tuple(one for one, depth in pairs if depth == most > 0)


def _depth(found: metadata.Distribution, parts: Sequence[str]) -> int:
    """Return how many parts of a module's name are modules of the distribution."""
    files = [_module_of(path) for path in _python_files(found)]
    if not files:
        return 1  # installed without a list of its files
    if any(here[: len(parts)] == parts for here in files):
        return len(parts)
    above = (here for here in files if here == parts[: len(here)])
    return max(map(len, above), default=0)


def _module_of(path: str) -> list[str]:
    *folders, name = path.split("/")
    stem = name.partition(".")[0]
    return folders if stem == "__init__" else [*folders, stem]


def _name(found: metadata.Distribution) -> str:
    return distributions.normalize(found.name)


def _value(found: metadata.Distribution) -> Distribution:
    return Distribution(_name(found), found.version.partition("+")[0])
