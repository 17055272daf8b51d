"""What uv's refusals mean.

uv tells why there is no solution to people alone, so this is the one place that reads
its sentences. What it does not recognise is shown in uv's own words, cut short.
"""

import dataclasses
import errno
import re
from collections.abc import Callable, Iterator
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement

from homeport.environments.uvtool import Outcome
from homeport.errors import (
    DataLossError,
    FailedPreconditionError,
    HomeportError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
)

_SHOWN_CHARACTERS: Final = 400
_CLAUSE: Final = r"[=!<>~]=?=?[\w.*+!-]+"
_WANTED: Final = (
    r"[A-Za-z0-9][\w.-]*(?:\[[\w,. -]+\])?" rf"(?:{_CLAUSE}(?:,\s?{_CLAUSE})*)?"
)
_DEPENDS_RE: Final = re.compile(rf"({_WANTED}) depends? on ({_WANTED})")
_REQUIRE_RE: Final = re.compile(rf"you require ({_WANTED})(?: and ({_WANTED}))?")
_NO_VERSION_RE: Final = re.compile(rf"there (?:is|are) no versions? of ({_WANTED})")
_NO_PACKAGE_RE: Final = re.compile(rf"({_WANTED}) was not found in the")
_NO_WHEEL_RE: Final = re.compile(
    rf"({_WANTED}) has no (?:usable )?wheels|wheels are not available for ({_WANTED})"
)
_PYTHON_RE: Final = re.compile(
    rf"({_WANTED}) (?:requires|depends? on) Python ?({_CLAUSE}(?:,{_CLAUSE})*)"
)
_MISMATCH_RE: Final = re.compile(r"Hash mismatch for `([^`]+)`")
_OS_ERROR_RE: Final = re.compile(r"\(os error (\d+)\)")
_UNREACHABLE_RE: Final = re.compile(
    r"Failed to fetch|error sending request|error decoding response|timed out"
    r"|network was disabled"
)
# What uv says before anything is wrong, with the place in it.
_PREAMBLE_RE: Final = re.compile(r"^Using Python \S+ environment at: .*$", re.MULTILINE)
_FORBIDDEN_RE: Final = re.compile(r"\b(401 Unauthorized|403 Forbidden)\b")
_URL_RE: Final = re.compile(r"[a-z+]+://(?:[^/\s@]*@)?([^/\s:)]*)[^\s)`]*")
_PATH_RE: Final = re.compile(r"(?<![\w.-])/(?:[\w.+ -]+/)+([\w.+-]+)")


class ConflictError(FailedPreconditionError):
    """Two requirements cannot both be had."""


class NoWheelError(FailedPreconditionError):
    """A package has no wheel that can be installed here.

    Args:
        message: For people.
        package: Which, with its version where uv named one.
    """

    def __init__(self, message: str, package: Requirement) -> None:
        super().__init__(message)
        self.package = package


@dataclasses.dataclass(frozen=True, slots=True)
class _Story:
    """What uv said, for which Python and place.

    Attributes:
        said: In one line, without its hints.
        target: The Python and the place, for people.
        text: All of it.
    """

    said: str
    target: str
    text: str

    def wanted(self, pattern: re.Pattern[str]) -> Iterator[tuple[Requirement, ...]]:
        """Yield the requirements that each match names, those that are any."""
        for match in pattern.finditer(self.said):
            found = (_requirement(group) for group in match.groups() if group)
            yield tuple(one for one in found if one is not None)


def explain(outcome: Outcome, target: str) -> HomeportError:
    """Return the failure that a run of uv ended with.

    Args:
        outcome: Of a run that failed.
        target: What was resolved or built for, as in "Python 3.11 on linux-x86_64".
    """
    story = _Story(_in_one_line(outcome.text), target, outcome.text)
    if error := _explain_machine(story):
        return error
    for teller in _TELLERS:
        if error := teller(story):
            return error
    said = _shortened(story.said)
    return FailedPreconditionError(
        f"the requirements cannot be met for {target} ({said}): change them"
        if outcome.status == 1
        else f"uv could not do its work ({said}): correct that and try again"
    )


def _explain_machine(story: _Story) -> HomeportError | None:
    """Return what is wrong with the machine or the network, not the requirements."""
    numbers = {int(number) for number in _OS_ERROR_RE.findall(story.text)}
    if numbers & {errno.ENOSPC, errno.EDQUOT}:
        return ResourceExhaustedError(
            "the disk is full: free space where the environments lie and try again"
        )
    mismatch = _MISMATCH_RE.search(story.said)
    if mismatch:
        return DataLossError(
            f"{mismatch[1]} is not the file that was locked, its sha256 differs: do "
            "not install it, see where the package index gets it from"
        )
    # Hints count here: uv says there alone that it may not use the network.
    if _UNREACHABLE_RE.search(" ".join(story.text.split())):
        return UnavailableError(
            f"the package index does not answer ({_shortened(story.said)}): see "
            "whether this machine reaches it, or name another with UV_DEFAULT_INDEX"
        )
    return None


