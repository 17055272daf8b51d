"""The file system of an image for tests: this Python, and packages that it has."""

import importlib.metadata
import io
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator, Mapping
from types import MappingProxyType

PROGRAM = pathlib.Path(__file__).parent / "programs" / "serving.py"
_LARGE = ("torch", "functorch", "sympy", "__pycache__")
_LEFT_OUT = {"site-packages", "test", "tests", "idlelib", "ensurepip", "__pycache__"}


def tar(
    packages: tuple[str, ...] = (),
    *,
    beside: Mapping[pathlib.Path, str] = MappingProxyType({}),
    site: pathlib.Path | None = None,
) -> bytes:
    """Return a tar of this Python, what it is linked with, and the serving program.

    Args:
        packages: Distributions that it has installed, with all that they need.
        beside: Where other files go, programs with what they are linked with.
        site: The site-packages of an environment of this Python, which it has, too;
            without torch.
    """
    stream = io.BytesIO()
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    binary = pathlib.Path(os.path.realpath(sys.executable))
    with tarfile.open(fileobj=stream, mode="w") as image:
        files = {path: str(path) for path in (binary, library, *_linked(binary))}
        for extension in (library / "lib-dynload").glob("*.so"):
            files |= {path: str(path) for path in _linked(extension)}
        for name in _closure(packages):
            files |= dict(_installed(name, library / "site-packages"))
        for path, place in beside.items():
            files |= {path: place, **{one: str(one) for one in _linked(path)}}
        if site is not None:
            files |= {path: str(path) for path in _linked_with(site)}
            _add_packages(image, site, library / "site-packages")
        for path, place in files.items():
            image.add(os.path.realpath(path), place, filter=_kept)
        _link(image, "usr/bin/python3", str(binary))
        image.add(PROGRAM, "app/serving.py")
        _folder(image, "tmp")
    return stream.getvalue()


def _kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = pathlib.PurePosixPath(member.name).name
    return None if name in _LEFT_OUT or name.endswith(".a") else member


def _add_packages(
    image: tarfile.TarFile, site: pathlib.Path, place: pathlib.Path
) -> None:
    for path in sorted(site.iterdir()):
        if not path.name.startswith(_LARGE):
            image.add(path, str(place / path.name), filter=_not_compiled)


def _linked_with(site: pathlib.Path) -> set[pathlib.Path]:
    """Return what of the system an environment's packages are linked with."""
    return {
        linked
        for path in site.iterdir()
        if not path.name.startswith(_LARGE)
        for shared in ([path] if path.suffix == ".so" else path.rglob("*.so*"))
        for linked in _linked(shared)
        if "site-packages" not in linked.parts
    }


def _not_compiled(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if member.name.endswith("__pycache__") else member


def _closure(packages: tuple[str, ...]) -> list[str]:
    """Return distributions and what of this environment they need, without extras."""
    found: list[str] = []
    left = list(packages)
    while left:
        name = left.pop()
        if name in found or not _is_installed(name):
            continue
        found.append(name)
        needed = importlib.metadata.requires(name) or []
        names = (re.match(r"[\w.-]+", one) for one in needed if "extra ==" not in one)
        left += [match[0].lower() for match in names if match]
    return found


def _is_installed(name: str) -> bool:
    return any(importlib.metadata.distributions(name=name))


def _installed(name: str, folder: pathlib.Path) -> Iterator[tuple[pathlib.Path, str]]:
    """Yield a distribution's files and what they are linked with, with their places."""
    for file in importlib.metadata.files(name) or ():
        # Headers and programs are not imported.
        if {"..", "include", "__pycache__"} & set(file.parts):
            continue
        path = pathlib.Path(str(file.locate()))
        yield path, str(folder / file)
        if ".so" in path.suffixes:
            for linked in _linked(path):
                if "site-packages" not in linked.parts:
                    yield linked, str(linked)


def _linked(binary: pathlib.Path) -> list[pathlib.Path]:
    told = subprocess.run(  # noqa: S603
        ["ldd", str(binary)],  # noqa: S607
        capture_output=True,
        check=False,
        text=True,
    ).stdout
    words = [word for line in told.splitlines() for word in line.split()]
    return [pathlib.Path(word) for word in words if word.startswith("/")]


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.SYMTYPE, target
    tar.addfile(link)


def _folder(tar: tarfile.TarFile, name: str) -> None:
    folder = tarfile.TarInfo(name)
    folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
    tar.addfile(folder)
