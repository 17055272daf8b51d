"""Which file on disk becomes which path in the archive."""

import glob
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from homeport.archive import members
from homeport.errors import InvalidArgumentError, NotFoundError

_SKIPPED_DIRECTORIES: Final = frozenset({"__pycache__", "__MACOSX"})
_RESERVED_DIRECTORY: Final = "mar-inf"
_NONE: Final[Mapping[str, Path]] = MappingProxyType({})


def check_file(path: Path, role: str, *, may_be_empty: bool = False) -> None:
    """Refuse what is no readable, non-empty file.

    Args:
        path: As the user gave it.
        role: What it was to be, for the message: "serialized file".
        may_be_empty: Whether nothing in it means something.

    Raises:
        NotFoundError: Nothing is there.
        InvalidArgumentError: A directory or special file, empty, or not readable.
    """
    if not path.exists():
        raise NotFoundError(f"{role} {str(path)!r} does not exist: check the path")
    if not path.is_file():
        raise InvalidArgumentError(f"{role} {str(path)!r} is no file: give one file")
    if not os.access(path, os.R_OK):
        raise InvalidArgumentError(
            f"{role} {str(path)!r} cannot be read: change its permissions"
        )
    if not may_be_empty and path.stat().st_size == 0:
        raise InvalidArgumentError(
            f"{role} {str(path)!r} is empty: save it again before packing"
        )


def collect(
    main_files: Iterable[Path],
    extra_files: Iterable[str],
    *,
    named: Mapping[str, Path] = _NONE,
    keep_directories: bool = False,
    skip: Path,
) -> dict[str, Path]:
    """Return the source of every path in the archive, sorted by path.

    `main_files`, and extra files given one by one or by a pattern, lie in the
    archive's root. An extra directory's content lies there too, with the layout it has
    below, as torch-model-archiver does it; with `keep_directories` the directory keeps
    its own name, so that a package stays importable. Hidden directories and
    `__pycache__` are left out either way.

    Args:
        main_files: Files that the manifest names.
        extra_files: Paths or patterns (`*`, `?`, `[...]`, `**`).
        named: Sources by the path they have in the archive, whatever they are called.
        keep_directories: As above.
        skip: What is never to be packed: the archive itself, file or folder.

    Raises:
        NotFoundError: A path does not exist or a pattern matches nothing.
        InvalidArgumentError: Two files would have one path, or differ only by case; a
            link to a directory; a special file; a directory named MAR-INF.
    """
    found: dict[str, Path] = {}
    spellings: dict[str, str] = {}
    skipped = skip.resolve()
    pairs = _pairs(main_files, extra_files, keep_directories)
    for archive_path, source in (*pairs, *named.items()):
        resolved = source.resolve()
        if skipped in (resolved, *resolved.parents):
            continue
        _check_source(source, archive_path)
        spelling = spellings.setdefault(archive_path.casefold(), archive_path)
        other = found.get(spelling)
        if other is not None and (
            spelling != archive_path or other.resolve() != resolved
        ):
            raise InvalidArgumentError(
                f"{str(other)!r} and {str(source)!r} would both be "
                f"{archive_path!r} in the archive: rename one of them"
            )
        found[archive_path] = source
    return dict(sorted(found.items()))


def flattened_packages(extra_files: Iterable[str]) -> tuple[str, ...]:
    """Return a warning for each extra directory that is a package and lies flat."""
    packages = (Path(text) for text in extra_files)
    return tuple(
        f"{path} is a package, and its files lie in the archive's root, so that it "
        f"cannot be imported as {path.resolve().name}: give --keep-directories"
        for path in packages
        if (path / "__init__.py").is_file()
    )


def walk(directory: Path, root_name: str) -> Iterator[tuple[str, Path]]:
    """Yield each file below a directory with its path under `root_name`.

    Raises:
        InvalidArgumentError: A link to a directory.
    """
    for path, source in _below(directory, root_name):
        if source.is_symlink() and source.is_dir():
            raise InvalidArgumentError(
                f"{str(source)!r} is a link to a directory: "
                "give the directory itself with --extra-files"
            )
        yield path, source


def walk_unasked(directory: Path, root_name: str) -> Iterator[tuple[str, Path]]:
    """Yield what `walk` does, of a directory that nobody gave.

    Hidden files, which may hold a password, links to directories and what cannot be
    read are passed over.
    """
    for path, source in _below(directory, root_name):
        if not source.name.startswith(".") and _is_readable(source):
            yield path, source


def _below(directory: Path, root_name: str) -> Iterator[tuple[str, Path]]:
    """Yield files, and links to directories, which are not followed."""
    for folder, directories, names in os.walk(directory):
        directories[:] = sorted(name for name in directories if not _is_skipped(name))
        links = [name for name in directories if (Path(folder) / name).is_symlink()]
        below = Path(folder).relative_to(directory)
        for name in (*links, *sorted(names)):
            yield (Path(root_name) / below / name).as_posix(), Path(folder) / name


def _is_readable(source: Path) -> bool:
    return source.is_file() and os.access(source, os.R_OK)


def _pairs(
    main_files: Iterable[Path],
    extra_files: Iterable[str],
    keep_directories: bool,  # noqa: FBT001  # handed on
) -> Iterator[tuple[str, Path]]:
    for path in main_files:
        yield path.name, path
    for pattern in extra_files:
        for path in _matches(pattern):
            if path.is_dir():
                root_name = path.resolve().name if keep_directories else ""
                yield from walk(path, root_name)
            else:
                yield path.name, path


def _matches(pattern: str) -> list[Path]:
    if Path(pattern).exists():
        return [Path(pattern)]
    if not glob.has_magic(pattern):
        raise NotFoundError(f"extra file {pattern!r} does not exist: check the path")
    paths = [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207  # takes absolute and relative patterns alike
    kept = [path for path in paths if not (path.is_dir() and _is_skipped(path.name))]
    if not kept:
        raise NotFoundError(f"extra files {pattern!r} match no file: check the pattern")
    return kept


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED_DIRECTORIES


def _check_source(source: Path, archive_path: str) -> None:
    try:
        members.check_path(archive_path)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"{str(source)!r:.200} has a name that no archive may have (a control "
            "character, a backslash, no UTF-8, or too long): rename it"
        ) from error
    if archive_path.partition("/")[0].casefold() == _RESERVED_DIRECTORY:
        raise InvalidArgumentError(
            f"{str(source)!r} would lie in MAR-INF, where the manifest is: rename it"
        )
    if not source.is_file():
        raise InvalidArgumentError(
            f"{str(source)!r} is no regular file: leave it out of the extra files"
        )
    if not os.access(source, os.R_OK):
        raise InvalidArgumentError(
            f"{str(source)!r} cannot be read: change its permissions"
        )
