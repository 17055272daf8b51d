"""Resolving requirements to a lock: which package, at which version, with which hash.

Nothing is installed and nothing of a package is run, unless building is allowed.
"""

import contextlib
import dataclasses
import os
import pathlib
import sys
import sysconfig
import tomllib
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from homeport.archive import lockfile
from homeport.archive.lockfile import PATH, Lock, Pin, parse
from homeport.environments import explanation, requested, standins, uvtool
from homeport.environments.explanation import ConflictError, NoWheelError
from homeport.environments.requested import Requested
from homeport.environments.workplaces import workplace
from homeport.errors import (
    FailedPreconditionError,
    HomeportError,
    NotFoundError,
)

__all__ = [
    "PATH",
    "WORKER_WISHES",
    "ConflictError",
    "Lock",
    "Pin",
    "check_target",
    "parse",
    "resolve",
]

WORKER_WISHES: Final = ("numpy>=1.26", "orjson>=3.10", "pysimdjson>=7.0", "pyyaml>=6")
"""What makes our worker faster; it does without where they do not fit."""

_TIMEOUT_S: Final = 300.0
_NOTHING: Final[Mapping[str, str]] = types.MappingProxyType({})


def resolve(
    requirements: Sequence[str],
    *,
    if_they_fit: Sequence[str] = (),
    here: Mapping[str, str] = _NOTHING,
    allow_build: bool = False,
    timeout_s: float = _TIMEOUT_S,
    on_line: Callable[[str], None] = lambda _line: None,
) -> Lock:
    """Return the lock for this Python and platform.

    Args:
        requirements: Lines of a requirements file: names, versions, markers, hashes.
        if_they_fit: Those that are added where they change nothing of the others.
        here: The version that is installed, by name: taken where a line leaves the
            choice, if all of them go together.
        allow_build: Whether packages without a wheel may be built, which runs their
            code.
        timeout_s: For each question to the index.
        on_line: Receives what uv prints.

    Raises:
        InvalidArgumentError: A line is no requirement, or says where to fetch from.
        ConflictError: Two requirements cannot both be had; the pair is named.
        NotFoundError: The index has no such package or version.
        DataLossError: The index has it, with none of the hashes that a line gives.
        FailedPreconditionError: No wheel for this Python, or there is no uv.
        UnavailableError: The index does not answer.
        DeadlineExceededError: It took longer than `timeout_s`.
    """
    wanted = requested.parse(requirements)
    terms = () if allow_build else ("--only-binary", ":all:")
    question = _Question(terms, timeout_s, on_line)
    pins = _answer(question, wanted, here) if wanted.lines else ()
    pins = _join(question, wanted.lines, if_they_fit, pins)
    allowed = tuple(map(wanted.restrict, pins))
    return lockfile.make(_python(), sysconfig.get_platform(), allowed)


def check_target(lock: Lock) -> None:
    """Refuse a lock that was not made for this Python and platform.

    Raises:
        FailedPreconditionError: It was made for another.
    """
    ours = (_python(), sysconfig.get_platform())
    if (lock.python, lock.platform) != ours:
        raise FailedPreconditionError(
            f"the archive's lock is for Python {lock.python} on {lock.platform}, and "
            f"this is Python {ours[0]} on {ours[1]}: pack the archive again here, or "
            "run Homeport with that Python"
        )


def target() -> str:
    """Return what locks are made for, for people."""
    return f"Python {_python()} on {sysconfig.get_platform()}"


@dataclasses.dataclass(frozen=True, slots=True)
class _Question:
    """The terms on which uv is asked, several times."""

    terms: tuple[str, ...]
    timeout_s: float
    on_line: Callable[[str], None]

    def ask(
        self,
        wanted: Sequence[str],
        fixed: Sequence[Pin],
        absent: Sequence[Requirement] = (),
    ) -> tuple[Pin, ...]:
        """Return what `wanted` needs, with those packages at those versions.

        Those that are `absent` are taken for there.
        """
        with workplace() as place:
            _write(place / "requirements.in", wanted)
            for one in absent:
                standins.make(place / "stand-ins", one)
            _write(place / "fixed.txt", [f"{pin.name}=={pin.version}" for pin in fixed])
            outcome = uvtool.run(
                (
                    *("pip", "compile", "requirements.in", "--quiet"),
                    *("--constraints", "fixed.txt"),
                    *("--format", "pylock.toml", "--output-file", "pylock.toml"),
                    *("--python", sys.executable),
                    *(_find_links(place / "stand-ins") if absent else ()),
                    *self.terms,
                ),
                directory=place,
                timeout_s=self.timeout_s,
                on_line=self.on_line,
            )
            if outcome.status != 0:
                raise explanation.explain(outcome, target())
            return _read_pins((place / "pylock.toml").read_text(encoding="utf-8"))


def _answer(
    question: _Question, wanted: Requested, here: Mapping[str, str]
) -> tuple[Pin, ...]:
    chosen = wanted.choose(here)
    if chosen:
        with contextlib.suppress(FailedPreconditionError, NotFoundError):
            return question.ask(wanted.lines, chosen)
    try:
        return question.ask(wanted.lines, ())
    except NoWheelError as error:
        _look_behind(question, wanted.lines, error.package)
        raise


def _look_behind(
    question: _Question, wanted: Sequence[str], package: Requirement
) -> None:
    """Raise the conflict that a package without a wheel hides, if there is one.

    Raises:
        ConflictError: There is.
    """
    absent: list[Requirement] = []
    while standins.is_pinned(package) and package not in absent:
        absent.append(package)
        try:
            question.ask(wanted, (), absent)
        except NoWheelError as error:
            package = error.package
        except ConflictError:
            raise
        except HomeportError:
            return
        else:
            return


def _find_links(folder: pathlib.Path) -> Iterator[str]:
    """Yield the arguments that name `folder` beside the user's own places."""
    own = uvtool.environment(os.environ).get("UV_FIND_LINKS", "")
    for place in (*filter(None, own.split(",")), str(folder)):
        yield from ("--find-links", place)


def _join(
    question: _Question,
    wanted: Sequence[str],
    wishes: Sequence[str],
    pins: tuple[Pin, ...],
) -> tuple[Pin, ...]:
    """Return the pins with as many of the wishes as fit: all, else one by one."""
    if not wishes:
        return pins
    try:
        return question.ask([*wanted, *wishes], pins)
    except (FailedPreconditionError, NotFoundError):
        pass
    for wish in wishes:
        try:
            pins = question.ask([*wanted, *_lines(pins), wish], pins)
        except (FailedPreconditionError, NotFoundError):
            continue
    return pins


def _lines(pins: Sequence[Pin]) -> list[str]:
    return [f"{pin.name}=={pin.version}" for pin in pins]


def _read_pins(text: str) -> tuple[Pin, ...]:
    packages: list[dict[str, Any]] = tomllib.loads(text).get("packages", [])
    return tuple(sorted(_read_pin(package) for package in packages))


def _read_pin(package: dict[str, Any]) -> Pin:
    # A wheel, or where it was allowed and there is none, the source.
    files = package.get("wheels") or [package["sdist"]]
    hashes = (
        ()
        if any(map(_is_local, files))
        else tuple(sorted({file["hashes"]["sha256"] for file in files}))
    )
    return Pin(
        canonicalize_name(package["name"]),
        # Behind the + is a build that no public index has.
        package["version"].partition("+")[0],
        hashes,
    )


def _is_local(file: dict[str, Any]) -> bool:
    return "path" in file or file.get("url", "").startswith("file:")


def _write(path: pathlib.Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