def _tell_twice(story: _Story) -> HomeportError | None:
    for pair in story.wanted(_REQUIRE_RE):
        if len(pair) == 2 and pair[0].name == pair[1].name:  # noqa: PLR2004  # a pair
            return ConflictError(
                f"the requirements want {_text(pair[0])} and {_text(pair[1])}, which "
                f"no version is: keep one of the two lines of {pair[0].name}"
            )
    return None


def _tell_conflict(story: _Story) -> HomeportError | None:
    depends = [pair for pair in story.wanted(_DEPENDS_RE) if len(pair) == 2]  # noqa: PLR2004
    required = [one for group in story.wanted(_REQUIRE_RE) for one in group]
    pinned = {one.name: one for one in required if one.specifier}
    # uv says "all versions of X" where it knows of one alone.
    depends = [
        (who if who.specifier else pinned.get(who.name, who), what)
        for who, what in depends
    ]
    for who, what in depends:
        for other in required:
            if _clash(what, other):
                return ConflictError(
                    f"{_named(who)} needs {_text(what)}, but the requirements want "
                    f"{_text(other)}: give {who.name} and {other.name} versions that "
                    f"go together, or leave {other.name} without a version"
                )
    for index, (who, what) in enumerate(depends):
        for whom, other in depends[:index]:
            if who.name != whom.name and _clash(what, other):
                return ConflictError(
                    f"{_named(whom)} needs {_text(other)}, but {_named(who)} needs "
                    f"{_text(what)}: give {whom.name} and {who.name} versions that go "
                    "together"
                )
    return None


def _tell_python(story: _Story) -> HomeportError | None:
    match = _PYTHON_RE.search(story.said)
    if match is None:
        return None
    who = _requirement(match[1])
    return FailedPreconditionError(
        f"{_named(who) if who else match[1]} needs Python {match[2]}, and this is for "
        f"{story.target}: choose a version that runs there"
    )


def _tell_no_wheel(story: _Story) -> HomeportError | None:
    for (who,) in story.wanted(_NO_WHEEL_RE):
        return NoWheelError(
            f"{_named(who)} has no wheel for {story.target}: choose a version that "
            "has one, or allow building it from source with --allow-build",
            who,
        )
    return None


def _tell_missing(story: _Story) -> HomeportError | None:
    for (who,) in story.wanted(_NO_PACKAGE_RE):
        # An index that does not know us hides its packages; a hint alone says so.
        if forbidden := _FORBIDDEN_RE.search(story.text):
            return UnavailableError(
                f"the package index does not show {who.name} to this machine "
                f"({forbidden[1]}): give it credentials that are valid, or name "
                "another with UV_DEFAULT_INDEX"
            )
        return NotFoundError(
            f"no package is called {who.name} in the index: correct the name, or pack "
            "a module of your own with --extra-files"
        )
    for (who,) in story.wanted(_NO_VERSION_RE):
        # `pip freeze` writes them, of builds that only their own index has.
        if build := re.search(r"\+[\w.]+", _text(who)):
            return NotFoundError(
                f"there is no {_text(who)} in the index: leave out {build[0]}"
            )
        return NotFoundError(
            f"there is no {_text(who)} in the index: choose a version that exists"
        )
    return None


_TELLERS: Final[tuple[Callable[[_Story], HomeportError | None], ...]] = (
    _tell_twice,
    _tell_conflict,
    _tell_python,
    _tell_no_wheel,
    _tell_missing,
)


def _clash(one: Requirement, other: Requirement) -> bool:
    """Tell whether two requirements of one package are why there is no solution."""
    if one.name != other.name or not one.specifier or not other.specifier:
        return False
    pinned = [
        (clause.version, wanted)
        for asked, wanted in ((one, other), (other, one))
        for clause in asked.specifier
        if clause.operator == "==" and "*" not in clause.version
    ]
    return (
        not any(
            wanted.specifier.contains(version, prereleases=True)
            for version, wanted in pinned
        )
        if pinned
        else one.specifier != other.specifier
    )


def _requirement(text: str) -> Requirement | None:
    try:
        return Requirement(text.rstrip(".-"))
    except InvalidRequirement:
        return None


def _text(requirement: Requirement) -> str:
    # In the order of the versions, as people write a range.
    clauses = sorted(map(str, requirement.specifier), reverse=True)
    return requirement.name + ",".join(clauses)


def _named(requirement: Requirement) -> str:
    """Return `torch 2.0.0` for a pinned package, else its name with its range."""
    clauses = list(requirement.specifier)
    if len(clauses) == 1 and clauses[0].operator == "==":
        return f"{requirement.name} {clauses[0].version}"
    return _text(requirement)


def _in_one_line(text: str) -> str:
    said, _, _ = _PREAMBLE_RE.sub("", text).partition("\nhint:")
    lines = (
        re.sub(r"^(error|cause):\s*", "", line.strip()) for line in said.split("\n")
    )
    return " ".join(" ".join(line for line in lines if line).split())


def _shortened(said: str) -> str:
    """Return uv's words without places of this machine and of the index."""
    said = said.removeprefix("No solution found when resolving dependencies ")
    said = _PATH_RE.sub(r"\1", _URL_RE.sub(r"\1", said)).rstrip(".")
    if len(said) <= _SHOWN_CHARACTERS:
        return said
    return said[:_SHOWN_CHARACTERS].rpartition(" ")[0] + " ..."
